"""
What an answer means, by the spec's rules: pure evaluation, without a call, a clock or a log.

The list of items is never projected over, only walked: a projection drops nulls, and the rest would shift onto wrong
contacts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocks.calls.loop import UNAUTHORIZED
from blocks.calls.messages import Answer
from blocks.providers.base import Reading, Reply, Request
from blocks.providers.http.request import provider_input, reference
from blocks.providers.spec.follow_ups import PAGE
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import CanonicalField, Rule
from blocks.providers.spec.transforms import TRANSFORMS, short_code
from enrichment.errors import ContractError
from enrichment.fields import FIELDS, RESULT_FIELDS, Field
from enrichment.identifiers import same_text, valid_addresses
from enrichment.records import CONCLUSIVE, ENRICHED, Outcome
from enrichment.stops import stop_kind_of_reply
from enrichment.values import canonical, why_left_out

#: Keys of a journalled answer that has no items, so that its meaning depends on its status.
_STATUS, _BODY = "http_status", "body"

_QUOTED_WORD = re.compile(r"['\"`]([A-Za-z]\w*)['\"`]")
#: A name that no text holds by chance, as `companyName`.
_CAMEL_CASE = re.compile(r"\b[a-z]+(?:[A-Z][a-z]*)+\b")
_NO_LETTER = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Meaning:
    """An outcome, the short code that explains it, and whether it is billed though its outcome isn't."""

    outcome: Outcome
    reason: str = ""
    billed: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """
    The items of an answer, each with its request.

    Args:
        items: by the request's place; a request without an item is absent.
        orphans: items that answer no request that we know.
    """

    items: Mapping[int, Any]
    orphans: tuple[Any, ...] = ()


def answer_meaning(spec: ProviderSpec, answer: Answer) -> Meaning | None:
    """Return what the answer means for all its contacts, or None if no rule speaks of it."""
    meaning = _first_hit(spec.outcomes.response, answer.seen)
    if meaning is None or meaning.reason:
        return meaning
    return Meaning(meaning.outcome, error_code(spec, answer) or f"status_{answer.status}")


def error_code(spec: ProviderSpec, answer: Answer) -> str:
    """Return the code that an error body names first, if any."""
    return short_code(spec.errors.codes.find(answer.seen))


def item_meaning(spec: ProviderSpec, item: Any) -> Meaning:
    """Return what one contact's item means; what no rule matches may be retried."""
    return _first_hit(spec.outcomes.item, {"item": item}) or Meaning(Outcome.RETRYABLE, "unknown_answer")


def split_items(spec: ProviderSpec, answer: Answer) -> list[Any]:
    """
    Return the items of an answer; without a path, the whole body is the only one.

    Raises:
        ContractError: there is no list where the spec says.
    """
    if spec.items is None:
        return [answer.body]
    items = spec.items.find(answer.body)
    if not isinstance(items, list):
        raise ContractError(f"{spec.title}'s answer has no list at '{spec.items.text}'")
    return items


def correlate(spec: ProviderSpec, sent: Sequence[Mapping[str, Any]], items: Sequence[Any]) -> Placed:
    """
    Find the request that each item answers.

    Args:
        spec: the spec of the provider.
        sent: the inputs under the provider's names, in the order in which they were sent.
        items: as received.
    """
    echo = spec.correlate.echo
    if spec.correlate.by == "position" or echo is None:
        in_order = len(items) == len(sent)
        return Placed(dict(enumerate(items))) if in_order else Placed({}, tuple(items))
    echoes = [echo.find(item) for item in items]
    if spec.correlate.by == "reference":
        return _by_echo([reference(place) for place in range(len(sent))], [_plain(one) for one in echoes], items)
    return _by_echo([_fold(one) for one in sent], [_fold(one) for one in echoes], items)


def miscounted(spec: ProviderSpec, answer: Answer, contacts: int) -> bool:
    """Return whether places say nothing, because there are more or fewer items than contacts, and nothing else does."""
    items = spec.items.find(answer.body) if spec.items else None
    return spec.correlate.by == "position" and isinstance(items, list) and len(items) != contacts


