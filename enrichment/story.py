"""One contact's whole story, put in order of time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from enrichment.causes import failed, not_found, refused
from enrichment.records import Enrichment
from enrichment.write_policy import PROTECTED, FieldRule, Rule


@dataclass(frozen=True, slots=True)
class Suppression:
    """An entry of the suppression list that is about the contact; all times here are ISO-8601 UTC text."""

    crm: str
    reason: str
    suppressed_at: str


@dataclass(frozen=True, slots=True)
class Allowance:
    """That the contact was taken off the suppression list, and by whom."""

    crm: str
    allowed_by: str
    allowed_at: str


@dataclass(frozen=True, slots=True)
class QueuedContact:
    """The contact's record in the queue."""

    crm: str
    source: str
    lane: str
    state: str
    attempts: int
    not_before: str | None
    staged_at: str
    processed_at: str | None
    request_key: str | None = None
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class EndedContact:
    """How one record of the contact ended."""

    crm: str
    disposition: str
    reason: str
    request_key: str
    lane: str
    source: str
    attempts: int
    contact_created_at: str | None
    staged_at: str
    finished_at: str
    run_id: str


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """What a provider answered about the contact or, by a follow-up's step, about its company."""

    provider: str
    outcome: str
    credits: float
    api_version: str | None
    request_id: str | None
    received_at: str
    run_id: str
    step: str = ""


@dataclass(frozen=True, slots=True)
class UnmatchedContact:
    """What is filed of the contact for the weekly review."""

    crm: str
    reason: str
    provider: str
    unmatched_at: str
    reviewed_at: str | None


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """One change of a CRM field."""

    crm: str
    field: str
    before: str | None
    after: str | None
    run_id: str
    planned_at: str
    written_at: str | None
    reverted_at: str | None
    reverted_by: str | None = None
    is_undo: bool = False


@dataclass(frozen=True, slots=True)
class FieldRefusal:
    """A value that a CRM field didn't take; None if it may not be kept."""

    crm: str
    field: str
    reason: str
    value: str | None
    run_id: str
    refused_at: str


@dataclass(frozen=True, slots=True)
class FailedContact:
    """A dead letter of the contact."""

    crm: str
    step: str
    reason: str
    error: str
    failed_at: str
    replayed_at: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one contact, or of the contacts with one id in several CRMs; `stored` is by CRM."""

    suppressions: Collection[Suppression] = ()
    allowances: Collection[Allowance] = ()
    staging: Collection[QueuedContact] = ()
    ledger: Collection[EndedContact] = ()
    replies: Collection[ProviderAnswer] = ()
    follow_ups: Collection[ProviderAnswer] = ()
    unmatched: Collection[UnmatchedContact] = ()
    writes: Collection[FieldWrite] = ()
    refusals: Collection[FieldRefusal] = ()
    failures: Collection[FailedContact] = ()
    stored: Mapping[str, Enrichment] = field(default_factory=dict)

    def without(self, crms: Collection[str]) -> "Story":
        """Return the story without what its tables say of the contacts of these CRMs."""
        return replace(
            self,
            staging=[one for one in self.staging if one.crm not in crms],
            ledger=[one for one in self.ledger if one.crm not in crms],
            unmatched=[one for one in self.unmatched if one.crm not in crms],
            writes=[one for one in self.writes if one.crm not in crms],
            refusals=[one for one in self.refusals if one.crm not in crms],
            failures=[one for one in self.failures if one.crm not in crms],
        )


@dataclass(frozen=True, slots=True)
class StoryLine:
    """What happened to the contact at a moment (ISO-8601 UTC)."""

    at: str
    what: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Which fields of a CRM may be filled, and when, by today's mapping."""

    crm: str
    rules: Sequence[FieldRule]
    protected: frozenset[str] = frozenset()


def tell_story(story: Story, policy: Policy | None = None) -> list[StoryLine]:
    """
    Return the story, line by line.

    Args:
        story: what the tables say.
        policy: by which fields were left alone; None if it isn't known.
    """
    lines = [
        *(_left_alone(story, policy) if policy else []),
        *(line for one in story.suppressions for line in _suppression(one)),
        *(StoryLine(one.allowed_at, f"taken off the suppression list by {one.allowed_by}") for one in story.allowances),
        *(line for one in story.staging for line in _staging(one)),
        *(line for one in story.ledger for line in _ledger(one)),
        *(line for one in (*story.replies, *story.follow_ups) for line in _reply(one)),
        *(line for one in story.unmatched for line in _unmatched(one)),
        *(line for one in story.writes for line in _write(one)),
        *(line for one in story.refusals for line in _refusal(one)),
        *(line for one in story.failures for line in _failure(one)),
    ]
    # What happened in one transaction has one time; the end comes last.
    return sorted(lines, key=lambda line: (line.at, line.what.startswith("ended ")))


