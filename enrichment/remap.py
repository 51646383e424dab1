"""
Results that are derived again from saved replies, after a provider's file or the field mapping was changed.

What differs is counted by field; values are of people, and stay where they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from enrichment.records import Enrichment
from enrichment.summary import RunReport
from enrichment.write_policy import EDITED, WritePlan

#: What becomes of a field: it gets a value, another one, or loses it.
FILLED, CHANGED, EMPTIED = "filled", "changed", "emptied"

#: Why a contact is left alone.
QUEUED = "waits in the queue already"
NOT_SAVED = "would need a reply that isn't saved"
NO_MATCH = "is no match by today's rules; its result stays"
NEWER = "has a newer result"
SAME = "stays the same"


@dataclass(frozen=True, slots=True)
class RemapSelection:
    """
    Which contacts are remapped.

    Args:
        provider: that has answered about them; empty: any.
        crm_id: of the only one; empty: all.
        days: how long ago the answers came at most.
        limit: the most contacts that are looked at; 0: all.
    """

    provider: str = ""
    crm_id: str = ""
    days: int = 180
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ContactDifference:
    """The names of the fields of a contact that differ: of its result, and of those that the CRM would get."""

    result: tuple[str, ...]
    crm: tuple[str, ...]


@dataclass
class Remap:
    """
    What a remap does, or would do.

    Args:
        looked_at: how many contacts.
        results: by canonical field, how many results get a value, another one, or lose it.
        crm: by field of the CRM, how many contacts get a value or another one.
        edited: how many values stay as a person has changed them in the CRM.
        contacts: what differs, by CRM id.
        left: how many contacts are left alone, by why.
        report: of the run that did it; None: nothing was changed.
    """

    looked_at: int = 0
    results: dict[str, dict[str, int]] = field(default_factory=dict)
    crm: dict[str, dict[str, int]] = field(default_factory=dict)
    edited: int = 0
    contacts: dict[str, ContactDifference] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    report: RunReport | None = None

    def leave(self, why: str, contacts: int = 1) -> None:
        """Count contacts that are left alone."""
        _add(self.left, why, contacts)

    def take(self, crm_id: str, stored: Enrichment | None, derived: Enrichment, written: WritePlan | None) -> None:
        """Count what differs of a contact, of which the CRM may be absent."""
        if stored and stored.received_at > derived.received_at:
            self.leave(NEWER)
            return
        changes = written.changes if written else ()
        differs = differences(stored, derived)
        self.edited += sum(1 for one in (written.refusals if written else ()) if one.reason == EDITED)
        if not differs and not changes:
            self.leave(SAME)
            return
        for name, what in differs.items():
            _add(self.results.setdefault(name, {}), what)
        for one in changes:
            _add(self.crm.setdefault(one.field, {}), CHANGED if one.before else FILLED)
        self.contacts[crm_id] = ContactDifference(tuple(differs), tuple(one.field for one in changes))


def _add(counts: dict[str, int], name: str, count: int = 1) -> None:
    if count:
        counts[name] = counts.get(name, 0) + count


def differences(stored: Enrichment | None, derived: Enrichment) -> dict[str, str]:
    """Return by field what becomes of a result that is derived again."""
    before, after = _values(stored) if stored else {}, _values(derived)
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return {name: EMPTIED if name not in after else CHANGED if name in before else FILLED for name in names}


def _values(one: Enrichment) -> Mapping[str, object]:
    of_the_reply = {"provider": one.provider, "confidence": one.confidence}
    return {**one.fields, **{name: value for name, value in of_the_reply.items() if value is not None}}