def has_record(spec: ProviderSpec, item: Any) -> bool:
    """Return whether an item holds a record: something that may have been paid for."""
    return spec.record.holds(item)


def refused_fields(spec: ProviderSpec, answer: Answer, asked: Sequence[str]) -> list[str]:
    """Return the output fields that a refusal names as not permitted."""
    listed = spec.output_fields.refused.find(answer.seen) if spec.output_fields.refused else None
    if not answer.success and isinstance(listed, list):
        return _among(asked, listed)
    codes = spec.errors.codes.find(answer.seen)
    if answer.status != 400 or not set(_as_list(codes)) & set(spec.output_fields.drop_on):
        return []
    texts = [str(text) for text in _as_list(spec.errors.texts.find(answer.seen))]
    return _among(asked, [word for text in texts for word in (*_QUOTED_WORD.findall(text), *_CAMEL_CASE.findall(text))])


def _among(asked: Sequence[str], refused: Sequence[Any]) -> list[str]:
    """Return the fields that are refused: ZoomInfo keeps neither the case nor the form in which they were asked for."""
    folded = {_bare(str(name)) for name in refused}
    return [name for name in asked if _bare(name) in folded]


def _bare(name: str) -> str:
    return _NO_LETTER.sub("", name.casefold())


def is_about_fields(spec: ProviderSpec, answer: Answer) -> bool:
    """Return whether a refusal is about output fields, though it needn't name them."""
    unnamed = spec.output_fields.unnamed
    return unnamed is not None and not answer.success and unnamed.holds(answer.seen)


def keepable(answer: Answer, body: Any) -> dict[str, Any]:
    """Return an answer's body in the form in which it is journalled when it isn't one contact's item."""
    return {_STATUS: answer.status, _BODY: body}


def read_reply(spec: ProviderSpec, body: Any) -> Reading:
    """Say what a journalled reply means by this spec."""
    if isinstance(body, dict) and body.keys() == {_STATUS, _BODY}:
        answer = Answer(int(body[_STATUS]), {}, body[_BODY])
        meaning = answer_meaning(spec, answer) or _unexplained(spec, answer)
        return Reading(meaning.outcome, meaning.reason, None, None, {})
    meaning = item_meaning(spec, body)
    if meaning.outcome not in ENRICHED:
        return Reading(meaning.outcome, meaning.reason, None, None, {})
    seen = {"item": body}
    record_id = spec.record_id.find(seen) if spec.record_id else None
    confidence = _value(RESULT_FIELDS["confidence"], spec.confidence, seen) if spec.confidence else None
    text_id = None if record_id is None else str(record_id)
    fields, left_out = _canonical(spec, body)
    return Reading(meaning.outcome, meaning.reason, text_id, confidence, fields, addresses_of(spec, body), left_out)


def addresses_of(spec: ProviderSpec, item: Any) -> frozenset[str]:
    """Return the addresses that an item gives the person, each in its one form."""
    found = spec.addresses.find({"item": item}) if spec.addresses else None
    texts = found if isinstance(found, list) else [found]
    return frozenset(one for text in texts if isinstance(text, str) for one in valid_addresses(text))


def _unexplained(spec: ProviderSpec, answer: Answer) -> Meaning:
    # A refusal is journalled only after other contacts passed in the same form, so that it was this contact's fault.
    if 400 <= answer.status < 500:
        return Meaning(Outcome.INVALID_INPUT, error_code(spec, answer) or f"status_{answer.status}")
    return Meaning(Outcome.RETRYABLE, "unreadable_answer")


def given_values(spec: ProviderSpec, item: Any) -> dict[str, Any]:
    """Return by canonical field what an item has of it, as the provider gives it."""
    record = spec.record.find(item)
    return {name: _given(mapped, record) for name, mapped in spec.fields.items()}


