"""What must hold of the tables, the CRM and the provider's bill once a history has ended."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from blocks.warehouses._erasure import _FORGETTING
from enrichment.promises import judge
from tests.simulation.stage import Stage

#: What a person writes into a contact's field, one that the mapping writes, too.
BY_HAND = "Set By Hand"
EDITED_FIELD = "industry"


@dataclass
class Known:
    """
    What is known of a history beside its tables.

    Args:
        requests: every staged record that there ever was.
        erased: contacts that asked for it.
        back: those of them that were queued again afterwards, which may fail as others do.
        edited: fields that a person changed, with the contact.
        changed: by the request that a run worked on, contacts that HubSpot reported as changed meanwhile.
    """

    requests: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)
    back: set[str] = field(default_factory=set)
    edited: set[tuple[str, str]] = field(default_factory=set)
    changed: dict[str, str] = field(default_factory=dict)


def violations(stage: Stage, known: Known) -> Iterator[str]:
    """Yield what doesn't hold, in words."""
    yield from stage.wrongs
    yield from _of_the_audit(stage)
    yield from _of_the_queue(stage, known)
    yield from _of_the_bill(stage)
    yield from _of_people(stage, known)
    yield from _of_the_crm(stage, known)
    yield from _of_fresh_contacts(stage, known)
    yield from _of_alerts(stage)
    yield from _of_failures(stage)


def _of_the_audit(stage: Stage) -> Iterator[str]:
    """What users can check themselves."""
    with stage.warehouse() as warehouse:
        found = warehouse.read_broken(days=30, reply_days=180, threshold=0.01, notifiers="slack")
    for verdict in judge(found):
        for breach in verdict.breaches:
            yield f"{verdict.promise}: {breach.count} x {breach.check}: {', '.join(breach.examples)}"


#: A request of the same contact that ended after this one, or all of them if this one hasn't ended.
_ENDED_AGAIN = """
SELECT 1 FROM record_ledger l WHERE l.crm_id = :crm_id AND l.record_id <> :record_id
    AND l.finished_at >= COALESCE((SELECT e.finished_at FROM record_ledger e WHERE e.record_id = :record_id), '')
"""


def _of_the_queue(stage: Stage, known: Known) -> Iterator[str]:
    """Every request ends, and exactly once."""
    waiting = [row["record_id"] for row in stage.execute("SELECT record_id FROM enrichment_staging")]
    if waiting:
        yield f"{len(waiting)} contacts never end"
    ended = Counter(row["record_id"] for row in stage.execute("SELECT record_id FROM record_ledger"))
    if lost := known.requests - ended.keys() - {*waiting}:
        yield f"{len(lost)} requests are neither queued nor in the ledger"
    for record_id, crm_id in known.changed.items():
        later = {"record_id": record_id, "crm_id": crm_id}
        if crm_id not in known.erased and not stage.execute(_ENDED_AGAIN, **later):
            yield f"contact {crm_id} changed while a run worked on it, and that was the last one"
    if twice := [one for one, count in ended.items() if count > 1]:
        yield f"{len(twice)} requests ended twice"


def _of_the_bill(stage: Stage) -> Iterator[str]:
    """A reply is paid for again only if its answer was lost on the way, or with the process that had it."""
    for given, count in stage.seller.lookups.items():
        if count > 1 + stage.lost[given]:
            yield f"one contact was paid for {count} times, and {stage.lost[given]} answers were lost"

    credits_used = stage.seller.credits_used
    [kept] = stage.execute("SELECT COALESCE(SUM(credits), 0) AS credits FROM provider_replies")
    [doubt] = stage.execute("SELECT COALESCE(SUM(credits), 0) AS credits FROM doubtful_credits")
    # What was lost with a process is in no run's books; what was lost otherwise is booked at its worst.
    if kept["credits"] + doubt["credits"] + stage.lost_with_runs.total() < credits_used:
        yield f"{credits_used} credits were billed, {kept['credits']} booked, and {doubt['credits']} are in doubt"


def _of_the_crm(stage: Stage, known: Known) -> Iterator[str]:
    """Each value that was changed is on record with the one before it, unless a person changed it at once."""
    rows = stage.execute("SELECT crm_id, field, before, after FROM crm_writes")
    kept = {(row["crm_id"], row["field"], row["before"] or "", row["after"] or "") for row in rows}
    judged = {one for one in stage.changes if one[0] not in known.erased and one[:2] not in known.edited}
    lost = judged - kept
    if lost:
        yield f"{len(lost)} changes are not on record: {', '.join(sorted({f'{one[0]} {one[1]}' for one in lost}))}"


def _of_alerts(stage: Stage) -> Iterator[str]:
    """What is said to have been sent has arrived."""
    sent = stage.execute("SELECT run_id FROM enrichment_runs WHERE alert_kind <> '' AND alert_sent")
    if sent and not stage.world.slack.messages:
        yield f"{len(sent)} runs say that they alerted people, who got nothing"


#: What keeps a contact waiting, and must not end it.
_NO_FAILURES = ("asked_elsewhere", "claim_lost", "run_cancelled", "credit_cap_reached", "quota_exhausted")


def _of_failures(stage: Stage) -> Iterator[str]:
    """No contact fails because of what isn't its fault."""
    failed = stage.execute("SELECT reason FROM failed_records")
    if blameless := [row["reason"] for row in failed if row["reason"] in _NO_FAILURES]:
        yield f"{len(blameless)} contacts failed of what isn't their fault: {', '.join(sorted({*blameless}))}"


def _of_fresh_contacts(stage: Stage, known: Known) -> Iterator[str]:
    """What was answered lately isn't looked up, nor written, again, unless a person asks for it or is another one."""
    again = stage.execute(
        "SELECT l.crm_id FROM record_ledger l WHERE l.disposition IN ('written', 'unchanged') AND l.crm_id NOT IN"
        " (SELECT crm_id FROM failed_records) GROUP BY l.crm_id, l.request_key HAVING COUNT(*) > 1"
    )
    others = known.erased | {crm_id for crm_id, name in known.edited if name == "email"}
    if same := {row["crm_id"] for row in again} - others:
        yield f"{len(same)} fresh contacts were done again"


def _of_people(stage: Stage, known: Known) -> Iterator[str]:
    """What a person wrote stays, and of an erased contact nothing does."""
    for crm_id in sorted({crm_id for crm_id, name in known.edited if name == EDITED_FIELD} - known.erased):
        if stage.world.hubspot.contacts[crm_id].get(EDITED_FIELD) != BY_HAND:
            yield f"contact {crm_id} lost what a person wrote"
    for table in _FORGETTING:
        gone = known.erased - known.back if table == "failed_records" else known.erased
        if left := {row["crm_id"] for row in stage.execute(f"SELECT crm_id FROM {table}")} & gone:
            yield f"{table} still knows the erased contacts {', '.join(sorted(left))}"
