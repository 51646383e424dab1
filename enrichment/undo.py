"""
What an undo puts back.

A field gets the value that it had before the first of the writes that are undone, if the CRM still holds the value of
the last one: what a person has changed since is theirs. What a person has changed between two of the writes is the
value that comes back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from enrichment.wire import FieldDescription, UnfitError, holds
from enrichment.write_policy import EDITED, Change, Refusal, check_field

#: Why a field isn't restored: a later run has written it.
WRITTEN_SINCE = "written_since"


@dataclass(frozen=True, slots=True)
class ConfirmedWrite:
    """
    A write that the CRM has confirmed and that wasn't undone.

    Args:
        crm_id: of the contact.
        field: of the CRM.
        before: the value that was replaced; None if the field was blank.
        after: the value that was written; empty if the field was cleared.
        run_id: that wrote it.
        written_at: when, as ISO-8601 UTC text.
        is_undo: whether an undo wrote it.
    """

    crm_id: str
    field: str
    before: str | None
    after: str
    run_id: str
    written_at: str
    is_undo: bool = False


@dataclass(frozen=True, slots=True)
class UndoSelection:
    """
    Which writes are undone: those that fulfil all conditions; an empty one is none.

    An undo is undone only by the id of its run: else a repeated command would bring back what the first one undid.

    Args:
        run_id: of the run that wrote them.
        crm_id: of the contact.
        field: of the CRM.
        since: the moment from which on they were written, as ISO-8601 UTC text with milliseconds.
    """

    run_id: str = ""
    crm_id: str = ""
    field: str = ""
    since: str = ""

    @property
    def is_empty(self) -> bool:
        """Return whether there is no condition."""
        return not (self.run_id or self.crm_id or self.field or self.since)

    def takes(self, write: ConfirmedWrite) -> bool:
        """Return whether a write fulfils the conditions."""
        return (
            (write.run_id == self.run_id if self.run_id else not write.is_undo)
            and self.crm_id in {"", write.crm_id}
            and self.field in {"", write.field}
            and write.written_at >= self.since
        )


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """
    What is to be done at one contact.

    Args:
        changes: what is sent to the CRM.
        restored: changes that the CRM holds already, since an undo broke off or a person was faster.
        reverts: the writes that are undone by both, by field.
        refusals: the fields that stay as they are.
    """

    changes: tuple[Change, ...] = ()
    restored: tuple[Change, ...] = ()
    reverts: Mapping[str, tuple[ConfirmedWrite, ...]] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()


def plan_undo(
    writes: Iterable[ConfirmedWrite],
    selection: UndoSelection,
    current: Mapping[str, str | None],
    descriptions: Mapping[str, FieldDescription],
    protected: frozenset[str] = frozenset(),
) -> UndoPlan:
    """
    Decide field by field what an undo does to one contact.

    Args:
        writes: the contact's, by field and the oldest first; those that aren't selected show what came later.
        selection: which of them are undone.
        current: the CRM's values now; blank is None or an empty text.
        descriptions: the CRM's own description of its fields.
        protected: fields that are never written.
    """
    changes: list[Change] = []
    restored: list[Change] = []
    reverts: dict[str, tuple[ConfirmedWrite, ...]] = {}
    refusals: list[Refusal] = []
    for name, group in groupby(writes, key=attrgetter("field")):
        of_field = tuple(group)
        mine = tuple(write for write in of_field if selection.takes(write))
        if not mine:
            continue
        held = current.get(name)
        try:
            check_field(name, descriptions, protected)
            mine = _unbroken(mine, descriptions[name])
            change = Change(name, mine[-1].after or None, mine[0].before or "")
            already = holds(held, change.after, descriptions[name])
            if not already:
                _check_untouched(held, mine[-1], of_field, descriptions[name])
        except UnfitError as unfit:
            refusals.append(Refusal(name, str(unfit), unfit.value))
            continue
        (restored if already else changes).append(change)
        reverts[name] = mine
    return UndoPlan(tuple(changes), tuple(restored), reverts, tuple(refusals))


def _unbroken(writes: Sequence[ConfirmedWrite], description: FieldDescription) -> tuple[ConfirmedWrite, ...]:
    """Return the last of a field's writes that each replaced the value of the one before it."""
    first = len(writes) - 1
    while first and holds(writes[first].before, writes[first - 1].after, description):
        first -= 1
    return tuple(writes[first:])


def _check_untouched(
    held: str | None, last: ConfirmedWrite, of_field: Sequence[ConfirmedWrite], description: FieldDescription
) -> None:
    later = [write for write in of_field[of_field.index(last) + 1 :] if not write.is_undo]
    if later:
        raise UnfitError(WRITTEN_SINCE, later[-1].run_id)
    if not holds(held, last.after, description):
        raise UnfitError(EDITED)
