"""The verbs about requests to providers: the journal of replies, the reservations, and the credits of both."""

from collections.abc import Collection, Mapping, Sequence

from blocks.providers.base import Reply
from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import JournalLookup, Row
from blocks.warehouses._session import Session, Transactions
from enrichment.credits import UNCAPPED, CreditCaps, Overdraft, Spending, overdraft
from enrichment.estimate import TrackRecord
from enrichment.outcomes import CONCLUSIVE, ENRICHED


class JournalVerbs(Transactions):
    """What the pipeline asks of the journal."""

    @replayed
    def open_requests(
        self,
        provider: str,
        keys: Collection[str],
        *,
        token: str,
        lease_seconds: int,
        reply_days: int,
        run_id: str = "",
        credits_each: float = 0.0,
        caps: CreditCaps = UNCAPPED,
    ) -> JournalLookup:
        """
        Look requests up in the journal, and reserve those that it lacks, as far as the caps on credits allow.

        A key that is neither in the replies nor granted nor refused is being asked by another claim at this moment. The
        reservation comes before the reading: the other way round, a reply that arrives in between would be paid for
        again. It comes before the counting, too: whoever counts later sees it, so that no two together exceed a cap.

        Args:
            provider: to ask.
            keys: of the requests.
            token: of the claim.
            lease_seconds: how long the reservation lasts unless it is renewed.
            reply_days: how old a reply may be.
            run_id: of the run that will pay.
            credits_each: what one request costs at most.
            caps: that must hold with everything that is reserved.
        """
        wanted = {"provider": provider, "keys": list(keys)}
        with self.transaction() as session:
            if caps:
                session.read("lock_credits", provider=provider)
            session.run(
                "reserve_requests",
                token=token,
                run_id=run_id,
                credits=float(credits_each),
                lease_seconds=lease_seconds,
                **wanted,
            )
            replies = {row["request_key"]: row for row in session.read("read_replies", reply_days=reply_days, **wanted)}
            session.run("drop_reservations", provider=provider, keys=list(replies))
            reserved = sorted(row["request_key"] for row in session.read("read_reservations", token=token, **wanted))
            over = _overdraft(session, provider, run_id, caps, credits_each, len(reserved)) if caps else Overdraft()
            refused = reserved[len(reserved) - over.requests :]
            session.run("drop_reservations", provider=provider, keys=refused)
        granted = frozenset(reserved).difference(refused)
        return JournalLookup(replies, granted, frozenset(refused), over.reached)

    def read_replies(self, provider: str, keys: Collection[str], *, reply_days: int) -> dict[str, Row]:
        """Return the journal's conclusive replies by request key, without reserving anything."""
        rows = self.query("read_replies", provider=provider, keys=list(keys), reply_days=reply_days)
        return {row["request_key"]: row for row in rows}

    @replayed
    def keep_replies(self, provider: str, run_id: str, replies: Sequence[Reply]) -> None:
        """Commit replies to the journal, as received, and end their reservations."""
        rows = [
            {
                "request_key": reply.key,
                "reply": reply.body,
                "outcome": reply.outcome,
                "credits": reply.credits,
                "api_version": reply.api_version,
                "request_id": reply.request_id,
            }
            for reply in replies
        ]
        with self.transaction() as session:
            session.run("keep_replies", provider=provider, run_id=run_id, rows=rows)
            session.run("drop_reservations", provider=provider, keys=[reply.key for reply in replies])

    @replayed
    def note_doubt(self, provider: str, run_id: str, credits_billed: float) -> None:
        """Remember credits that may have been billed for answers that were lost: caps count them."""
        with self.transaction() as session:
            session.run("note_doubt", provider=provider, run_id=run_id, credits=float(credits_billed))

    def track_record(self, provider: str) -> TrackRecord:
        """Return how a provider has answered so far, by the journal."""
        rows = [row for row in self.query("summarise_journal", provider=provider) if row["outcome"] in CONCLUSIVE]
        return TrackRecord(
            sum(row["replies"] for row in rows),
            sum(row["replies"] for row in rows if row["outcome"] in ENRICHED),
            sum(float(row["credits"] or 0) for row in rows),
        )


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
