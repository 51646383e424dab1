"""The verbs about requests to providers: the journal of replies, the reservations, and the credits of both."""

from collections.abc import Collection, Mapping, Sequence

from blocks.providers.base import Reply
from blocks.warehouses import _erasure
from blocks.warehouses._rows import change_row, contact_row, enrichment_of, reply_of, reply_row, row_of
from blocks.warehouses._session import Session, Transactions, replayed
from blocks.warehouses._values import JournalLookup, MadeFor, PlannedWrite, SavedReply
from enrichment.credits import UNCAPPED, CreditCaps, Overdraft, Spending, overdraft
from enrichment.estimate import TrackRecord
from enrichment.records import CONCLUSIVE, Claim, EarlierWrites, Enrichment, Found, OpenWrite, Origin, Unmatched
from enrichment.story import Allowance, Suppression


class JournalVerbs(Transactions):
    """What the pipeline needs of the journal."""

    @replayed
    def open_requests(
        self,
        provider: str,
        keys: Collection[str],
        *,
        token: str,
        lease_seconds: int,
        reply_days: int,
        miss_days: int,
        made_for: Sequence[MadeFor] = (),
        run_id: str = "",
        credits_each: float = 0.0,
        caps: CreditCaps = UNCAPPED,
    ) -> JournalLookup:
        """
        Look requests up in the journal, and reserve those that it lacks, within the caps on credits.

        A key that is in none of the results is being queried by another claim at this moment. The reservation comes
        before the reading: the other way round, a reply that arrives in between would be paid for again. It comes
        before the counting, too: a claim that counts later sees it, so that no two together exceed a cap.

        Args:
            provider: to query.
            keys: of the requests.
            token: of the claim.
            lease_seconds: how long the reservation lasts unless it is renewed.
            reply_days: how old a reply may be, but for a miss.
            miss_days: how old a reply may be that doesn't know the contact.
            made_for: for whom the requests are made, so that an erasure finds their replies.
            run_id: of the run that will pay.
            credits_each: what one request costs at most.
            caps: that must hold with everything that is reserved.
        """
        with self._transaction() as session:
            if caps:
                session.read("lock_credits")
            erased = _erasure.erased_among(session, keys)
            wanted = {"provider": provider, "keys": [key for key in keys if key not in erased]}
            session.run(
                "reserve_requests",
                token=token,
                run_id=run_id,
                credits=float(credits_each),
                lease_seconds=lease_seconds,
                **wanted,
            )
            session.run("note_requests", provider=provider, token=token, rows=[row_of(one) for one in made_for])
            rows = session.read("read_replies", reply_days=reply_days, miss_days=miss_days, **wanted)
            replies = {row["request_key"]: reply_of(row) for row in rows}
            session.run("drop_reservations", provider=provider, run_id=run_id, keys=list(replies))
            reserved = sorted(row["request_key"] for row in session.read("read_reservations", token=token, **wanted))
            over = _overdraft(session, provider, run_id, caps, credits_each, len(reserved)) if caps else Overdraft()
            refused = reserved[len(reserved) - over.requests :]
            session.run("drop_reservations", provider=provider, run_id=run_id, keys=refused)
        granted = frozenset(reserved).difference(refused)
        return JournalLookup(replies, granted, erased, frozenset(refused), over.reached)

    def read_replies(
        self, provider: str, keys: Collection[str], *, reply_days: int, miss_days: int
    ) -> dict[str, SavedReply]:
        """Return the journal's conclusive replies by request key, without reserving anything."""
        rows = self._query(
            "read_replies", provider=provider, keys=list(keys), reply_days=reply_days, miss_days=miss_days
        )
        return {row["request_key"]: reply_of(row) for row in rows}

    def reply_page(self, provider: str, *, since: str, after: str = "", limit: int) -> list[SavedReply]:
        """
        Return replies with data of a provider, by their keys: these are hashes, so that the first ones are a sample.

        Args:
            provider: its name.
            since: the moment since which they came, as ISO-8601 UTC text.
            after: the key of the last reply of an earlier page; empty for the beginning.
            limit: the most replies.
        """
        rows = self._query("read_reply_page", provider=provider, since=since, after=after, limit=limit)
        return [reply_of(row) for row in rows]

    def remappable(
        self, origin: Origin, *, provider: str = "", crm_id: str = "", since: str, after: str = "", limit: int
    ) -> list[str]:
        """
        Return the ids of contacts about which a provider has answered, in their order.

        Args:
            origin: whose contacts.
            provider: its name; empty: any.
            crm_id: only this contact; empty: any.
            since: the moment since which the answers came, as ISO-8601 UTC text.
            after: the last id of an earlier page; empty for the beginning.
            limit: the most contacts.
        """
        which = {"provider": provider, "crm_id": crm_id, "since": since, "after": after, "limit": limit}
        return [row["crm_id"] for row in self._query("read_remappable", **row_of(origin), **which)]

    def read_suppressed(self, keys: Collection[str]) -> set[str]:
        """Return those of the hashed keys that are suppressed."""
        return {row["key_hash"] for row in self._query("read_suppressed", keys=list(keys))}

    def read_suppressions(self, keys: Mapping[str, str]) -> list[Suppression]:
        """Return the suppressions of hashed keys; each key comes with the CRM that it stands for."""
        rows = self._query("read_suppressed", keys=list(keys))
        return [Suppression(keys[row["key_hash"]], row["reason"], row["suppressed_at"]) for row in rows]

    @replayed
    def suppress(self, keys: Collection[str], reason: str, by: str = "") -> None:
        """Remember hashed identifiers that must never be looked up, and who wished it."""
        with self._transaction() as session:
            session.run("note_suppression", keys=list(keys), action="suppressed", reason=reason, changed_by=by)
            session.run("suppress_keys", keys=list(keys), subject="", reason=reason)

    @replayed
    def allow(self, key: str, by: str) -> int:
        """
        Take off the suppression list what was put on it for this hashed identifier, and note who did.

        Returns:
            how many hashes that were: of an erased contact also those of its address and its requests.
        """
        with self._transaction() as session:
            session.run("note_suppression", keys=[key], action="allowed", reason="", changed_by=by)
            return session.run("allow_key", subject=key)

    def read_allowances(self, keys: Mapping[str, str]) -> list[Allowance]:
        """Return who took which of these keys off the list; each key comes with the CRM that it stands for."""
        rows = self._query("read_allowances", keys=list(keys))
        return [Allowance(keys[row["key_hash"]], row["changed_by"], row["changed_at"]) for row in rows]

    @replayed
    def keep_replies(self, provider: str, run_id: str, replies: Sequence[Reply]) -> None:
        """
        Commit replies to the journal, as received, and end their reservations; nothing is kept of the erased.

        A reply that says nothing leaves its reservation to the claim, which may be about to repeat the request.
        """
        rows, keys = [reply_row(reply) for reply in replies], [reply.key for reply in replies]
        answered = [reply.key for reply in replies if reply.outcome in CONCLUSIVE]
        with self._transaction() as session:
            session.run("keep_replies", provider=provider, run_id=run_id, rows=rows)
            end_reservations(session, provider, run_id, answered)
            _erasure.drop_erased_replies(session, provider, keys)

    @replayed
    def note_doubt(self, provider: str, run_id: str, credits_billed: float) -> None:
        """Remember credits that may have been billed for answers that were lost, or can't be read: caps count them."""
        with self._transaction() as session:
            session.run("note_doubt", provider=provider, run_id=run_id, credits=float(credits_billed))

    def credits_today(self, provider: str) -> float:
        """Return what a provider has cost today (UTC), with what is reserved or in doubt, as its cap counts it."""
        (row,) = self._query("read_credits", provider=provider, run_id="")
        return _spending(row).day

    def track_record(self, provider: str) -> TrackRecord:
        """Return how a provider has answered so far: replies and credits by the journal, matches by the ledger."""
        with self._reading() as session:
            summary = session.read("summarise_journal", provider=provider)
            (known,) = session.read("count_known", provider=provider)
        rows = [row for row in summary if row["outcome"] in CONCLUSIVE]
        return TrackRecord(
            sum(row["replies"] for row in rows),
            sum(float(row["credits"] or 0) for row in rows),
            int(known["matched"]),
            int(known["unmatched"]),
        )


