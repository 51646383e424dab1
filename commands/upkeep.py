"""Commands that keep the warehouse small."""

from typing import Annotated

import typer

from commands.terminal import Json, err, pairs_table, reported_errors, say


def cleanup(
    yes: Annotated[bool, typer.Option("--yes", help="Delete it; without this option it is only counted.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is older than the settings ENRICHMENT_KEEP_..._DAYS, and delete it with --yes."""
    with reported_errors():
        from blocks.settings import load_settings  # noqa: PLC0415 - Prefect takes seconds to import
        from tasks.cleanup import clean_up  # noqa: PLC0415

        counted = clean_up(load_settings().warehouse, delete=yes)
        shown = {name: f"{count:,}" for name, count in counted.items()}
        say(counted, as_json, lambda: pairs_table("Deleted" if yes else "Older than the settings permit", shown))
        if not yes and any(counted.values()):
            err.print("nothing was deleted: run `enrich cleanup --yes` to delete it")
