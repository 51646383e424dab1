"""How a follow-up of a spec becomes a separate spec, so that it is called and read like everything else: pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.providers.base import CREDENTIALS_REJECTED
from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.follow_ups import CHOSEN, PAGE, FollowUp, Pages, Switch
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import RequestForm, Rule
from enrichment.errors import ConfigurationError
from enrichment.names import names_in
from enrichment.records import Outcome
from enrichment.values import integer, text

_INHERITED = ("content_type", "accept", "headers")

#: Only this refusal concerns more than the step, so it is recognised under any name that the provider gives it.
_NO_CREDENTIALS = Rule(when=Expression("status == `401`"), outcome=Outcome.REJECTED, reason=CREDENTIALS_REJECTED)


def follow_up_spec(spec: ProviderSpec, follow_up: FollowUp, chosen: Sequence[str]) -> ProviderSpec:
    """
    Return the spec by which a follow-up is called and read.

    Args:
        spec: the spec of the provider.
        follow_up: one of its follow-ups.
        chosen: the values of its switch.
    """
    rules = (_NO_CREDENTIALS, *follow_up.outcomes.response, *spec.outcomes.response)
    return spec.model_copy(
        update={
            "request": _request(spec.request, follow_up, chosen),
            "batch": follow_up.batch,
            "items": follow_up.items,
            "record": follow_up.record,
            "record_id": None,
            "confidence": None,
            "correlate": follow_up.correlate,
            "outcomes": follow_up.outcomes.model_copy(update={"response": rules}),
            "credits": follow_up.credits or spec.credits,
            "fields": follow_up.fields,
            "output_fields": follow_up.output_fields,
            "usage": None,
            "follow_ups": (),
            "fixtures": follow_up.fixtures,
        }
    )


def choose_key(spec: ProviderSpec, follow_up: FollowUp, contact_reply: Any) -> dict[str, str] | None:
    """Return what a follow-up queries, by a contact's journalled reply; None if a part of it isn't known."""
    record = spec.record.find(contact_reply)
    found = {name: text(path.find(record)) for name, path in follow_up.key.items()}
    known = {name: value for name, value in found.items() if value}
    return known if len(known) == len(found) else None


def further_pages(pages: Pages | None, lookup_input: Mapping[str, str], body: Any) -> list[dict[str, str]]:
    """Return what to query for the pages behind the first one."""
    count = min(_count(pages, {"item": body}), pages.most) if pages else 1
    return [{**lookup_input, PAGE: str(number)} for number in range(2, count + 1)]


def chosen_values(switch: Switch, value: Any, variable: str) -> tuple[str, ...] | None:
    """
    Return the values that the user gave to a switch, none for a mere yes; None if it is off.

    Args:
        switch: of the follow-up.
        value: of the block's field.
        variable: its name, for messages.

    Raises:
        ConfigurationError: there are too many values, or one can't be sent.
    """
    if switch.kind == "yes_no":
        return () if value else None
    values = tuple(names_in(str(value or "")))
    if len(values) > switch.most:
        raise ConfigurationError(f"{variable} names {len(values)} values: one call accepts {switch.most}")
    unfit = [one for one in values if switch.joined_by and switch.joined_by in one]
    if unfit:
        raise ConfigurationError(
            f"{variable}: '{unfit[0]}' has a '{switch.joined_by}', which stands between two values"
        )
    return values or None


def _request(inherited: RequestForm, follow_up: FollowUp, chosen: Sequence[str]) -> RequestForm:
    form, switch = follow_up.request, follow_up.switch
    sent = switch.joined_by.join(chosen) if switch.joined_by else list(chosen)
    kept = {name: getattr(inherited, name) for name in _INHERITED if name not in form.model_fields_set}
    filled = {name: _with_chosen(getattr(form, name), sent) for name in ("body", "query")}
    return form.model_copy(update=kept | filled)


def _with_chosen(template: Any, sent: Any) -> Any:
    if isinstance(template, Mapping):
        return {name: _with_chosen(part, sent) for name, part in template.items()}
    if isinstance(template, list):
        return [_with_chosen(part, sent) for part in template]
    return sent if template == CHOSEN else template


def _count(pages: Pages, seen: Mapping[str, Any]) -> int:
    if pages.count:
        return integer(pages.count.find(seen)) or 1
    results = integer(pages.results.find(seen)) if pages.results else None
    return -(-(results or 0) // pages.size)