def _suppression(row: Suppression) -> list[StoryLine]:
    if row.reason == "erased":
        return [StoryLine(row.suppressed_at, "erased; the contact is never looked up again")]
    return [StoryLine(row.suppressed_at, f"put on the suppression list: {row.reason}")]


def _staging(row: QueuedContact) -> list[StoryLine]:
    lines = [StoryLine(row.staged_at, f"put into the queue ({row.source}, {row.lane})")]
    if row.processed_at:
        lines.append(StoryLine(row.processed_at, "result stored in the warehouse"))
    state = f"is in the queue now: {row.state}, {row.attempts} attempts so far"
    wait = f", not before {row.not_before}" if row.not_before else ""
    # Sorted behind everything that has happened.
    return [*lines, StoryLine("9999", state + wait)]


def _ledger(row: EndedContact) -> list[StoryLine]:
    reason = f" ({row.reason})" if row.reason else ""
    ended = f"ended as {row.disposition}{reason} after {row.attempts} attempt(s), run {row.run_id}"
    staged = StoryLine(row.staged_at, f"put into the queue ({row.source}, {row.lane})")
    created = row.contact_created_at
    born = [StoryLine(created, f"created in {row.crm}")] if created else []
    return [*born, staged, StoryLine(row.finished_at, ended)]


def _reply(row: ProviderAnswer) -> list[StoryLine]:
    version = f", API version {row.api_version}" if row.api_version else ""
    about = f" of the company ({row.step})" if row.step else ""
    cost = f"{row.credits:g} credit(s){version}, run {row.run_id}"
    return [StoryLine(row.received_at, f"{row.provider} answered {row.outcome}{about}, {cost}")]


def _unmatched(row: UnmatchedContact) -> list[StoryLine]:
    reviewed = ", reviewed" if row.reviewed_at else ", not reviewed yet"
    return [
        StoryLine(
            row.unmatched_at,
            f"filed as unmatched at {row.provider}: {not_found(row.reason).words} ({row.reason}){reviewed}",
        )
    ]


def _write(row: FieldWrite) -> list[StoryLine]:
    change = f"{row.field}: {row.before or '(blank)'} -> {row.after or '(blank)'}"
    if not row.written_at:
        return [StoryLine(row.planned_at, f"planned, not confirmed by the CRM: {change}")]
    lines = [StoryLine(row.written_at, f"{'restored' if row.is_undo else 'wrote'} {change}")]
    undone = f"undone: {row.field}, by run {row.reverted_by}"
    return [*lines, StoryLine(row.reverted_at, undone)] if row.reverted_at else lines


def _refusal(row: FieldRefusal) -> list[StoryLine]:
    value = f" ({row.value})" if row.value else ""
    return [StoryLine(row.refused_at, f"not written: {row.field}{value}: {refused(row.reason, row.crm).words}")]


#: What people read of a field that its rule left alone; the CRM may have had the same value.
_LEFT: Mapping[str, str] = {
    Rule.NEVER: "its rule is never",
    Rule.FILL_BLANK: "the CRM had a value (rule fill_blank)",
    Rule.IF_NEWER: "the CRM had this value, or a newer one (rule if_newer)",
    PROTECTED: "it is protected",
}


def _left_alone(story: Story, policy: Policy) -> list[StoryLine]:
    """Return what the last run had a value for, and wrote nothing because the user's own rule forbids it."""
    ended = [one for one in story.ledger if one.crm == policy.crm and one.disposition in {"written", "unchanged"}]
    stored = story.stored.get(policy.crm)
    if not ended or stored is None:
        return []
    last = ended[-1]
    handled = {one.field for one in story.writes if one.run_id == last.run_id}
    handled |= {one.field for one in story.refusals if one.run_id == last.run_id}
    return [
        StoryLine(last.finished_at, f"not written: {rule.field}: {_LEFT[kind]}")
        for rule in policy.rules
        if stored.fields.get(rule.source) and rule.field not in handled
        if (kind := PROTECTED if rule.field in policy.protected else rule.rule) in _LEFT
    ]


def _failure(row: FailedContact) -> list[StoryLine]:
    cause = failed(row.reason, row.step, row.crm)
    words = f"failed at {row.step}: {cause.words} ({row.reason}): {row.error}"
    done = f"put back into the queue {row.replayed_at}" if row.replayed_at else f"how to fix it: {cause.advice}"
    return [StoryLine(row.failed_at, f"{words}; {done}")]
