"""Whatever a CRM answers becomes a value or an error of ours that says what to do; what it says isn't logged."""

import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.crms.base import Crm, load_crm
from enrichment.errors import EnrichmentError, UnexpectedError, sealed
from sandbox.accounts import account_settings
from sandbox.exchange import Reply, Request
from tests.fuzz.inputs import BODIES, HEADERS, MARK, VALUES, fuzzed, json_of
from tests.simulation.wires import URL, connected

#: What an answer of these calls may have, so that many are right in part.
NAMES = (
    "results",
    "result",
    "records",
    "errors",
    "error",
    "paging",
    "total",
    "fields",
    "totalSize",
    "done",
    "id",
    "name",
    "properties",
)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 207, 302, 400, 401, 403, 404, 409, 413, 422, 423, 500, 503])
ANSWERS = st.builds(
    lambda status, body, headers: Reply(
        status, body, {one: text for one, text in headers.items() if one[:7] != "content"}
    ),
    STATUSES,
    st.one_of(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6).map(json_of), BODIES),
    HEADERS,
)
#: So that what comes after the sign-in is reached.
SESSION = {
    "access_token": "t",
    "instance_url": f"{URL}/salesforce",
    "id": f"{URL}/id/00D000000000000AAA/005000000000000AAA",
}


class World:
    """Answers every request alike."""

    answer = Reply()

    def send(self, _: str, request: Request) -> Reply:
        return Reply(200, json_of(SESSION)) if request.path.endswith("/token") else self.answer


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Let all calls of this process be answered by one, and no wait take time."""
    world, slept, sleep, monotonic = World(), [0.0], time.sleep, time.monotonic
    # Loops of other threads would wait for hours when the clock goes back.
    ours = ContextVar("of this test", default=False)
    ours.set(True)

    def pass_over(seconds: float) -> None:
        if ours.get():
            slept[0] += seconds
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", pass_over)
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + slept[0] * ours.get())
    for name in ("hubspot", "salesforce"):
        for setting, value in account_settings(name, URL).items():
            monkeypatch.setenv(setting, value)
    # Tests before this one may have started a Prefect server, which would be answered for as well.
    with connected(world.send, monkeypatch), temporary_settings(restore_defaults={PREFECT_API_URL}):
        yield world


CALLS: dict[str, Callable[[Crm], Any]] = {
    "fields": lambda crm: crm.describe_fields(),
    "contacts": lambda crm: crm.read(["501", "003D000000QV9n2IAD"], []),
    "new contacts": lambda crm: next(crm.created_since(datetime(2026, 11, 1, tzinfo=UTC)), None),
    "check": lambda crm: crm.check(),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["hubspot", "salesforce"])
@fuzzed
@given(answer=ANSWERS)
@example(Reply(200, b"null"))
@example(Reply(200, b"[" * 5000 + b"]" * 5000))
def test_a_crm_is_read_or_refused(
    world: World, caplog: pytest.LogCaptureFixture, name: str, call: str, answer: Reply
) -> None:
    """No answer ends in an error that only names a line of our code."""
    world.answer = answer
    caplog.clear()
    crm, said = load_crm(name), ""
    try:
        sealed(CALLS[call])(crm)
    except UnexpectedError:
        raise
    except EnrichmentError as error:
        said = str(error)
    finally:
        crm.close()
    assert MARK not in said + caplog.text
