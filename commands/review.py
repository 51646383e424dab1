"""`enrich review`: the last days, and the unmatched contacts that wait for review."""

from typing import Annotated

import typer

from commands.lists import UNMATCHED_SHOWN, Csv
from commands.terminal import Json, err, reported_errors, say, say_list

Sample = Annotated[
    int,
    typer.Option(
        min=0,
        max=10_000,
        help="Read so many of the contacts finished last from the CRM, for owners, sources and edits; 0: none.",
    ),
]


def review(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 7,
    mark: Annotated[bool, typer.Option("--mark", help="Mark the unmatched contacts shown as reviewed.")] = False,
    sample: Sample = 1000,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """Show the last days, and the unmatched contacts that you haven't reviewed yet by what is most likely wrong."""
    with reported_errors():
        from rich.markdown import Markdown  # noqa: PLC0415

        from blocks.settings import load_settings  # noqa: PLC0415
        from enrichment.lists import ListFilter  # noqa: PLC0415
        from enrichment.review_text import review_markdown  # noqa: PLC0415
        from tasks.lists import read_unmatched  # noqa: PLC0415 - Prefect takes seconds to import
        from tasks.review import mark_reviewed, read_review  # noqa: PLC0415

        warehouse = load_settings().warehouse
        found = read_review(warehouse, days, sample=0 if csv else sample)
        if csv:
            say_list("Unmatched contacts", read_unmatched(ListFilter()), UNMATCHED_SHOWN, as_json, csv)
        else:
            say(
                found,
                as_json,
                lambda: Markdown(review_markdown(found, domains=True)),
                "`enrich unmatched`, then `enrich review --mark`",
            )
        if mark:
            err.print(f"{mark_reviewed(warehouse, found):,} unmatched contacts marked as reviewed")
