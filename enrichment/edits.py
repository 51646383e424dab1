"""What people have changed of what we wrote: it is theirs, whatever the field's rule is."""

from collections.abc import Collection, Mapping, Sequence

from enrichment.change_plans import approved_part
from enrichment.wire import FieldDescription, holds
from enrichment.write_policy import EDITED, FieldRule, WritePlan


def without_edits(
    plan: WritePlan,
    current: Mapping[str, str | None],
    ours: Mapping[str, Collection[str]],
    descriptions: Mapping[str, FieldDescription],
    rules: Sequence[FieldRule],
) -> WritePlan:
    """
    Return what is to be written without the fields that a person has changed or cleared since our last write.

    Args:
        plan: by the field mapping.
        current: the CRM's values now.
        ours: by field that we have written, the values that are ours: the last one that the CRM has confirmed, and any
            that was announced since, of which it isn't known whether it arrived.
        descriptions: of the fields.
        rules: the field mapping.
    """
    kept = [
        one
        for one in plan.changes
        if one.field not in ours
        or any(holds(current.get(one.field), value, descriptions.get(one.field)) for value in ours[one.field])
    ]
    return approved_part(plan, kept, rules, EDITED)
