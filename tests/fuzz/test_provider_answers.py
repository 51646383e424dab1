"""Whatever a provider answers, the engine has a next step for it, and each contact of the call gets one reply."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.calls.messages import Answer, in_lower_case, parse_json
from blocks.providers.base import Request
from blocks.providers.http.interpret import item_replies, read_reply
from blocks.providers.http.steps import next_step, wait_of_answer
from blocks.providers.spec.model import load_spec, spec_names
from enrichment.retry import Fault
from tests.fuzz.inputs import BODIES, HEADERS, MARK, VALUES, fuzzed, json_of

SPECS = {name: load_spec(name) for name in spec_names()}
NAMES = (
    "data",
    "result",
    "results",
    "matches",
    "person",
    "people",
    "contact",
    "errors",
    "error",
    "attributes",
    "meta",
    "status",
    "success",
    "code",
    "message",
    "id",
)
SHAPED = st.recursive(
    VALUES, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=4), max_leaves=8
).map(json_of)


@pytest.mark.parametrize("name", SPECS)
@fuzzed
@given(status=st.integers(100, 599), body=SHAPED | BODIES, headers=HEADERS)
def test_any_answer_leads_on(
    caplog: pytest.LogCaptureFixture, name: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    """Of any status, with any headers and any body."""
    caplog.clear()
    spec = SPECS[name]
    requests = [Request(str(number), {"email": f"{number}@x.example"}) for number in range(2)]
    answer = Answer(status, in_lower_case(headers), parse_json(body))
    step = next_step(spec, answer, requests)
    wait_of_answer(spec, answer, step.fault or Fault.THROTTLED, datetime(2026, 11, 23, tzinfo=UTC))
    replies = item_replies(spec, requests, answer)
    assert [one.key for one in replies] == [one.key for one in requests]
    for reply in replies:
        if reply.body is not None:
            read_reply(spec, reply.body)
    assert MARK not in caplog.text
