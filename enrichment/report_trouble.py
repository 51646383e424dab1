"""What the report says of trouble: failures, unmatched contacts, and what providers and runs met."""

from collections import defaultdict
from collections.abc import Sequence

from enrichment.causes import failed, refused
from enrichment.promises import Breach, Verdict
from enrichment.records import Outcome
from enrichment.report import ReportCounts, Section, Spent, Step, Table
from enrichment.review import Review
from enrichment.review_text import (
    EDITED_HEAD,
    INVALID_HEAD,
    MISTYPED_HEAD,
    SHARE_HEAD,
    UNMATCHED_HEAD,
    edited_cells,
    invalid_cells,
    mistyped_cells,
    share_cells,
    unmatched_cells,
)
from enrichment.wording import in_credits


def failures(counts: ReportCounts, review: Review) -> Section:
    """Return what failed and what was not written, by cause, with the command that repairs it."""
    waiting = sum(group.waiting for group in review.failures)
    says = (
        f"{waiting:,} failed contacts wait until they are queued again; none is lost, and saved replies are reused. "
        "A field that was not written keeps the value that it had."
    )
    rows = []
    for group in review.failures:
        cause = failed(group.reason, group.step)
        rows.append(
            (cause.words, f"{group.records:,}", f"{group.waiting:,}", f"enrich why {group.example}", cause.command)
        )
    not_written = []
    for one in review.refusals:
        cause = refused(one.reason, "the CRM", one.field)
        not_written.append((one.field, cause.words, f"{one.contacts:,}", cause.command))
    tables = [
        Table("Failed contacts by cause", ("cause", "in this time", "waiting", "example", "fixed by"), rows),
        Table("Fields that were not written", ("field", "why", "contacts", "fixed by"), not_written),
    ]
    each = _credits_each(counts.spending)
    price = f"at most about {in_credits(round(waiting * each))}; nothing where the reply is saved"
    steps = [
        Step("enrich failures", "lists them, with the cause of each and what to do"),
        Step("enrich retry --all", "puts them back into the queue for the next run, once the causes are fixed", price),
    ]
    return Section(
        "failures",
        "Failures and fields that were not written",
        says,
        tables=[table for table in tables if table.rows],
        steps=steps if waiting else [],
    )


def _credits_each(spending: Sequence[Spent]) -> float:
    """Return the credits of one answer that cost any, on average."""
    paid = [one for one in spending if one.credits]
    replies = sum(one.replies for one in paid)
    return sum(one.credits for one in paid) / replies if replies else 0.0


def unmatched(review: Review) -> Section:
    """Return who wasn't matched and isn't reviewed, by what is most likely wrong, and where such contacts come from."""
    waiting = sum(group.records for group in review.unmatched)
    says = (
        f"{waiting:,} unmatched contacts haven't been reviewed. They aren't failures: a provider doesn't know them, or "
        "what the CRM has of them is too little. A correction in the CRM queues the contact again."
    )
    tables = [
        _in_words("Unmatched contacts by cause", UNMATCHED_HEAD, unmatched_cells(review)),
        Table("Domains that look mistyped", MISTYPED_HEAD, mistyped_cells(review)),
        _in_words("Invalid contacts by reason", INVALID_HEAD, invalid_cells(review)),
        Table("Sources and owners with the most contacts without a result", SHARE_HEAD, share_cells(review)),
        Table("Fields that people changed after us", EDITED_HEAD, edited_cells(review)),
    ]
    steps = [
        Step("enrich unmatched", "lists them, with what to do about each"),
        Step("enrich review --csv review.csv", "writes them into a file for a spreadsheet"),
        Step("enrich review --mark", "marks them as reviewed, once you have seen them"),
    ]
    return Section(
        "unmatched",
        "Unmatched contacts",
        says,
        tables=[table for table in tables if table.rows],
        steps=steps if review.unmatched else [],
    )


def _in_words(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table without its codes, which stand in the first column, and without marks of code."""
    return Table(caption, head[1:], [[cell.replace("`", "") for cell in row[1:]] for row in rows])


def operations(counts: ReportCounts) -> Section:
    """Return which API versions were met, how runs ended, and how often a provider said to wait."""
    versions: dict[tuple[str, str], list[Spent]] = defaultdict(list)
    for one in counts.spending:
        versions[one.provider, one.api_version or "none given"].append(one)
    rows = [
        (
            provider,
            version,
            f"{sum(one.replies for one in parts):,}",
            min(one.week for one in parts),
            max(one.week for one in parts),
        )
        for (provider, version), parts in sorted(versions.items())
    ]
    again = sum(one.replies for one in counts.spending if one.outcome == Outcome.RETRYABLE)
    runs = [
        (one.state, one.stop_kind.replace("_", " ") or "by itself", f"{one.runs:,}", one.last_week)
        for one in sorted(counts.runs, key=lambda one: -one.runs)
    ]
    stopped = sum(one.runs for one in counts.runs if one.stop_kind)
    says = (
        f"Runs: {sum(one.runs for one in counts.runs):,}, of which {stopped:,} ended early: at a quota, a cap or a "
        "pause, or because credentials were refused. Answers that said only to try again later, such as at a rate "
        f"limit: {again:,}; those contacts went back to the queue. A new API version may change what fields hold."
    )
    tables = [
        Table("API versions", ("provider", "version", "answers", "first week", "last week"), rows),
        Table("Runs by how they ended", ("state", "ended", "runs", "last week"), runs),
    ]
    step = Step("enrich doctor", "checks that every system answers")
    return Section(
        "operations", "API versions, pauses and limits", says, tables=[one for one in tables if one.rows], steps=[step]
    )


def audited(verdicts: Sequence[Verdict]) -> Section:
    """Return which promises are kept, and what broke the others."""
    broken = [one for one in verdicts if not one.kept]
    says = (
        f"{len(verdicts) - len(broken):,} of {len(verdicts):,} promises are kept, by what the tables say: among them "
        "that no contact is lost and that nothing is paid for twice."
    )
    rows = [(one.text, "kept" if one.kept else "broken", "; ".join(map(_breach, one.breaches))) for one in verdicts]
    table = Table("Promises", ("promise", "is", "where not"), [*sorted(rows, key=lambda row: row[1])])
    step = Step("enrich audit", "checks them again, and names the ids")
    return Section("audit", "What always holds", says, tables=[table], steps=[step])


def _breach(breach: Breach) -> str:
    return f"{breach.count:,} x {breach.rule}"
