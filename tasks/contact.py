"""One contact: everything that happened to it, and its erasure from the warehouse."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from blocks.base import module_names
from blocks.crms.base import crm_name
from blocks.log import event
from blocks.settings import load_settings
from blocks.warehouses.base import Erased, Warehouse, open_warehouse
from enrichment.errors import sealed
from enrichment.identifiers import suppression_keys
from enrichment.plan import Reference
from enrichment.records import Contact, Origin
from enrichment.story import ProviderAnswer, StoryLine, Suppression, tell_story
from enrichment.waterfall import FOLLOW_UPS
from tasks.steps import step


@sealed
def erase_contact(warehouse: str, crm: str, crm_id: str) -> Erased:
    """
    Remove what the warehouse knows of a contact, and keep it from being looked up again; safe to repeat.

    A run that is at work on the contact loses it. The CRM isn't touched.

    Args:
        warehouse: reference of the warehouse, `<name>` or `<name>/<block>`.
        crm: the CRM that knows the contact, `<name>` or `<name>/<block>`.
        crm_id: the contact's id in it; one that the warehouse doesn't know is suppressed anyway.

    Returns:
        how many rows of each table went.

    Raises:
        TransientError: the warehouse can't be reached now; nothing or a part was removed, so repeat it.
        ConfigurationError: there is no such CRM, or the warehouse isn't set up or refuses us.
    """
    name = crm_name(crm)
    with open_warehouse(warehouse) as target:
        erased = target.erase(Origin(name), crm_id)
    event("contact_erased", crm=name, crm_id=crm_id, **erased.rows)
    return erased


@step(name="erase-contact")
def erase(warehouse: str, crm: str, crm_id: str) -> Erased:
    """Erase a contact as a task."""
    return erase_contact(warehouse, crm, crm_id)


_LONGEST_DAYS = 3650


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """
    Return what the warehouse knows of a contact, in order of time; empty if it knows nothing.

    Of an erased contact, only the erasure is returned.
    """
    settings = load_settings()
    crms = [crm] if crm else sorted({*module_names("blocks.crms"), Reference.parse(settings.crm).name})
    with open_warehouse(settings.warehouse) as warehouse:
        suppressions = _suppressions(warehouse, crm_id, crms)
        story = warehouse.read_story(Origin(crm), crm_id)
        stored = [enrichment.fields for enrichment in story.stored.values()]
        follow_ups = [answer for fields in stored for answer in _follow_ups(warehouse, fields)]
    erased = {one.crm for one in suppressions if one.reason == "erased"}
    return tell_story(replace(story.without(erased), suppressions=suppressions, follow_ups=follow_ups))


def _suppressions(warehouse: Warehouse, crm_id: str, crms: list[str]) -> list[Suppression]:
    return warehouse.read_suppressions({suppression_keys(Contact(crm_id), Origin(name))[0]: name for name in crms})


def _follow_ups(warehouse: Warehouse, fields: Mapping[str, Any]) -> Iterator[ProviderAnswer]:
    """Give the replies of the follow-ups that have filled fields of the contact, with provider and step."""
    for provider, steps in (fields.get(FOLLOW_UPS) or {}).items():
        for name, keys in steps.items():
            replies = warehouse.read_replies(provider, keys, reply_days=_LONGEST_DAYS, miss_days=_LONGEST_DAYS)
            for reply in replies.values():
                yield ProviderAnswer(
                    provider,
                    reply.outcome,
                    reply.credits,
                    reply.api_version,
                    reply.request_id,
                    reply.received_at,
                    reply.run_id,
                    name,
                )
