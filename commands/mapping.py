"""Commands about the mapping: what has changed around it."""

from dataclasses import asdict
from typing import Annotated

import typer

from commands.terminal import ExitCode, Json, reported_errors, say


def drift(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 90,
    as_json: Json = False,
) -> None:
    """Show what has changed in providers' replies and CRM fields against the mapping; costs and changes nothing."""
    with reported_errors():
        from rich.markdown import Markdown  # noqa: PLC0415

        from tasks.drift import find_drift  # noqa: PLC0415 - Prefect takes seconds to import

        done = find_drift(days)
        following = "write the proposed lines into the provider's file or the mapping file"
        plain = asdict(done) | {"findings": [{**asdict(one), "serious": one.serious} for one in done.findings]}
        say(plain, as_json, lambda: Markdown(done.markdown()), following if done.serious else "")
        if done.serious:
            raise typer.Exit(ExitCode.FAILED)
