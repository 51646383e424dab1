"""A provider's follow-ups: what it knows of the companies of contacts that it has, asked for once for each company."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from blocks.log import event
from blocks.providers.base import CREDENTIALS_REJECTED, FollowUp, Reply
from blocks.warehouses.base import Row
from enrichment.outcomes import ENRICHED, Outcome
from enrichment.plan import RunPlan
from enrichment.records import Stop
from enrichment.waterfall import unite
from tasks.asking import Asking, Wanted

#: Gives the journal's replies by request key, perhaps after it has had them asked for.
Journal = Callable[[Mapping[str, Wanted]], Mapping[str, Row]]

#: Steps that the account lacks, by run: what one chunk has learned needn't be asked by the next.
_withheld: dict[tuple[str, str, str], Stop] = {}


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """
    What a follow-up adds to a record.

    Args:
        fields: canonical ones.
        keys: of the requests that have a reply.
        received_at: when the latest of those replies was; empty without any.
        missing: the keys of the requests without one.
    """

    fields: Mapping[str, Any]
    keys: tuple[str, ...]
    received_at: str
    missing: tuple[str, ...]


def follow_up(step: FollowUp, contact_replies: Mapping[str, Any], journal: Journal) -> dict[str, FollowedUp]:
    """
    Return what a follow-up adds to records, by record id; a record whose company nobody names is absent.

    Args:
        step: the follow-up.
        contact_replies: the contacts' journalled replies, by record id.
        journal: is asked for the companies, and then for the further pages of those that have such.
    """
    subjects = {record_id: step.choose_input(reply) for record_id, reply in contact_replies.items()}
    inputs, waiting = _group(step, subjects)
    rows = dict(journal({key: Wanted(inputs[key], frozenset(waiting[key])) for key in inputs}))
    pages: dict[str, list[str]] = {key: [key] for key in inputs}
    further: dict[str, Wanted] = {}
    for key, row in rows.items():
        for page in step.further_pages(inputs[key], row["reply"]):
            pages[key].append(step.request_key(page))
            further[pages[key][-1]] = Wanted(page, frozenset(waiting[key]))
    rows |= journal(further) if further else {}
    told = {key: _told(step, pages[key], rows) for key in inputs}
    return {record_id: told[key] for key in inputs for record_id in waiting[key]}


def plan_of(step: FollowUp, plan: RunPlan) -> RunPlan:
    """Return the plan by which a follow-up's replies are reused: perhaps not for as long as contacts' are."""
    return replace(plan, reply_days=min(plan.reply_days, step.cache_days or plan.reply_days))


def _group(
    step: FollowUp, subjects: Mapping[str, dict[str, str] | None]
) -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    """Return by request key what to ask about, and the ids of the records that wait for it."""
    inputs: dict[str, dict[str, str]] = {}
    waiting: dict[str, list[str]] = {}
    for record_id, subject in subjects.items():
        if subject is not None:
            key = step.request_key(subject)
            inputs[key] = subject
            waiting.setdefault(key, []).append(record_id)
    return inputs, waiting


def _told(step: FollowUp, keys: Iterable[str], rows: Mapping[str, Row]) -> FollowedUp:
    there = [key for key in keys if key in rows]
    readings = [step.read(rows[key]["reply"]) for key in there]
    fields = unite(one.fields for one in readings if one.outcome in ENRICHED)
    received_at = max((rows[key]["received_at"] for key in there), default="")
    return FollowedUp(fields, tuple(there), received_at, tuple(key for key in keys if key not in rows))


@dataclass
class FollowingUp:
    """
    One follow-up's part in a chunk.

    Args:
        plan: of the run.
        step: the follow-up.
        asking: asks for it.
    """

    plan: RunPlan
    step: FollowUp
    asking: Asking

    def __post_init__(self) -> None:
        """Ask for nothing that the account is known to lack; what the journal has of it still counts."""
        self.asking.stop = self.asking.stop or _withheld.get(self._name)

    @property
    def _name(self) -> tuple[str, str, str]:
        return self.plan.run_id, self.step.name, self.step.step

    def ask(self, contact_replies: Mapping[str, Any]) -> dict[str, FollowedUp]:
        """Return what the follow-up adds to records, by record id."""
        found = follow_up(self.step, contact_replies, self._journal)
        self._note_refusal()
        return found

    def _journal(self, wanted: Mapping[str, Wanted]) -> dict[str, Row]:
        self.asking.ask(wanted)
        return {key: self.asking.answers[key].row for key in wanted if key in self.asking.answers}

    @property
    def withheld(self) -> bool:
        """Tell whether the account lacks the step, so that the records go on without it."""
        return self._name in _withheld

    def why_missing(self, told: FollowedUp) -> Reply | None:
        """Return the reply that keeps a record waiting for the step, if there is one."""
        return None if self.withheld or not told.missing else self.asking.unsettled.get(told.missing[0])

    @property
    def stop(self) -> Stop | None:
        """Return why the run must stop; a step that the account lacks is no reason."""
        return None if self.withheld else self.asking.stop

    def _note_refusal(self) -> None:
        """Remember and say once that the account lacks the step, unless it is refused because of the credentials."""
        refused = [one.reason for one in self.asking.unsettled.values() if one.outcome is Outcome.REJECTED]
        if refused and CREDENTIALS_REJECTED not in refused and not self.withheld:
            _withheld[self._name] = Stop("withheld", refused[0])
            event("follow_up_withheld", provider=self.step.name, step=self.step.step, reason=refused[0])
