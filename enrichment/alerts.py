"""When people are alerted, and what they read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from enrichment.books import Books


@dataclass(frozen=True, slots=True)
class Cause:
    """How many records failed for one reason, at which step, and the CRM id of one of them."""

    reason: str
    step: str
    count: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message; `kind` is empty for the message that all is well again."""

    kind: str
    subject: str
    body: str


_MEND = {
    "failure_rate": "Fix the causes, then put the failed contacts back into the queue: {replay}",
    "quota_exhausted": "Raise the quota, or wait for its renewal. The remaining contacts wait in the queue for the "
    "next run.",
    "credentials_rejected": "Renew the credential and check it with `enrich doctor`. The remaining contacts wait in "
    "the queue.",
    "request_refused": "Do what the message says: add the permission or correct the setting that it names, and check "
    "it with `enrich doctor`. The remaining contacts wait in the queue.",
    "crashed": "Read the flow run's log. The locks of a run that died expire by themselves, and the next run "
    "continues.",
}


def alert_kind(books: Books, *, threshold: float, stop_kind: str) -> str:
    """Return why people should be alerted, or nothing: a stop outranks a failure rate above the threshold."""
    if stop_kind:
        return stop_kind
    return "failure_rate" if books.failure_rate > threshold else ""


def compose_alert(
    kind: str,
    previous: str,
    *,
    run: str,
    books: Books,
    causes: Iterable[Cause],
    stop: str,
    replay: str,
) -> Alert | None:
    """
    Return the message that this change of state deserves, or None if nothing changed.

    Args:
        kind: why people should be alerted now; empty if all is well.
        previous: the kind of the last alert; empty if all was well.
        run: the run's name and id.
        books: the run's books.
        causes: failures by reason.
        stop: why the run stopped early, if it did.
        replay: the command that puts dead letters back.
    """
    if kind == previous:
        return None
    back = f"{books.finished:,} finished, {books.returned:,} back in the queue"
    counts = f"{books.claimed:,} contacts taken from the queue, {back}"
    if not kind:
        return Alert("", f"Contact enrichment works again ({previous} is over)", f"{run}\n{counts}")
    lines = [f"{cause.count:,} x {cause.reason} at {cause.step}" for cause in causes]
    parts = [run, counts, stop, *lines, _MEND[kind].format(replay=replay)]
    return Alert(kind, _subject(kind, books), "\n".join(part for part in parts if part))


def compose_version_notice(provider: str, before: Sequence[str], now: Sequence[str], *, run: str) -> Alert:
    """Return the message that a provider speaks another version of its API than in the last run; nothing failed."""
    change = f"{', '.join(now)} instead of {', '.join(before)}"
    body = f"{run}\nThe meaning of its answers may have changed: check the match rate and the fields of this run."
    return Alert("api_version", f"Contact enrichment: {provider} answers with API version {change}", body)


def _subject(kind: str, books: Books) -> str:
    if kind == "failure_rate":
        return f"Contact enrichment: {books.failure_rate:.1%} of {books.claimed:,} contacts failed"
    if kind == "crashed":
        return "Contact enrichment: part of a run failed unexpectedly"
    return f"Contact enrichment stopped: {kind.replace('_', ' ')}"
