"""
Plans of what a run would write: made on request, or because a run reached a guard, and applied as they were approved.

A plan is what people were shown. So only that is written, and a plan is refused once it is old, the mapping is another
one, or a person has changed it.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from enrichment.moments import read_moment
from enrichment.write_policy import DIFFERS, Change, FieldRule, Refusal, WritePlan, stamps_of

WAITING, APPROVED, DECLINED = "waiting", "approved", "declined"

#: Why a plan was made, beside the guards: a person asked for it.
ASKED = "asked"

#: Of fewer values than this, no share of overwritten ones is judged.
_FEWEST_VALUES = 100


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """
    One field's change in a plan, for the staged record of a contact.

    Args:
        crm_id: of the contact.
        record_id: of the staged record.
        change: of the field.
        rule: that permits it.
        source: of the value: a canonical field, or what else of the reply.
    """

    crm_id: str
    record_id: str
    change: Change
    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan's row; times are ISO-8601 UTC text, and `read_at` is now by the warehouse's clock."""

    plan_id: str
    crm: str
    provider: str
    cause: str
    policy: str
    digest: str
    made_at: str
    made_by: str
    state: str
    decided_at: str | None
    decided_by: str | None
    note: str | None
    read_at: str


@dataclass(frozen=True, slots=True)
class WaitingPlan:
    """A plan that waits for a decision, and how many contacts it has."""

    plan_id: str
    crm: str
    cause: str
    made_by: str
    contacts: int


@dataclass(frozen=True, slots=True)
class RunChanges:
    """How many contacts a run writes, how many values, and how many of these replace another value."""

    contacts: int
    values: int
    overwritten: int


@dataclass(frozen=True, slots=True)
class Guard:
    """
    What a run may write without a person's approval.

    Args:
        contacts: the most contacts; None: any number.
        overwritten: the largest share of values that replace others, 0 to 1; None: any.
        hours: how long contacts wait for the approval.
    """

    contacts: int | None = None
    overwritten: float | None = None
    hours: float = 72.0

    @property
    def is_on(self) -> bool:
        """Return whether there is a limit."""
        return self.contacts is not None or self.overwritten is not None

    def exceeded_by(self, changes: RunChanges) -> str:
        """Return which limit a run's changes exceed, as a sentence; empty if none."""
        if self.contacts is not None and changes.contacts > self.contacts:
            return f"the run would write more than {self.contacts:,} contacts (ENRICHMENT_GUARD_CONTACTS)"
        share = changes.overwritten / max(1, changes.values)
        if self.overwritten is not None and changes.values >= _FEWEST_VALUES and share > self.overwritten:
            return (
                f"the run would overwrite {share:.0%} of the values that it writes, more than {self.overwritten:.0%} "
                "(ENRICHMENT_GUARD_OVERWRITTEN)"
            )
        return ""


@dataclass(frozen=True, slots=True)
class PlanSummary:
    """What a plan would do: counts only, by rule and by field."""

    contacts: int
    values: int
    overwritten: int
    by_rule: Mapping[str, int] = field(default_factory=dict)
    by_field: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"{self.values:,} values of {self.contacts:,} contacts would be written, {self.overwritten:,} of them over "
            "another value"
        )


def planned_changes(
    crm_id: str, record_id: str, changes: Iterable[Change], rules: Sequence[FieldRule]
) -> list[PlannedChange]:
    """Return a contact's changes as a plan keeps them."""
    by_field = {rule.field: rule for rule in rules}
    return [
        PlannedChange(crm_id, record_id, change, by_field[change.field].rule, by_field[change.field].source)
        for change in changes
    ]


def summarise(changes: Collection[PlannedChange]) -> PlanSummary:
    """Return what a plan would do."""
    by_rule: dict[str, int] = {}
    by_field: dict[str, int] = {}
    for one in changes:
        by_rule[one.rule] = by_rule.get(one.rule, 0) + 1
        by_field[one.change.field] = by_field.get(one.change.field, 0) + 1
    overwritten = sum(1 for one in changes if one.change.before)
    return PlanSummary(len({one.crm_id for one in changes}), len(changes), overwritten, by_rule, by_field)


def digest(changes: Iterable[PlannedChange]) -> str:
    """Return a text that is another one if a contact, a field, a value, a rule or a source is."""
    rows = sorted(
        [one.crm_id, one.change.field, one.change.before or "", one.change.after, one.rule, one.source]
        for one in changes
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def policy_mark(rules: Iterable[FieldRule], protected: Iterable[str]) -> str:
    """Return a text that is another one if the mapping is."""
    rows = sorted([rule.field, rule.source, str(rule.rule), str(rule.stamp)] for rule in rules)
    return hashlib.sha256(json.dumps([rows, sorted(protected)]).encode()).hexdigest()


def approved_part(
    plan: WritePlan, approved: Collection[Change], rules: Iterable[FieldRule], reason: str = DIFFERS
) -> WritePlan:
    """Return what is still to be written of what was approved; the rest is refused. A mark of time isn't left alone."""
    stamps = stamps_of(rules)
    changes = tuple(change for change in plan.changes if change in approved)
    others = [change for change in plan.changes if change not in approved and change.field not in stamps]
    if all(change.field in stamps for change in changes):
        changes = ()
    return replace(
        plan,
        changes=changes,
        refusals=(*plan.refusals, *(Refusal(change.field, reason) for change in others)),
    )


def why_stale(plan: KeptPlan, *, changes: Iterable[PlannedChange], policy: str, hours: float) -> str:
    """Return why a plan can't be applied any more, as a sentence; empty if it can."""
    age = read_moment(plan.read_at) - read_moment(plan.made_at)
    if age > timedelta(hours=hours):
        return f"it is older than {hours:g} hours (ENRICHMENT_PLAN_HOURS)"
    if policy != plan.policy:
        return "the field mapping has changed since"
    if plan.digest and plan.digest != digest(changes):
        return "its changes are no longer those that were shown: a contact was erased, or a person has edited the table"
    return ""
