"""A made-up provider that is as unlike ZoomInfo as can be: the engine knows neither of them."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.records import Outcome
from tests.integration.providers.asker import Journal, ask, impatient, make_provider, requests_for
from tests.integration.providers.stub import Response, Seen, Stub, running_stub

HIT = json.dumps(
    {"person": {"id": 7, "employer_name": "Acme", "job": {"title": "Clerk"}}, "employer": {}, "score": 0.5}
)


@pytest.fixture(autouse=True)
def spec_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(Path(__file__).parent / "specs"))


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub() as running:
        yield running


@pytest.fixture
def provider(stub: Stub) -> HttpProvider:
    return make_provider(impatient(load_spec("cardfile")), f"{stub.url}/api", api_key="key-1")


def once(first: Response, then: Response) -> Callable[[Seen], Response]:
    """Answer the first request differently from all others."""
    response = iter([first])
    return lambda _: next(response, then)


def error(kind: str) -> str:
    return json.dumps({"error": {"type": kind}})


def test_it_works_from_the_environment_alone(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A YAML file in a folder and two variables are all that a new provider takes."""
    monkeypatch.setenv("ENRICHMENT_CARDFILE_API_KEY", "key-1")
    monkeypatch.setenv("ENRICHMENT_CARDFILE_BASE_URL", f"{stub.url}/api")
    stub.answer = lambda _: Response(200, HIT, {"X-Trace": "t-1", "X-Cardfile-Version": "2026-01-01"})
    provider = load_provider("cardfile")
    assert isinstance(provider, HttpProvider)
    reply = ask(provider, ["a+b@x.example"])["a+b@x.example"]
    assert (reply.outcome, reply.reason, reply.credits) == (Outcome.PARTIAL, "", 2.0)
    assert (reply.api_version, reply.request_id) == ("2026-01-01", "t-1")
    [seen] = stub.seen
    assert (seen.method, seen.path, seen.query) == ("GET", "/api/v2/people", {"mail": ["a+b@x.example"]})
    assert (seen.headers["x-api-key"], seen.headers["api-version"], seen.body) == ("key-1", "2026-01-01", b"")
    reading = provider.read(reply.body)
    assert (reading.provider_record_id, reading.confidence) == ("7", 50.0)
    assert reading.fields == {"company_name": "Acme", "title": "Clerk"}


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        (404, error("unknown_person"), Outcome.UNMATCHED, "unknown_person"),
        (404, error("unknown_route"), Outcome.REJECTED, "unknown_route"),
        (404, "<html>lost</html>", Outcome.REJECTED, "status_404"),
        (402, "", Outcome.QUOTA_EXHAUSTED, "no_credits"),
        (422, error("bad_mail"), Outcome.INVALID_INPUT, "bad_mail"),
        (451, "", Outcome.SUPPRESSED, "barred"),
        (202, "", Outcome.PENDING, "queued"),
        (400, "", Outcome.REJECTED, "status_400"),
        (401, "denied", Outcome.REJECTED, "status_401"),
        (302, "", Outcome.REJECTED, "status_302"),
        (200, json.dumps({"person": None}), Outcome.UNMATCHED, "empty"),
        (200, "null", Outcome.UNMATCHED, "empty"),
    ],
)
def test_statuses_mean_what_the_spec_says(
    stub: Stub, provider: HttpProvider, status: int, body: str, outcome: Outcome, reason: str
) -> None:
    """404 is a miss or a wrong route, 402 no credits: by the rules, not by the engine."""
    stub.answer = lambda _: Response(status, body)
    journal = Journal()
    reply = ask(provider, ["a@x.example"], journal)["a@x.example"]
    assert (reply.outcome, reply.reason) == (outcome, reason)
    conclusive = outcome in {Outcome.UNMATCHED, Outcome.INVALID_INPUT, Outcome.SUPPRESSED}
    assert journal.replies == ([reply] if conclusive else [])
    if conclusive:
        assert provider.read(reply.body).outcome is outcome


@pytest.mark.parametrize(
    "throttled",
    [
        Response(429, "", {"Retry-After": "0"}),
        Response(403, "", {"Retry-After": "0.0"}),
        Response(429, "", {"Retry-After": format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)}),
        Response(429, "", {"Retry-After": "Sun Nov  6 08:49:37 1994"}),
        Response(429, "", {"Retry-After": "Sunday, 06-Nov-94 08:49:37 GMT"}),
        Response(429, "", {"Retry-After": "soon"}),
        Response(429, "", {"Retry-After": "-1"}),
        Response(429, "", {"Retry-After": ""}),
        Response(429, json.dumps({"wait_seconds": 0})),
        Response(429, "", {"X-Reset-At": "2020-01-01T00:00:00Z"}),
        Response(503, "<html>down</html>"),
        Response(500),
    ],
)
def test_a_throttle_or_fault_is_repeated(stub: Stub, provider: HttpProvider, throttled: Response) -> None:
    """Each form of Retry-After, the body's hint and the reset header are understood; garbage is waited out."""
    stub.answer = once(throttled, Response(200, HIT))
    assert ask(provider, ["a@x.example"])["a@x.example"].outcome is Outcome.PARTIAL
    assert len(stub.seen) == 2