def _canonical(spec: ProviderSpec, item: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the canonical fields of an item, and why a value that it has of one of the others was left out."""
    given = given_values(spec, item)
    found = {name: canonical(FIELDS[name], value, spec.fields[name].unit) for name, value in given.items()}
    left_out: dict[str, str] = {}
    for name in [name for name, value in found.items() if value is None]:
        field = FIELDS[name]  # 11-50 where a number is expected is a range all the same
        other = canonical(FIELDS[field.sibling], given[name]) if field.sibling else None
        if other is None:
            left_out[name] = why_left_out(field, given[name])
        elif found.get(field.sibling) is None:
            found[field.sibling] = other
    known = {name: value for name, value in found.items() if value is not None}
    return known, {name: reason for name, reason in left_out.items() if reason and name not in known}


def _value(field: Field, mapped: CanonicalField, seen: Any) -> Any:
    return canonical(field, _given(mapped, seen), mapped.unit)


def _given(mapped: CanonicalField, seen: Any) -> Any:
    value = mapped.path.pick(seen)
    return TRANSFORMS[mapped.transform](value) if value is not None and mapped.transform else value


def _first_hit(rules: Sequence[Rule], seen: Mapping[str, Any]) -> Meaning | None:
    for rule in rules:
        if rule.when.holds(seen):
            code = short_code(rule.reason_path.find(seen)) if rule.reason_path else ""
            return Meaning(rule.outcome, code or rule.reason, rule.billed)
    return None


def _by_echo(sent: Sequence[Any], echoes: Sequence[Any], items: Sequence[Any]) -> Placed:
    places = {one: place for place, one in enumerate(sent)}
    found: dict[int, Any] = {}
    rest: list[int] = []
    for index, echo in enumerate(echoes):
        place = places.get(echo) if echo else None
        if place is None or place in found:
            rest.append(index)
        else:
            found[place] = items[index]
    # Without an echo only the place is left, and it counts only if nothing in this answer stands at a wrong one.
    ordered = len(items) == len(sent) and all(not echo or echo == one for echo, one in zip(echoes, sent, strict=False))
    if ordered:
        return Placed({**found, **{index: items[index] for index in rest}})
    return Placed(found, tuple(items[index] for index in rest))


def _fold(value: Any) -> frozenset[tuple[str, str]]:
    """Return an input in the form in which echoes are compared: neither case nor blanks nor nulls count."""
    pairs = value.items() if isinstance(value, Mapping) else ()
    return frozenset((str(name).casefold(), _folded_text(one)) for name, one in pairs if one not in (None, "", [], {}))


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, (str, int)) else ""


def _folded_text(value: Any) -> str:
    return same_text(str(value))


def _as_list(value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, (str, int))]


UNREADABLE = "unreadable_answer"
CUT = "cut_answer"
MISSING = "missing_in_answer"


def same_replies(
    requests: Sequence[Request], meaning: Meaning, wait_seconds: float | None = None, *, call: str = ""
) -> list[Reply]:
    """Return replies without an answer, all of one meaning; `call` is the provider's id of the last call, if any."""
    alike = Reply("", meaning.outcome, reason=meaning.reason, wait_seconds=wait_seconds, request_id=call)
    return [replace(alike, key=one.key) for one in requests]


def in_doubt(spec: ProviderSpec, requests: Sequence[Request], replies: Sequence[Reply]) -> list[Reply]:
    """Return the replies of answers that were lost, or can't be used, with what they may have been billed at."""
    return [_doubtful(spec, request, one) for request, one in zip(requests, replies, strict=True)]


def _doubtful(spec: ProviderSpec, request: Request, reply: Reply) -> Reply:
    if not spec.credits.charge_on or PAGE in request.lookup_input:  # the first page has paid for the further ones
        return reply
    if spec.credits.billing_idempotent:  # the next answer costs no more, and takes the place of this one
        return replace(reply, credits=spec.credits.amount)
    # The same call would be paid for again; whether it would bring the same answer is for people to judge.
    return replace(reply, credits=0.0, doubt=spec.credits.amount, final=reply.body is not None and reply.reason != CUT)


def settled_replies(
    spec: ProviderSpec,
    requests: Sequence[Request],
    answer: Answer,
    meaning: Meaning,
    wait_seconds: float | None = None,
) -> list[Reply]:
    """Return the replies of an answer that means the same for all its contacts; a conclusive one carries its body."""
    body = keepable(answer, answer.body) if meaning.outcome in CONCLUSIVE else None
    replies = [_reply(spec, one, answer, meaning, body) for one in requests]
    return [replace(one, wait_seconds=wait_seconds) for one in replies]


def raw_replies(spec: ProviderSpec, requests: Sequence[Request], answer: Answer) -> list[Reply]:
    """Return replies that hold the whole answer, because its parts can't be assigned to requests."""
    meaning = Meaning(Outcome.RETRYABLE, CUT if answer.cut else UNREADABLE)
    replies = [_reply(spec, one, answer, meaning, keepable(answer, answer.body)) for one in requests]
    return in_doubt(spec, requests, replies)


def item_replies(spec: ProviderSpec, requests: Sequence[Request], answer: Answer) -> list[Reply]:
    """Return the replies of an answer with items."""
    try:
        return _item_replies(spec, requests, answer)
    except Exception:  # noqa: BLE001  whatever our reading trips over, the answer may be paid for and must be kept
        return raw_replies(spec, requests, answer)


def _item_replies(spec: ProviderSpec, requests: Sequence[Request], answer: Answer) -> list[Reply]:
    sent = [provider_input(spec, one.lookup_input) for one in requests]
    placed = correlate(spec, sent, split_items(spec, answer))
    lost = keepable(answer, list(placed.orphans)) if placed.orphans else None
    return [
        _item_reply(spec, one, answer, placed.items[place])
        if place in placed.items
        else _absent_reply(spec, one, answer, lost)
        for place, one in enumerate(requests)
    ]


def _absent_reply(spec: ProviderSpec, request: Request, answer: Answer, lost: Any) -> Reply:
    """Return the reply of a contact without an item; among lost ones may be that for which it was billed."""
    reply = _reply(spec, request, answer, Meaning(Outcome.RETRYABLE, UNREADABLE if lost else MISSING), lost)
    return _doubtful(spec, request, reply) if lost else reply


def _item_reply(spec: ProviderSpec, request: Request, answer: Answer, item: Any) -> Reply:
    meaning = item_meaning(spec, item)
    # A record may have been paid for, even if we don't know what its status means.
    paid = has_record(spec, item)
    reply = _reply(spec, request, answer, meaning, item if paid or meaning.outcome in CONCLUSIVE else None)
    return _doubtful(spec, request, reply) if paid and meaning.outcome is Outcome.RETRYABLE else reply


def _reply(spec: ProviderSpec, request: Request, answer: Answer, meaning: Meaning, body: Any) -> Reply:
    return Reply(
        request.key,
        meaning.outcome,
        body,
        meaning.reason,
        _credits(spec, request, meaning),
        answer.headers.get(spec.version_header.lower(), "") or spec.api_version,
        request_id(spec, answer),
        stop=stop_kind_of_reply(meaning.outcome, credentials=answer.status == UNAUTHORIZED),
    )


def _credits(spec: ProviderSpec, request: Request, meaning: Meaning) -> float:
    # The first page has paid for the further ones.
    billed = (meaning.billed or meaning.outcome in spec.credits.charge_on) and PAGE not in request.lookup_input
    return spec.credits.amount if billed else 0.0


def request_id(spec: ProviderSpec, answer: Answer) -> str:
    """Return the id by which the provider knows the call, for its support."""
    named = [answer.headers.get(name.lower()) for name in spec.request_id_headers]
    within = spec.request_id_path.find(answer.seen) if spec.request_id_path else None
    return next((code for code in map(short_code, [*named, within]) if code), "")
