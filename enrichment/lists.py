"""What people list: failed, unmatched and queued contacts and fields that were not written, as rows with words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from enrichment import causes
from enrichment.records import State
from enrichment.unmatched import Suggestion, UnmatchedItem
from enrichment.wording import contacts

#: As long ago as any row, and as many rows as there may be.
EVER, ALL = "1970-01-01T00:00:00.000Z", 2**31 - 1


@dataclass(frozen=True, slots=True)
class ListFilter:
    """
    What of a list is wanted; an empty text excludes nothing.

    Args:
        run_id: of this run.
        reason: with this cause.
        field: about this CRM field.
        lane: of this lane.
        since: from this moment on, as ISO-8601 UTC text.
        limit: the most rows.
    """

    run_id: str = ""
    reason: str = ""
    field: str = ""
    lane: str = ""
    since: str = EVER
    limit: int = ALL


@dataclass(frozen=True, slots=True)
class FailedItem:
    """
    A failed contact that waits for a retry; all times here are ISO-8601 UTC text.

    Args:
        crm, object_type, crm_id: of the contact.
        step, reason, error, run_id: of its last failure.
        last_at: when it failed last; `first_at` is when it failed first since it was written.
        attempts: in all of these failures.
        failures: how many there were: a retry that fails again adds one.
    """

    crm: str
    object_type: str
    crm_id: str
    step: str
    reason: str
    error: str
    run_id: str
    last_at: str
    first_at: str
    attempts: int
    failures: int


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """A contact's field that was not written and still isn't; the value is absent if it may not be kept."""

    crm: str
    object_type: str
    crm_id: str
    field: str
    reason: str
    value: str | None
    run_id: str
    last_at: str
    first_at: str


@dataclass(frozen=True, slots=True)
class QueuedItem:
    """A queued contact; a locked one has the run that holds it, and until when."""

    crm: str
    object_type: str
    crm_id: str
    lane: str
    state: str
    source: str
    attempts: int
    run_id: str | None
    staged_at: str
    not_before: str | None
    claim_expires_at: str | None


Row = dict[str, Any]


def failed_rows(items: Iterable[FailedItem], pages: Mapping[str, str]) -> list[Row]:
    """
    Return failed contacts as rows.

    Args:
        items: the contacts.
        pages: by CRM the address of a contact's page, `{crm_id}` in the id's place.
    """
    return [
        {
            **_who(one, pages),
            "cause": one.reason,
            "words": (cause := causes.failed(one.reason, one.step, one.crm)).words,
            "step": one.step,
            "attempts": one.attempts,
            "failures": one.failures,
            "first_at": one.first_at,
            "last_at": one.last_at,
            "run_id": one.run_id,
            "error": one.error,
            **_repair(cause, f"enrich retry {one.crm_id}"),
        }
        for one in items
    ]


def refused_rows(items: Iterable[RefusedItem], pages: Mapping[str, str]) -> list[Row]:
    """Return fields that were not written as rows; see `failed_rows`."""
    return [
        {
            **_who(one, pages),
            "field": one.field,
            "cause": one.reason,
            "words": (cause := causes.refused(one.reason, one.crm, one.field)).words,
            "value": one.value or "",
            "first_at": one.first_at,
            "last_at": one.last_at,
            "run_id": one.run_id,
            **_repair(cause, cause.command),
        }
        for one in items
    ]


def unmatched_rows(found: Iterable[tuple[UnmatchedItem, Suggestion]], pages: Mapping[str, str]) -> list[Row]:
    """
    Return unmatched contacts as rows; see `failed_rows`.

    Args:
        found: contacts, with what is most likely wrong; their cause is that, else the provider's reason.
        pages: as there.
    """
    return [
        {
            **_who(one, pages),
            "cause": (code := suggestion.cause or one.reason),
            "words": (cause := causes.not_found(code, one.crm_id)).words,
            "likely_domain": suggestion.domain,
            "provider": one.provider,
            "reason": one.reason,
            # The ledger may have been cleaned up, and is written a little later.
            "first_at": min(one.first_at or one.last_at, one.last_at),
            "last_at": one.last_at,
            "run_id": one.run_id,
            **_repair(cause, cause.command),
        }
        for one, suggestion in found
    ]


def queued_rows(items: Iterable[QueuedItem], pages: Mapping[str, str], now: str) -> list[Row]:
    """Return queued contacts as rows; see `failed_rows`."""
    return [
        {
            **_who(one, pages),
            "queue": one.lane,
            "state": state_in_words(one, now),
            "source": one.source,
            "attempts": one.attempts,
            "queued_at": one.staged_at,
            "not_before": one.not_before or "",
            "locked_by": one.run_id or "",
            "locked_until": one.claim_expires_at or "",
        }
        for one in items
    ]


def state_in_words(one: QueuedItem, now: str) -> str:
    """Return where a queued contact stands, by the warehouse's clock."""
    stored = "stored, the CRM lacks it; " if one.state == State.ENRICHED else ""
    if one.claim_expires_at:
        ended = one.claim_expires_at < now
        return stored + ("its lock has ended, so the next run takes it" if ended else f"locked by run {one.run_id}")
    if one.not_before and one.not_before > now:
        return f"{stored}waits until {one.not_before}"
    return f"{stored}waits"


def _who(one: FailedItem | RefusedItem | UnmatchedItem | QueuedItem, pages: Mapping[str, str]) -> Row:
    page = pages.get(one.crm, "")
    return {"contact": one.crm_id, "crm": one.crm, "link": page.replace("{crm_id}", one.crm_id)}


def _repair(cause: causes.Explained, command: str) -> Row:
    return {"fix": cause.fix, "command": command}


def shown(rows: Iterable[Row], columns: Iterable[str]) -> list[Row]:
    """Return columns of listed rows for a table in Prefect, which cuts what is wide: the short ones come first."""
    names = ["contact", *columns]
    return [{name: row[name] for name in names} for row in rows]


def causes_of(rows: Iterable[Row], following: str) -> list[str]:
    """
    Return what the causes of listed contacts mean and what to do, the most frequent first.

    Args:
        rows: of a list.
        following: the command for a cause, which stands for `{cause}`, and a field, for `{field}`; or empty.
    """
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["cause"], row["words"]), []).append(row)
    lines = []
    for (cause, words), alike in sorted(found.items(), key=lambda item: -len(item[1])):
        command = following.format(cause=cause, field=alike[0].get("field", ""))
        advice = causes.Explained(words, alike[0]["fix"], command).advice
        lines.append(f"{contacts(len(alike))}: {cause}: {words}" + (f"; {advice}" if advice else ""))
    return lines