def end_reservations(session: Session, provider: str, run_id: str, keys: Sequence[str]) -> None:
    """End a run's reservations of requests that were answered; of those that another run has taken over, lock them."""
    if session.run("drop_reservations", provider=provider, run_id=run_id, keys=keys) < len(keys):
        session.run("lock_reservations", provider=provider, keys=keys)


def _overdraft(
    session: Session, provider: str, run_id: str, caps: CreditCaps, credits_each: float, reserved: int
) -> Overdraft:
    # One statement sees one moment, in which a reply that takes its reservation's place may count twice, never not.
    (row,) = session.read("read_credits", provider=provider, run_id=run_id)
    return overdraft(caps, _spending(row), credits_each=credits_each, reserved=reserved)


def _spending(row: Mapping[str, float]) -> Spending:
    day = float(row["day_spent"]) + float(row["day_reserved"]) + float(row["day_doubtful"])
    run = float(row["run_spent"]) + float(row["run_reserved"]) + float(row["run_doubtful"])
    return Spending(day, run, float(row["seconds_left"]))


class ResultVerbs(Transactions):
    """What the pipeline needs of the tables of results."""

    @replayed
    def store(
        self, claim: Claim, origin: Origin, found: Sequence[Found], unmatched: Sequence[Unmatched], *, provider: str
    ) -> frozenset[str]:
        """
        Keep results, and mark their staged records enriched.

        Returns:
            the ids of the records that the claim still holds; nothing is kept of the others.
        """
        ids = [item.record.record_id for item in found] + [row.record_id for row in unmatched]
        with self._transaction() as session:
            session.run("lock_claim", token=claim.token)
            held = frozenset(row["record_id"] for row in session.read("read_held", token=claim.token, ids=ids))
            rows = [contact_row(item, claim.run_id) for item in found if item.record.record_id in held]
            misses = [row_of(row) for row in unmatched if row.record_id in held]
            session.run("upsert_contacts", **row_of(origin), run_id=claim.run_id, rows=rows)
            session.run("append_history", **row_of(origin), run_id=claim.run_id, rows=rows)
            session.run("upsert_unmatched", **row_of(origin), run_id=claim.run_id, provider=provider, rows=misses)
            session.run("mark_enriched", token=claim.token, rows=rows)
        return held

    def read_enriched(self, origin: Origin, crm_ids: Collection[str]) -> dict[str, Enrichment]:
        """Return what is stored of these contacts, by CRM id."""
        rows = self._query("read_enriched", **row_of(origin), ids=list(crm_ids))
        return {row["crm_id"]: enrichment_of(row) for row in rows}

    @replayed
    def plan_writes(self, claim: Claim, origin: Origin, planned: Sequence[PlannedWrite]) -> frozenset[str]:
        """
        Record what will be sent to the CRM before it is sent, so that a crash in between loses no `before`.

        Returns:
            the ids of the records that the claim still holds; only those may be sent.
        """
        with self._transaction() as session:
            session.run("lock_claim", token=claim.token)
            rows_held = session.read("read_held", token=claim.token, ids=[item.record_id for item in planned])
            held = frozenset(row["record_id"] for row in rows_held)
            rows = [
                change_row(item.crm_id, change) for item in planned if item.record_id in held for change in item.changes
            ]
            session.run("plan_writes", **row_of(origin), run_id=claim.run_id, is_undo=False, rows=rows)
        return held

    def earlier_writes(self, origin: Origin, crm_ids: Collection[str], run_id: str) -> EarlierWrites:
        """Return what was planned of these contacts and never confirmed, and which of them the run has changed."""
        rows = self._query("read_earlier_writes", **row_of(origin), ids=list(crm_ids), run_id=run_id)
        changed = frozenset(row["crm_id"] for row in rows if row["is_written"])
        unconfirmed = (
            OpenWrite(row["crm_id"], row["field"], row["after"], row["run_id"]) for row in rows if not row["is_written"]
        )
        return EarlierWrites(tuple(unconfirmed), changed)
