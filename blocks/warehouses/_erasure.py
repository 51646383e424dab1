"""
Erasing one contact: what the tables say of the person goes; hashes stay, which prevent another lookup.

An engine without transactions runs these statements one by one, so their order matters. The suppression comes first. A
request is noted before it is paid for, and only while its record is in the queue; so the requests are read once the
record has left it. What leads to the rest is deleted last, so that a half-done erasure may be repeated.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from blocks.warehouses._rows import Row, finished_row, row_of
from blocks.warehouses._session import Session
from blocks.warehouses._values import Erased
from enrichment.identifiers import suppression_keys
from enrichment.names import names_in
from enrichment.records import ERASED_ADDRESS, Contact, Disposition, Finished, Origin

#: Why a hashed identifier is suppressed, and why a staged record ended.
REASON = "erased"

#: How long another run leaves the record alone, should the erasure break off in between.
_LEASE_SECONDS = 600

_FORGETTING = {
    "enriched_contacts": "forget_contact",
    "enrichment_history": "forget_history",
    "unmatched_records": "forget_unmatched",
    "crm_writes": "forget_writes",
    "planned_changes": "forget_planned",
    "field_refusals": "forget_refusals",
    "failed_records": "forget_dead_letters",
}


def erase(session: Session, origin: Origin, crm_id: str, token: str, by: str = "") -> Erased:
    """
    Erase one contact.

    Args:
        session: a transaction.
        origin: whose contact.
        crm_id: the contact's id in it; may be unknown here.
        token: fresh, never used before.
        by: who erases it.
    """
    subject = _contact_keys(origin, crm_id)[0]
    who = {**row_of(origin), "crm_id": crm_id}
    # The erasure claims the record: a run at work on it has lost it, and every later update of that run finds nothing.
    session.run("take_records", token=token, lease_seconds=_LEASE_SECONDS, **who)
    records = session.read("read_claim", token=token)
    addresses = {row["email_address"] for row in (*records, *session.read("read_addresses", **who))}
    session.run("note_suppression", keys=[subject], action=REASON, reason="", changed_by=by)
    session.run("suppress_keys", keys=_contact_keys(origin, crm_id, addresses), subject=subject, reason=REASON)
    counts = {"enrichment_staging": _end(session, token, records)}
    requests = session.read("read_requests", **who)
    counts |= {table: session.run(query, **who) for table, query in _FORGETTING.items()}
    counts["provider_replies"] = _blank_replies(session, requests, subject)
    session.run("blank_ledger", **who)
    session.run("forget_requests", **who)
    return Erased(counts)


def note_merges(session: Session, merges: Iterable[tuple[Origin, str, str]]) -> None:
    """Remember which contacts were merged into which: what is kept of a person stays under the ids from before."""
    by_survivor: dict[str, set[str]] = {}
    for origin, crm_id, survivor in merges:
        by_survivor.setdefault(_merged_into(origin, survivor), set()).add(crm_id)
    for name, ids in sorted(by_survivor.items()):
        session.run("save_cursor", name=name, cursor=",".join(sorted(ids.union(_noted(session, name)))))


def with_merged(session: Session, origin: Origin, crm_id: str) -> list[str]:
    """Return a contact's id, and those of the contacts that were merged into it, one after the other if need be."""
    found = [crm_id]
    for one in found:
        found += [each for each in _noted(session, _merged_into(origin, one)) if each not in found]
    return found


def _merged_into(origin: Origin, survivor: str) -> str:
    return f"merged into {origin.crm} {origin.object_type} {survivor}"


def _noted(session: Session, name: str) -> list[str]:
    return [crm_id for row in session.read("read_cursor", name=name) for crm_id in names_in(row["cursor"])]


def erased_among(session: Session, keys: Collection[str]) -> frozenset[str]:
    """Return those of the hashed identifiers and request keys that an erasure left."""
    rows = session.read("read_suppressed", keys=list(keys))
    return frozenset(row["key_hash"] for row in rows if row["reason"] == REASON)


def drop_erased_replies(session: Session, provider: str, keys: Collection[str]) -> None:
    """
    Blank the replies that arrived after their contact was erased.

    It comes after the replies and the end of their reservations: an erasure locks the same reservations, so either it
    waited for us and sees the replies, or we waited for it and see what it suppressed.
    """
    erased = erased_among(session, keys)
    if erased:
        session.run("blank_replies", provider=provider, keys=sorted(erased))


def forget_late(session: Session, origin: Origin, crm_ids: Iterable[str]) -> None:
    """Remove what a chunk kept of contacts after they were erased; happens where an engine has no transactions."""
    by_key = {_contact_keys(origin, crm_id)[0]: crm_id for crm_id in crm_ids}
    for key in sorted(erased_among(session, by_key.keys())):
        for query in _FORGETTING.values():
            session.run(query, **row_of(origin), crm_id=by_key[key])


def without_erased_addresses(session: Session, rows: Sequence[Row]) -> list[Row]:
    """Return rows to be staged, with a mark in place of the e-mail address of a person who was erased."""
    keys = {
        row["record_id"]: set(
            _contact_keys(Origin(row["crm"], row["object_type"]), row["crm_id"], [row["email_address"]])
        )
        for row in rows
        if row["email_address"]
    }
    erased = erased_among(session, sorted(set().union(*keys.values()))) if keys else frozenset()
    return [
        row | {"email_address": ERASED_ADDRESS} if erased & keys.get(row["record_id"], set()) else row for row in rows
    ]


def _contact_keys(origin: Origin, crm_id: str, addresses: Iterable[str | None] = ()) -> list[str]:
    keys = suppression_keys(Contact(crm_id), origin)
    for address in addresses:
        keys += suppression_keys(Contact(crm_id, address), origin)
    return list(dict.fromkeys(keys))


def _end(session: Session, token: str, records: Sequence[Row]) -> int:
    """
    Give each record of the erasure's claim its one ledger row, and delete it.

    The row names no run: the run that held the record counts it as lost, so its books balance.
    """
    ended = [finished_row(Finished(row["record_id"], Disposition.SUPPRESSED, REASON)) for row in records]
    session.run("write_ledger", token=token, run_id="", rows=ended)
    session.run("delete_finished", token=token, rows=ended)
    return len(ended)


def _blank_replies(session: Session, requests: Sequence[Row], subject: str) -> int:
    """
    Leave of the replies what they cost and when, and keep a late one from being read.

    What two contacts with the same identifiers were answered is about the same person, so it goes for both.
    """
    keys = {row[name] for row in requests for name in ("request_key", "email_key") if row[name]}
    session.run("suppress_keys", keys=sorted(keys), subject=subject, reason=REASON)
    blanked = 0
    for provider, rows in groupby(sorted(requests, key=itemgetter("provider")), key=itemgetter("provider")):
        asked = {"provider": provider, "keys": sorted(row["request_key"] for row in rows)}
        blanked += session.run("blank_replies", **asked)
        # The reservations stay: they hold the credits of calls that are under way, until the runs keep the replies.
        session.run("lock_reservations", **asked)
        blanked += session.run("blank_replies", **asked)  # a run that was keeping one has committed it by now
    return blanked