@pytest.mark.parametrize(
    ("response", "seconds"),
    [
        (Response(429, "", {"Retry-After": "3600"}), 3600),
        (Response(429, "", {"Retry-After": "999999"}), 999_999),
        (Response(503, "", {"Retry-After": "61"}), 61),
        (Response(429, json.dumps({"wait_seconds": 7200})), 7200),
        (Response(429, "", {"Retry-After": "90", "X-Reset-At": "2999-01-01T00:00:00Z"}), 90),
    ],
)
def test_a_long_wait_is_returned_and_not_slept(
    stub: Stub, provider: HttpProvider, response: Response, seconds: float
) -> None:
    """All requests come back with the server's wait; a call that hadn't been made isn't made."""
    stub.answer = lambda _: response
    replies = ask(provider, [f"p{number}@x.example" for number in range(100)])
    assert {reply.outcome for reply in replies.values()} == {Outcome.RETRYABLE}
    assert all(seconds - 30 < (reply.wait_seconds or 0) <= seconds for reply in replies.values())
    assert len(stub.seen) <= 16
    later = ask(provider, ["late@x.example"])["late@x.example"]
    assert (later.reason, len(stub.seen) <= 16) == ("postponed", True)


def test_attempts_end(stub: Stub, provider: HttpProvider) -> None:
    """A fault that stays is given up after the spec's attempts, and the record may be tried again another time."""
    stub.answer = lambda _: Response(503, error("down"))
    reply = ask(provider, ["a@x.example"])["a@x.example"]
    assert (reply.outcome, reply.reason, reply.wait_seconds, len(stub.seen)) == (Outcome.RETRYABLE, "down", None, 3)


@pytest.mark.parametrize(
    "response",
    [Response(hang_up=True), Response(200, '{"person": {"id"'), Response(200, "<html>login</html>"), Response(200)],
)
def test_a_lost_answer_is_not_bought_twice(stub: Stub, provider: HttpProvider, response: Response) -> None:
    """Where each call is billed, an answer that was lost on the way isn't asked for again."""
    stub.answer = lambda _: response
    reply = ask(provider, ["a@x.example"])["a@x.example"]
    assert (reply.outcome, len(stub.seen)) == (Outcome.RETRYABLE, 1)


def test_an_unreadable_answer_is_kept_as_it_came(stub: Stub, provider: HttpProvider) -> None:
    """What may have been paid for is in the journal, though it can't be read."""
    stub.answer = lambda _: Response(200, '{"person": {"id"')
    journal = Journal()
    ask(provider, ["a@x.example"], journal)
    assert [(one.outcome, one.reason, one.body) for one in journal.replies] == [
        (Outcome.RETRYABLE, "unreadable_answer", {"http_status": 200, "body": '{"person": {"id"'})
    ]


def test_an_unreachable_provider_is_retryable(provider: HttpProvider, stub: Stub) -> None:
    """A refused connection costs attempts, not the run."""
    lonely = make_provider(impatient(load_spec("cardfile")), "http://127.0.0.1:9", api_key="key-1")
    reply = ask(lonely, ["a@x.example"])["a@x.example"]
    assert (reply.outcome, reply.reason) == (Outcome.RETRYABLE, "unreachable")


def test_without_a_free_call_the_check_looks_at_the_credentials(stub: Stub, provider: HttpProvider) -> None:
    """Nothing is spent on a check."""
    assert provider.check() == "Cardfile: credentials are set; there is no free call to test them with"
    assert stub.seen == []


def test_a_stop_is_heard_by_all(stub: Stub, provider: HttpProvider) -> None:
    """Once credits are used up, calls not yet made aren't made, and their contacts get the reason."""
    stub.answer = lambda _: Response(402)
    replies = ask(provider, [f"p{number}@x.example" for number in range(200)])
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.QUOTA_EXHAUSTED, "no_credits")}
    assert len(stub.seen) <= 16


def test_a_journal_that_fails_ends_the_asking(stub: Stub, provider: HttpProvider) -> None:
    """What can't be kept isn't bought: the error reaches the caller, and no further call is made."""
    stub.answer = lambda _: Response(200, HIT)

    def keep(replies: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        provider.ask(requests_for(provider, [f"p{number}@x.example" for number in range(200)]), keep)
    assert len(stub.seen) <= 32


def test_neither_keys_nor_addresses_are_logged(
    stub: Stub, provider: HttpProvider, caplog: pytest.LogCaptureFixture
) -> None:
    """No log line, at whatever level, holds the key or an address, not even those of the HTTP library."""
    caplog.set_level(logging.DEBUG)
    provider = make_provider(impatient(load_spec("cardfile")), f"{stub.url}/api", api_key="key-1")
    response: list[Any] = [Response(500), Response(200, HIT), Response(hang_up=True), Response(422, error("bad_mail"))]
    stub.answer = lambda _: response.pop(0) if response else Response(402)
    ask(provider, ["ada@x.example", "bob@x.example", "cyd@x.example"])
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "provider_answered" in logged
    assert not any(secret in logged for secret in ("key-1", "ada", "bob", "cyd", "x.example"))
