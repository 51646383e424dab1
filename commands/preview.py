"""A dry run's table: what a run would write, and what it must pay for first."""

from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from rich.table import Table

    from enrichment.write_policy import Refusal
    from tasks.preview import Preview


def preview_table(preview: "Preview") -> "Table | str":
    """Return the changes that a run would write, or why there are none to show."""
    from rich.table import Table  # noqa: PLC0415

    from enrichment.wording import RESULTS, contacts, in_credits  # noqa: PLC0415

    table = Table("contact", "field", "now", "would be", title=f"Dry run over {preview.records:,} queued contacts")
    for crm_id, changes in preview.changes.items():
        for change in changes:
            table.add_row(crm_id, change.field, escape(change.before or ""), escape(change.after))
    for crm_id, refusals in preview.refusals.items():
        for refusal in refusals:
            table.add_row(crm_id, refusal.field, "", escape(f"not written: {_refusal(refusal)}"))
    ends = ", ".join(f"{count:,} {RESULTS[result]}" for result, count in sorted(preview.results.items()))
    unpaid = "no paid lookup is needed"
    if preview.unpaid:
        needed = f"{contacts(preview.unpaid)} need{'s' * (preview.unpaid == 1)} a paid lookup first"
        unpaid = f"{needed}, at most {in_credits(preview.most_credits)}"
    if not preview.records:
        return "nothing to preview: no contact waits in the queue; `enrich stage` queues some"
    if not table.rows:
        return f"nothing to preview{' yet' * bool(preview.unpaid)}: {unpaid}; results: {ends or 'none yet'}"
    table.caption = f"results: {ends or 'none yet'}; {unpaid}"
    return table


def _refusal(refusal: "Refusal") -> str:
    from enrichment.causes import refused  # noqa: PLC0415

    words = refused(refusal.reason, "the CRM").words
    return f"{refusal.value}: {words}" if refusal.value else words
