"""One contact: everything that happened to it, its erasure from the warehouse, and the suppression list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from blocks.base import module_names
from blocks.crms.base import contact_id, crm_name, open_crm
from blocks.log import event
from blocks.settings import load_settings
from blocks.warehouses.base import Erased, Warehouse, open_warehouse
from enrichment.errors import ConfigurationError, EnrichmentError, sealed
from enrichment.identifiers import suppression_keys
from enrichment.plan import Reference
from enrichment.records import Contact, Origin
from enrichment.story import Policy, ProviderAnswer, Story, StoryLine, tell_story
from enrichment.waterfall import FOLLOW_UPS
from tasks.present_run import who
from tasks.steps import step


@sealed
def erase_contact(warehouse: str, crm: str, crm_id: str, by: str = "") -> Erased:
    """
    Remove what the warehouse knows of a contact, and keep it from being looked up again; safe to repeat.

    A run that is at work on the contact loses it. The CRM isn't touched.

    Args:
        warehouse: reference of the warehouse, `<name>` or `<name>/<block>`.
        crm: the CRM that knows the contact, `<name>` or `<name>/<block>`.
        crm_id: the contact's id in it; one that the warehouse doesn't know is suppressed anyway.
        by: who erases it; empty: the flow run, or the user of this machine.

    Returns:
        how many rows of each table went.

    Raises:
        TransientError: the warehouse can't be reached now; nothing or a part was removed, so repeat it.
        ConfigurationError: there is no such CRM, the id can't be one of its ids, or the warehouse isn't set up or
            refuses us.
    """
    name, crm_id = crm_name(crm), contact_id(crm, crm_id)
    with open_warehouse(warehouse) as target:
        erased = target.erase(Origin(name), crm_id, by or who())
    event("contact_erased", crm=name, crm_id=crm_id, **erased.rows)
    return erased


@step(name="erase-contact", task_run_name="erase the contact")
def erase(warehouse: str, crm: str, crm_id: str, *, even_if_unknown: bool = False) -> Erased:
    """Erase a contact as a task; raise ConfigurationError if the warehouse doesn't know it, unless that is meant."""
    if not even_if_unknown and not is_known(warehouse, crm, crm_id):
        raise ConfigurationError(
            f"{unknown_contact(crm, crm_id)}; nothing was erased or suppressed. If the id is right, set the parameter "
            "even_if_unknown: the contact is then never looked up"
        )
    return erase_contact(warehouse, crm, crm_id)


@sealed
def is_known(warehouse: str, crm: str, crm_id: str) -> bool:
    """Return whether the warehouse knows anything of a contact, if only that it is suppressed."""
    name = crm_name(crm)
    story = _read(warehouse, Origin(name), contact_id(crm, crm_id), [name])
    return bool(tell_story(replace(story, allowances=())))


def unknown_contact(crm: str, crm_id: str) -> str:
    """Return the sentence for a contact that the warehouse doesn't know."""
    of_crm = f" of {crm}" if crm else ""
    return f"the warehouse doesn't know contact {crm_id}{of_crm}: check the id, and whether the contact was queued"


@sealed
def suppress_contacts(warehouse: str, crm: str, named: Sequence[str], reason: str) -> int:
    """
    Keep contacts from ever being looked up, and note who wished it; safe to repeat.

    Args:
        warehouse: reference of the warehouse.
        crm: that knows the ids.
        named: contacts, each by its id in the CRM or by an e-mail address.
        reason: that is shown with them.

    Returns:
        how many of them weren't on the list before.
    """
    if reason == _ERASED:
        raise ConfigurationError(f"'{_ERASED}' is not a valid reason: it is kept for `enrich erase`")
    if not 0 < len(reason.strip()) <= _LONGEST_REASON:
        raise ConfigurationError(f"a reason has from 1 to {_LONGEST_REASON} characters, such as `do_not_contact`")
    keys = list(dict.fromkeys(key for one in named for key in _keys(crm, one)))
    with open_warehouse(warehouse) as target:
        known = target.read_suppressed(keys)
        target.suppress(keys, reason, who())
    event("contacts_suppressed", crm=crm, named=len(keys), new=len(keys) - len(known))
    return len(keys) - len(known)


@sealed
def allow_contact(warehouse: str, crm: str, named: str) -> bool:
    """
    Take a contact off the suppression list again, with all that came with it, and note who did.

    Args:
        warehouse: reference of the warehouse.
        crm: that knows the id.
        named: the contact's id in the CRM, or an e-mail address.

    Returns:
        whether it can be looked up now; else an erased contact has the same address.

    Raises:
        ConfigurationError: it isn't on the list.
    """
    keys = _keys(crm, named)
    with open_warehouse(warehouse) as target:
        if not target.read_suppressed(keys):
            raise ConfigurationError(
                f"{named} is not on the suppression list: check the id or the address, and `--crm`"
            )
        hashes = sum(target.allow(key, who()) for key in keys)
        free = not target.read_suppressed(keys)
    event("contact_allowed", crm=crm, hashes=hashes)
    return free


_ERASED = "erased"
_LONGEST_DAYS = 3650
_LONGEST_REASON = 200


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """
    Return what the warehouse knows of a contact, in order of time; empty if it knows nothing.

    Of an erased contact, only the erasure is returned.
    """
    settings = load_settings()
    crms = [crm] if crm else sorted({*module_names("blocks.crms"), Reference.parse(settings.crm).name})
    ids = _ids_in(crms, crm_id)
    stories = [
        _read(settings.warehouse, Origin(crm), one, [name for name in ids if ids[name] == one])
        for one in dict.fromkeys(ids.values())
    ]
    policy = _policy(settings.crm)
    return [line for story in stories for line in tell_story(story, policy)]


def _policy(reference: str) -> Policy | None:
    """Return what the configured CRM's mapping permits; None if the CRM isn't configured here."""
    try:
        with open_crm(reference) as crm:
            return Policy(Reference.parse(reference).name, crm.rules, crm.protected)
    except EnrichmentError:
        return None


def _ids_in(crms: Sequence[str], text: str) -> dict[str, str]:
    """Return an id as each of the CRMs has it that may have it; raise ConfigurationError if the only one can't."""
    ids: dict[str, str] = {}
    for name in crms:
        try:
            ids[name] = contact_id(name, text)
        except ConfigurationError:
            if len(crms) == 1:
                raise
    return ids


def _read(reference: str, origin: Origin, crm_id: str, crms: Sequence[str]) -> Story:
    keys = {suppression_keys(Contact(crm_id), Origin(name))[0]: name for name in crms}
    with open_warehouse(reference) as warehouse:
        suppressions, allowances = warehouse.read_suppressions(keys), warehouse.read_allowances(keys)
        story = warehouse.read_story(origin, crm_id)
        stored = [enrichment.fields for enrichment in story.stored.values()]
        follow_ups = [answer for fields in stored for answer in _follow_ups(warehouse, fields)]
    erased = {one.crm for one in suppressions if one.reason == _ERASED}
    return replace(story.without(erased), suppressions=suppressions, allowances=allowances, follow_ups=follow_ups)


def _keys(crm: str, named: str) -> list[str]:
    """Return the hashed identifiers of a contact that was named by its id, or by one address or several."""
    if "@" not in named:
        return suppression_keys(Contact(contact_id(crm, named)), Origin(crm_name(crm)))
    by_address = suppression_keys(Contact("", named), Origin(crm_name(crm)))[1:]
    if not by_address:
        raise ConfigurationError(f"'{named}' is not a valid e-mail address")
    return by_address


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
