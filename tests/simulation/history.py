"""One history: what a seed lets happen to a few runs on one queue, and what must hold afterwards."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import httpx
from urllib3.exceptions import ProtocolError

from blocks.warehouses.base import NewRecord
from enrichment.errors import BooksUnbalancedError, EnrichmentError, TransientError
from enrichment.identifiers import normalise_email
from flows.enrich_contacts import enrich_contacts
from sandbox.faults import Kind
from tasks import locks
from tasks.intake import stage_listed
from tasks.present_run import LocalRun, entered
from tests.simulation.baton import Run, Seam
from tests.simulation.judging import BY_HAND, EDITED_FIELD, Known, violations
from tests.simulation.stage import BILLS_EACH_TIME, HUBSPOT, PROVIDERS, Stage, Terms

#: Runs after the faults have stopped, within which everything must end.
_LAST_RUNS = 2
#: Where locks are, until when each lasts, and whose it is.
_LOCKS = (
    ("enrichment_staging", "claim_expires_at", "claim_run_id"),
    ("lookup_reservations", "reserved_until", "run_id"),
)
_LOCKED = "SELECT crm_id FROM enrichment_staging WHERE claimed_by IS NOT NULL ORDER BY crm_id"
#: What decides whether something is lost or done twice: more happens there.
_DECISIVE = frozenset(
    {"claim", "keep_replies", "store", "plan_writes", "settle", "POST enrich", "POST bulk", "POST update"}
)
_LESS_CALM = 0.75
_MOST_RUNS = 5
#: A history that passes more of them doesn't end.
_MOST_SEAMS = 3_000
#: The chance that, of a process that has woken up, the timer comes before the next step.
_TIMER_FIRST = 0.2
#: How often two contacts are one person, and who that is.
_TWIN_CHANCE = 0.4
_TWIN: Mapping[str, str] = {"email": "", "firstname": "Ada", "lastname": "Byron", "company": "Analytical Engines"}
#: How often a contact has a value from before in a field of ours, and which.
_OLD_CHANCE = 0.3
_OLD: Mapping[str, str] = {"enr_company_name": "Formerly Ltd", "enr_job_title": "Clerk"}
#: What may go wrong when a service answers, and how often in a row; eight times is more than a caller tries.
_TIMES = (1, 1, 1, 8)
_ANSWERS: tuple[Mapping[str, Any], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 429, "retry_after": "seconds", "seconds": 600},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "truncated"},
    {"kind": "empty_200"},
    {"kind": "unauthorized"},
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a seam: which, to whom, and where that run stood."""

    what: str
    run: str
    seam: Seam


@dataclass
class Outcome:
    """
    What came of a history.

    Args:
        seed: that it was made from.
        events: what happened, in order.
        violations: promises that don't hold, in words; none if all is well.
        seams: how often each was passed.
    """

    seed: int
    events: list[Event] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    seams: Counter[Seam] = field(default_factory=Counter)


