"""`enrich profile`: a look at the CRM before the first credit."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.terminal import Json, pairs_table, reported_errors, run_flow, say

if TYPE_CHECKING:
    from rich.console import Group


def profile(
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many contacts to read, of all ages; the figures are theirs.")
    ] = 2000,
    provider: Annotated[str, typer.Option(help="Provider whose cost is estimated; default: the setting.")] = "",
    as_json: Json = False,
) -> None:
    """Show for free how complete and how old the CRM's contacts are, and what it would cost to enrich them."""
    with reported_errors():
        from flows.profile_contacts import profile_contacts  # noqa: PLC0415 - Prefect takes seconds to import

        found = run_flow(profile_contacts, provider=provider, limit=limit)
        say(found, as_json, lambda: _shown(found), "`enrich backfill --all --estimate`, then `enrich report`")


def _shown(found: Any) -> "Group":
    from rich.console import Group  # noqa: PLC0415
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from enrichment.profile import profile_lines, profile_sentence, vocabulary_rows  # noqa: PLC0415

    figures = pairs_table(f"Contacts of {found.crm}", [(label, escape(value)) for label, value in profile_lines(found)])
    figures.caption = escape(profile_sentence(found))
    words = Table("field", "most frequent", "not in the vocabulary", title="Vocabulary")
    for row in vocabulary_rows(found):
        words.add_row(*map(escape, row))
    return Group(figures, words)
