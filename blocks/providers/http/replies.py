"""How answers and failures become replies, one for each request: pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from blocks.calls.loop import UNAUTHORIZED
from blocks.calls.messages import Answer
from blocks.providers.base import Reply, Request
from blocks.providers.http.interpret import Meaning, correlate, has_record, item_meaning, keepable, split_items
from blocks.providers.http.request import provider_input
from blocks.providers.spec.codes import short_code
from blocks.providers.spec.follow_ups import PAGE
from blocks.providers.spec.model import ProviderSpec
from enrichment.outcomes import CONCLUSIVE, Outcome
from enrichment.stops import stop_kind_of_reply

UNREADABLE = "unreadable_answer"
MISSING = "missing_in_answer"


def same_replies(requests: Sequence[Request], meaning: Meaning, wait_seconds: float | None = None) -> list[Reply]:
    """Return replies without an answer, all of one meaning."""
    return [Reply(one.key, meaning.outcome, reason=meaning.reason, wait_seconds=wait_seconds) for one in requests]


def in_doubt(spec: ProviderSpec, replies: Sequence[Reply]) -> list[Reply]:
    """Return the replies of lost answers with what they may have been billed at, beside what is asked next."""
    if spec.credits.billing_idempotent or not spec.credits.charge_on:
        return list(replies)  # the next answer costs no more for that
    return [replace(one, credits=spec.credits.amount) for one in replies]


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
    """Return replies that hold the whole answer, because nobody can say which part is whose."""
    meaning = Meaning(Outcome.RETRYABLE, UNREADABLE)
    return [_reply(spec, one, answer, meaning, keepable(answer, answer.body)) for one in requests]


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
    missing = Meaning(Outcome.RETRYABLE, UNREADABLE if lost else MISSING)
    return [
        _item_reply(spec, one, answer, placed.items[place])
        if place in placed.items
        else _reply(spec, one, answer, missing, lost)
        for place, one in enumerate(requests)
    ]


def _item_reply(spec: ProviderSpec, request: Request, answer: Answer, item: Any) -> Reply:
    meaning = item_meaning(spec, item)
    # A record may have been paid for, even if we don't know what its status means.
    worth_keeping = meaning.outcome in CONCLUSIVE or has_record(spec, item)
    return _reply(spec, request, answer, meaning, item if worth_keeping else None)


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
    billed = meaning.outcome in spec.credits.charge_on and PAGE not in request.lookup_input
    return spec.credits.amount if billed else 0.0


def request_id(spec: ProviderSpec, answer: Answer) -> str:
    """Return the id by which the provider knows the call, for its support."""
    named = [answer.headers.get(name.lower()) for name in spec.request_id_headers]
    within = spec.request_id_path.find(answer.seen) if spec.request_id_path else None
    return next((code for code in map(short_code, [*named, within]) if code), "")