class History:
    """
    Plays one history.

    Args:
        stage: that it happens on; it is reset.
        seed: decides everything.
        most_events: after so many nothing more goes wrong, by which a failing history is shortened.
    """

    def __init__(self, stage: Stage, seed: int, most_events: int = 1000) -> None:
        self._stage = stage
        self._dice = random.Random(f"history {seed}")
        random.seed(seed)  # what the pipeline itself draws, ids among it
        self._most_events = most_events
        #: What came of it so far.
        self.outcome = Outcome(seed)
        self._contacts = self._dice.randint(2, 7)
        self._known = Known()
        #: Contacts that are one person; an erasure of one would take the other's reply along.
        self._twins: frozenset[str] = frozenset()
        self._runs: list[Run] = []
        self._killed: set[str] = set()
        self._calm = self._dice.choice((0.9, 0.95, 0.98, 0.99))

    def play(self) -> Outcome:
        """Let it happen, and return what came of it."""
        self._stage.reset(self._contacts, self._dice.randrange(8), self._terms())
        self._leave_old_values()
        if self._dice.random() < _TWIN_CHANCE:
            self._make_twins()
        self._stage.note_inputs()
        self._stage_contacts(list(self._stage.world.hubspot.contacts))
        self._let_anything_happen([self._run(f"run {number}") for number in range(self._dice.randint(1, 3))])
        self._let_it_end()
        self.outcome.violations += violations(self._stage, self._known)
        return self.outcome

    # What happens

    def _terms(self) -> Terms:
        dice = self._dice
        return Terms(dice.choice(PROVIDERS), dice.choice((1, 2, 3, 5)), dice.choice((None, None, None, 2.0, 4.0)))

    def _leave_old_values(self) -> None:
        for crm_id in self._stage.world.hubspot.contacts:
            if self._dice.random() < _OLD_CHANCE:
                self._stage.world.hubspot.edit(crm_id, _OLD)

    def _make_twins(self) -> None:
        """Let two contacts be one person without an address, whom two runs want to look up at once."""
        self._twins = frozenset(self._dice.sample(sorted(self._stage.world.hubspot.contacts), 2))
        for crm_id in self._twins:
            self._stage.world.hubspot.edit(crm_id, _TWIN)

    def _run(self, name: str) -> Run:
        limit, cap = self._dice.choice((0, 0, 0, 2, 4)), self._dice.choice((None, None, 1.0, 2.0, 3.0, 4.0))
        run_id = str(uuid.uuid4())
        return Run(name, run_id, partial(_enrich, run_id, {"limit": limit, "max_credits": cap}), limit=limit, cap=cap)

    def _let_anything_happen(self, runs: list[Run]) -> None:
        self._runs = runs
        for run in runs:
            self._stage.at_work.add(run.run_id)
            run.begin()
        while alive := [run for run in runs if not run.ended]:
            run = self._whose_turn(alive)
            seam = self._pass(run)
            self._let_timer_renew(run)
            calm = self._calm * (_LESS_CALM if seam.verb in _DECISIVE else 1)
            if self._dice.random() < calm or len(self.outcome.events) >= self._most_events:
                run.move()
            else:
                self._strike(run, seam, alive)
            if run.ended:
                self._stage.at_work.discard(run.run_id)
        for run in runs:
            self._explain(run)

    def _pass(self, run: Run) -> Seam:
        """Count the seam at which a run stands, and return it."""
        assert run.seam is not None, f"{run.name} stands nowhere"
        self.outcome.seams[run.seam] += 1
        assert self.outcome.seams.total() < _MOST_SEAMS, f"{run.name} never ends"
        return run.seam

    def _replace(self) -> None:
        """Start another run beside one that stands still; it takes what that one has lost."""
        if len(self._runs) < _MOST_RUNS:
            self._runs.append(self._run(f"run {len(self._runs)}"))
            self._stage.at_work.add(self._runs[-1].run_id)
            self._runs[-1].begin()

    def _let_timer_renew(self, run: Run) -> None:
        """Let the timer of a process that stood still renew what is left of its locks, soon after it has woken up."""
        kept = locks._kept.get(run.run_id)
        if kept and kept.permit.refusal() and not kept.permit.cancelled and self._dice.random() < _TIMER_FIRST:
            with self._stage.warehouse() as warehouse:
                kept.permit.renew(lambda: warehouse.renew_run(run.run_id, lease_seconds=180))

    def _whose_turn(self, alive: list[Run]) -> Run:
        """Return a run that doesn't stand still, if there is one."""
        run = self._dice.choice([one for one in alive if not one.stands_still] or alive)
        for one in alive:
            one.stands_still = max(0, one.stands_still - 1)
        return run

    def _strike(self, run: Run, seam: Seam, alive: list[Run]) -> None:
        what, happen = self._dice.choice(self._happenings(run, seam, alive))
        self.outcome.events.append(Event(what, run.name, seam))
        happen()

    def _happenings(self, run: Run, seam: Seam, alive: list[Run]) -> list[tuple[str, Callable[[], None]]]:
        """Return what may happen there, by name; what stands there more than once happens more often."""
        happenings: list[tuple[str, Callable[[], None]]] = [("kill", lambda: self._kill(run))]
        if seam.kind in ("provider", "crm") and seam.phase == "before":
            answer = self._dice.choice(_ANSWERS)
            happenings += [(_name(answer), lambda: self._spoil(run, seam, answer))] * 8
        if seam.kind == "provider" and seam.phase == "after":
            happenings += [("answer lost", lambda: run.move(httpx.ReadError("lost")))] * 6
        if seam.kind == "crm" and seam.phase == "after":
            happenings += [("answer lost", lambda: run.move(ProtocolError("lost")))] * 6
        if seam.kind == "warehouse":
            happenings += [(f"unreachable {seam.phase}", lambda: run.move(TransientError("unreachable")))] * 2
        if not any(self._waits_for_answer(one) for one in alive):
            happenings += [("locks expire", lambda: self._expire(alive))] * 4
        if not any(one.reads_crm for one in alive):
            happenings += [("edited by a person", self._edit)] * (8 if seam.kind == "clock" else 1)
        happenings += [("erased", self._erase)] * (4 if seam.kind == "provider" else 1)
        happenings += [
            ("queued again", self._queue_again),
            ("changed", self._change),
            ("failed ones queued again", self._retry_failed),
            ("cancelled", lambda: self._cancel(run)),
            ("paused or resumed", self._pause_or_resume),
            ("waits end", self._end_waits),
        ]
        happenings += [("corrected", self._correct)] * (4 if seam.verb in _DECISIVE else 1)
        return happenings

    def _waits_for_answer(self, run: Run) -> bool:
        """Return whether a run pays for an answer, or has yet to save or book one: both end before its locks do."""
        unbooked = self._stage.terms.provider in BILLS_EACH_TIME and run.unbooked
        at_provider = run.seam is not None and run.seam.kind == "provider"
        return at_provider or run.repeats or bool(run.unsaved or unbooked)

    def _kill(self, run: Run) -> None:
        run.kill()
        self._stage.mourn(run)
        self._stage.leave_behind(run)
        self._killed.add(run.run_id)

    def _spoil(self, run: Run, seam: Seam, answer: Mapping[str, Any]) -> None:
        service = "hubspot" if seam.kind == "crm" else self._stage.terms.provider
        kind: Kind = answer["kind"]
        times = self._dice.choice(_TIMES)
        self._stage.world.faults.add(**{**answer, "kind": kind, "service": service, "times": times})
        run.move()

    def _expire(self, alive: list[Run]) -> None:
        """Let a process stand still for longer than its locks last, while others go on."""
        stalled = self._dice.choice([None, *alive])
        if stalled:
            stalled.stands_still = self._dice.choice((0, 60, 150))
            self._replace()
        run_id = stalled.run_id if stalled else ""
        for table, until, owner in _LOCKS:
            self._stage.execute(
                f"UPDATE {table} SET {until} = steady(-1) WHERE {until} IS NOT NULL AND :run_id IN ('', {owner})",
                run_id=run_id,
            )
        for holder, kept in locks._kept.items():
            if not stalled or holder == run_id:
                kept.permit._renewed_at -= 10_000

    def _edit(self) -> None:
        crm_id = self._dice.choice(list(self._stage.world.hubspot.contacts))
        if crm_id not in self._known.erased:
            self._known.edited.add((crm_id, EDITED_FIELD))
            self._stage.world.hubspot.edit(crm_id, {EDITED_FIELD: BY_HAND})

    def _erase(self) -> None:
        """Erase a contact, rather one that a run works on."""
        erasable = [one for one in self._rather_locked() if one not in self._twins]
        if not erasable:
            return
        crm_id = self._dice.choice(erasable)
        self._known.erased.add(crm_id)
        self._known.back.discard(crm_id)
        with self._stage.warehouse() as warehouse:
            warehouse.erase(HUBSPOT, crm_id)
        self._note_requests()

    def _rather_locked(self) -> list[str]:
        """Return all contacts; those that a run works on are there four times."""
        return [*self._stage.world.hubspot.contacts, *[row["crm_id"] for row in self._stage.execute(_LOCKED)] * 3]

    def _queue_again(self) -> None:
        self._stage_contacts([self._dice.choice(list(self._stage.world.hubspot.contacts))])

    def _change(self) -> None:
        """Let HubSpot report that a contact has changed."""
        self._report_change(self._dice.choice(list(self._stage.world.hubspot.contacts)))

    def _report_change(self, crm_id: str) -> None:
        self._known.back |= self._known.erased & {crm_id}
        at_work = "SELECT record_id, crm_id FROM enrichment_staging WHERE crm_id = :crm_id AND state <> 'waiting'"
        under_way = self._stage.execute(at_work, crm_id=crm_id)
        self._known.changed |= {row["record_id"]: row["crm_id"] for row in under_way}
        with self._stage.warehouse() as warehouse:
            warehouse.stage([NewRecord("hubspot", crm_id, None, "webhook", "live")], changed=[(HUBSPOT, crm_id)])
        self._note_requests()

    def _correct(self) -> None:
        """Let a contact, rather one that a run works on, turn out to be another one's person."""
        hubspot = self._stage.world.hubspot
        crm_id = self._dice.choice(self._rather_locked())
        usable = {
            one
            for one, values in hubspot.contacts.items()
            if normalise_email(values.get("email")) == values.get("email")
        }
        others = sorted(usable - self._known.erased - {crm_id})
        if not others or crm_id in self._known.erased or any(one.reads_crm for one in self._runs):
            return
        other = self._dice.choice(others)
        hubspot.edit(crm_id, {name: hubspot.contacts[other].get(name, "") for name in _TWIN})
        self._known.edited |= {(crm_id, name) for name in _TWIN}
        self._twins |= {crm_id, other}
        self._stage.note_inputs()
        self._report_change(crm_id)

    def _retry_failed(self) -> None:
        with self._stage.warehouse() as warehouse:
            warehouse.restage_failed()
        self._note_requests()

    def _cancel(self, run: Run) -> None:
        if kept := locks._kept.get(run.run_id):
            kept.permit.cancel()
            run.cancelled = True

    def _pause_or_resume(self) -> None:
        with self._stage.warehouse() as warehouse:
            if not warehouse.resume_lane("live"):
                warehouse.pause_lane("live")

    def _end_waits(self) -> None:
        self._stage.execute("UPDATE enrichment_staging SET not_before = NULL")

    def _stage_contacts(self, crm_ids: list[str]) -> None:
        self._known.back |= self._known.erased & {*crm_ids}
        stage_listed.fn("hubspot", "sqlite", "live", crm_ids, "")
        self._note_requests()

    def _note_requests(self) -> None:
        queued = self._stage.execute("SELECT record_id FROM enrichment_staging")
        self._known.requests |= {row["record_id"] for row in queued}

    def _explain(self, run: Run) -> None:
        """A run may end early after a fault; a bug, or totals that don't match, may not happen."""
        ended = len(self._stage.execute("SELECT 1 FROM record_ledger WHERE run_id = :run", run=run.run_id))
        if 0 < run.limit < ended:
            self.outcome.violations.append(f"{run.name} ended {ended} contacts, and its limit is {run.limit}")
        if run.error and (isinstance(run.error, BooksUnbalancedError) or not isinstance(run.error, EnrichmentError)):
            self.outcome.violations.append(f"{run.name} ended with {type(run.error).__name__}: {run.error}")

    def _let_it_end(self) -> None:
        """Without further faults, and once every wait has ended, two runs end everything, also what dead ones hold."""
        self._stage.world.faults.clear()
        self._stage.terms = replace(self._stage.terms, credits_per_day=None)
        with self._stage.warehouse() as warehouse:
            warehouse.resume_lane("live")
        for number in range(_LAST_RUNS):
            self._note_requests()
            self._end_waits()
            killed = json.dumps(sorted(self._killed))
            for table, until, owner in _LOCKS:
                self._stage.execute(
                    f"UPDATE {table} SET {until} = steady(-1) WHERE {until} IS NOT NULL"
                    f" AND {owner} NOT IN (SELECT value FROM json_each(:killed))",
                    killed=killed,
                )
            run_id = str(uuid.uuid4())
            run = Run(f"last run {number}", run_id, partial(_enrich, run_id, {}))
            self._stage.at_work.add(run_id)
            run.begin()
            while not run.ended:
                self._pass(run)
                run.move()
            self._stage.at_work.discard(run_id)
            if run.error:
                self.outcome.violations.append(f"{run.name} ended with {type(run.error).__name__}: {run.error}")
        self._note_requests()


def _enrich(run_id: str, parameters: dict[str, Any]) -> None:
    with entered(LocalRun(run_id, "enrich-contacts", parameters)):
        enrich_contacts.fn(**parameters)


def _name(answer: Mapping[str, Any]) -> str:
    return f"{answer['kind']} {answer.get('status', '')}".strip()
