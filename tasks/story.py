"""Reading one contact's story."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from blocks.base import module_names
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.identifiers import suppression_keys
from enrichment.records import Contact, Origin
from enrichment.references import Reference
from enrichment.sealing import sealed
from enrichment.story import ProviderAnswer, StoryLine, Suppression, tell
from enrichment.waterfall import FOLLOW_UPS

_LONGEST_DAYS = 3650


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """
    Return what the warehouse knows of a contact, in order of time; empty if it knows nothing.

    Of a contact that was erased, only that is told.
    """
    settings = load_settings()
    crms = [crm] if crm else sorted({*module_names("blocks.crms"), Reference.parse(settings.crm).name})
    with open_warehouse(settings.warehouse) as warehouse:
        suppressions = _suppressions(warehouse, crm_id, crms)
        story = warehouse.read_story(Origin(crm), crm_id)
        stored = [enrichment.fields for enrichment in story.stored.values()]
        follow_ups = [answer for fields in stored for answer in _follow_ups(warehouse, fields)]
    erased = {one.crm for one in suppressions if one.reason == "erased"}
    return tell(replace(story.without(erased), suppressions=suppressions, follow_ups=follow_ups))


def _suppressions(warehouse: Warehouse, crm_id: str, crms: list[str]) -> list[Suppression]:
    return warehouse.read_suppressions({suppression_keys(Contact(crm_id), Origin(name))[0]: name for name in crms})


def _follow_ups(warehouse: Warehouse, fields: Mapping[str, Any]) -> Iterator[ProviderAnswer]:
    """Give the replies of the follow-ups that have filled fields of the contact, with provider and step."""
    for provider, steps in (fields.get(FOLLOW_UPS) or {}).items():
        for step, keys in steps.items():
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
                    step,
                )
