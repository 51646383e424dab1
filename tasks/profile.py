"""A look at the CRM's contacts that costs no credit: read, counted, and kept as counts in the warehouse."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from blocks.crms.base import ContactPage, Crm, CrmContact, NewContact, open_crm, read_apart
from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError
from enrichment.moments import read_moment
from enrichment.plan import RunPlan
from enrichment.profile import KeptProfile, Profile, SeenContact, counts_of, for_all, profile_markdown, profile_of
from tasks.artifacts import publish_markdown
from tasks.preview import survey
from tasks.steps import step


@step(name="profile")
def profile(plan: RunPlan, limit: int) -> Profile:
    """
    Return what the CRM holds, and what it would cost to enrich it; the counts are kept.

    Args:
        plan: of a run.
        limit: how many contacts to read, about.
    """
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        sample = crm.sample(limit)
        seen = _read(crm, sample.contacts)
        found = profile_of(
            seen, crm.rules, crm.describe_fields(), crm=crm.name, contacts=sample.total, at=warehouse.now()
        )
        try:
            cost = survey(plan, warehouse, crm, [ContactPage(sample.contacts, "")], "backfill")
            found = replace(found, estimate=for_all(cost, len(sample.contacts) / sample.total) if seen else cost)
        except ConfigurationError as error:  # a look before there is a provider
            found = replace(found, note=f"not known yet: {error}")
        warehouse.keep_profile(KeptProfile(found.crm, found.profiled_at, found.contacts, found.read, counts_of(found)))
    publish_markdown(profile_markdown(found), key="crm-profile", description=f"Contacts of {found.crm}")
    event("profiled", crm=found.crm, contacts=found.contacts, read=found.read)
    return found


def _read(crm: Crm, contacts: Sequence[NewContact]) -> list[SeenContact]:
    """Return contacts with what the profile needs of them; one that can't be read is left out."""
    created, changed = crm.about.get("created", ""), crm.about.get("changed", "")
    fields = [*(rule.field for rule in crm.rules), *filter(None, (created, changed))]
    read, _ = read_apart(crm, [one.crm_id for one in contacts], list(dict.fromkeys(fields)))
    return [SeenContact(one.contact, one.values, _moment(one, created), _moment(one, changed)) for one in read.values()]


def _moment(contact: CrmContact, field: str) -> datetime | None:
    text = contact.values.get(field)
    return read_moment(text) if text else None
