"""Clearbit over real sockets: one contact a call, queued answers, misses that are billed, and a second host."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.errors import ConfigurationError
from enrichment.records import Outcome
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider
from tests.integration.providers.stub import Response, running_stub

SPEC = impatient(load_spec("clearbit"))
FAST = SPEC.model_copy(
    update={
        "rate": SPEC.rate.model_copy(update={"windows": (SPEC.rate.windows[0].model_copy(update={"limit": 60_000}),)})
    }
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the key is another one each time, since holds are shared by key."""
    sandbox.reset(clearbit={"per_minute": 60_000, "api_key": f"key-{uuid.uuid4().hex}"})
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **settings: Any) -> HttpProvider:
    return make_provider(FAST, settings.pop("url", box.clearbit_url), api_key=box.world.clearbit.settings.api_key)


def statuses(box: Box) -> list[int]:
    return [record.status for record in box.world.clearbit.requests]


def test_it_works_from_the_environment_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, key and version come from variables; the answer's version, not the requested one, is reported."""
    monkeypatch.setenv("ENRICHMENT_CLEARBIT_BASE_URL", box.clearbit_url)
    monkeypatch.setenv("ENRICHMENT_CLEARBIT_API_KEY", box.world.clearbit.settings.api_key)
    provider = load_provider("clearbit")
    assert isinstance(provider, HttpProvider)
    assert ask(provider, ["hit+a@acme.example"])["hit+a@acme.example"].api_version == "2019-12-19"
    monkeypatch.setenv("ENRICHMENT_CLEARBIT_API_VERSION", "2018-01-01")
    newer = load_provider("clearbit")
    assert isinstance(newer, HttpProvider)
    assert ask(newer, ["hit+b@acme.example"])["hit+b@acme.example"].api_version == "2018-01-01"


def test_a_version_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version with a line break in it is a wrong setting."""
    monkeypatch.setenv("ENRICHMENT_CLEARBIT_API_KEY", "key")
    monkeypatch.setenv("ENRICHMENT_CLEARBIT_API_VERSION", "2018\nX-Evil: 1")
    with pytest.raises(ConfigurationError, match="API_VERSION"):
        load_provider("clearbit")


def test_a_contact_comes_with_its_fields(box: Box, provider: HttpProvider) -> None:
    """A hit has the canonical fields: size as a number, technologies, a whole LinkedIn address."""
    reply = ask(provider, ["hit+ada.byron@acme.example"])["hit+ada.byron@acme.example"]
    reading = provider.read(reply.body)
    assert reading.outcome is Outcome.MATCHED
    expected = {"company_name", "employee_count", "industry", "tech_stack", "linkedin_url", "title", "company_domain"}
    assert expected <= reading.fields.keys()
    assert isinstance(reading.fields["employee_count"], int)
    assert reading.fields["linkedin_url"] == "https://www.linkedin.com/in/hit+ada-byron-acme-example"
    assert str(reading.provider_record_id).startswith("p-")


@pytest.mark.parametrize(
    ("email", "outcome", "reason", "billed"),
    [
        ("hit+a@acme.example", Outcome.MATCHED, "", 1),
        ("companyonly+a@acme.example", Outcome.PARTIAL, "no_person", 1),
        ("contactonly+a@acme.example", Outcome.PARTIAL, "no_company", 1),
        ("fuzzy+a@acme.example", Outcome.PARTIAL, "fuzzy", 1),
        ("miss+a@acme.example", Outcome.UNMATCHED, "unknown_record", 1),
        ("optout+a@acme.example", Outcome.UNMATCHED, "unknown_record", 1),
        ("invalid+a@acme.example", Outcome.INVALID_INPUT, "email_invalid", 0),
        ("info@acme.example", Outcome.INVALID_INPUT, "email_invalid", 0),
    ],
)
def test_each_ending_has_its_outcome_and_its_price(
    box: Box, provider: HttpProvider, email: str, outcome: Outcome, reason: str, billed: int
) -> None:
    """Each way to end is distinguished, is journalled, means the same when read again, and costs what was billed."""
    journal = Journal()
    reply = ask(provider, [email], journal)[email]
    assert (reply.outcome, reply.reason) == (outcome, reason)
    assert journal.replies == [reply]
    assert provider.read(reply.body).outcome is outcome
    assert reply.credits == box.world.clearbit.credits_used == billed


def test_asking_twice_is_billed_once(box: Box, provider: HttpProvider) -> None:
    """Hits and misses alike cost a credit once in a billing period, and again in the next one."""
    for _ in range(3):
        ask(provider, ["hit+a@acme.example", "miss+a@acme.example"])
    assert box.world.clearbit.credits_used == 2
    box.world.clock.advance(31 * 86_400)
    ask(provider, ["hit+a@acme.example"])
    assert box.world.clearbit.credits_used == 3


@pytest.mark.parametrize("body", ["", "not JSON", json.dumps({"person": {"id": "other"}, "company": None})])
def test_what_is_queued_comes_later(box: Box, provider: HttpProvider, body: str) -> None:
    """A 202 is pending whatever its body says, and isn't journalled; asking later finds the contact for one credit."""
    box.configure(clearbit={"pending_body": body})
    email, journal = "pending2+a@acme.example", Journal()
    outcomes = [ask(provider, [email], journal)[email].outcome for _ in range(3)]
    assert outcomes == [Outcome.PENDING, Outcome.PENDING, Outcome.MATCHED]
    assert [reply.outcome for reply in journal.replies] == [Outcome.MATCHED]
    assert box.world.clearbit.credits_used == 1


@pytest.mark.parametrize(
    ("form", "seconds", "least", "most"),
    [("seconds", 90, 90, 90), ("seconds", 1, 5, 5), ("http-date", 3600, 3500, 3700)],
)
def test_a_queued_answer_may_say_when(
    box: Box, provider: HttpProvider, form: str, seconds: float, least: float, most: float
) -> None:
    """Retry-After of a 202 is passed on, but never so short that asking wouldn't end."""
    box.configure(clearbit={"pending_retry_after": form, "pending_seconds": seconds})
    reply = ask(provider, ["pending1+a@acme.example"])["pending1+a@acme.example"]
    assert reply.outcome is Outcome.PENDING
    assert reply.wait_seconds is not None
    assert least <= reply.wait_seconds <= most


@pytest.mark.parametrize("form", ["absent", "garbage"])
def test_a_queued_answer_needn_t_say_when(box: Box, provider: HttpProvider, form: str) -> None:
    """The end of the rate window, which every answer names, is not a time to retry."""
    box.configure(clearbit={"pending_retry_after": form})
    reply = ask(provider, ["pending1+a@acme.example"])["pending1+a@acme.example"]
    assert (reply.outcome, reply.wait_seconds) == (Outcome.PENDING, None)


def test_the_streaming_host_waits_instead(box: Box) -> None:
    """With the other base URL, what would be queued comes at once."""
    streaming = connect(box, url=f"{box.clearbit_url}/stream")
    reply = ask(streaming, ["pending2+a@acme.example"])["pending2+a@acme.example"]
    assert (reply.outcome, reply.api_version) == (Outcome.MATCHED, "2019-12-19")


def test_a_wrong_base_url_is_not_a_miss(box: Box) -> None:
    """404 for a path stops the run; no contact is filed as unmatched."""
    lost = connect(box, url=f"{box.clearbit_url}/v9")
    replies = ask(lost, [f"hit+p{number}@acme.example" for number in range(100)])
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "unknown_route")}
    assert len(statuses(box)) <= 16


def test_a_wrong_key_stops_the_run(box: Box) -> None:
    """401 uses the budget up, so it isn't tried for each contact."""
    wrong = make_provider(FAST, box.clearbit_url, api_key="wrong")
    replies = ask(wrong, [f"hit+p{number}@acme.example" for number in range(100)])
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "invalid_api_key")}
    assert len(statuses(box)) <= 16


def test_the_quota_ends_the_run_and_keeps_what_was_bought(box: Box, provider: HttpProvider) -> None:
    """What was paid for is in the journal; the rest is given the reason."""
    box.configure(clearbit={"credits_left": 5})
    journal = Journal()
    replies = ask(provider, [f"hit+p{number}@acme.example" for number in range(60)], journal)
    found = [one for one in replies.values() if one.outcome is Outcome.MATCHED]
    assert len(found) == len(journal.replies) == box.world.clearbit.credits_used == 5
    others = {(one.outcome, one.reason) for one in replies.values()} - {(Outcome.MATCHED, "")}
    assert others == {(Outcome.QUOTA_EXHAUSTED, "over_quota")}


def test_a_throttle_is_waited_out(box: Box, provider: HttpProvider) -> None:
    """The epoch of the reset header is the end of the wait, where there is no Retry-After."""
    reset = {"X-RateLimit-Reset": str(int(time.time()) - 1)}
    box.world.faults.add(service="clearbit", kind="status", status=429, headers=reset, times=2)
    reply = ask(provider, ["hit+a@acme.example"])["hit+a@acme.example"]
    assert (reply.outcome, statuses(box)) == (Outcome.MATCHED, [429, 429, 200])


def test_a_distant_reset_is_returned_and_not_slept(box: Box, provider: HttpProvider) -> None:
    """All requests go back with the wait that the header asks for."""
    reset = {"X-RateLimit-Reset": str(int(time.time()) + 900)}
    box.world.faults.add(service="clearbit", kind="status", status=429, headers=reset, times=0)
    reply = ask(provider, ["hit+a@acme.example"])["hit+a@acme.example"]
    assert reply.outcome is Outcome.RETRYABLE
    assert 800 < (reply.wait_seconds or 0) < 1000


def test_an_outage_is_not_waited_out_by_the_rate_window() -> None:
    """A 503 that names the distant end of the rate window is repeated soon: it says nothing of the outage."""
    with running_stub() as stub:
        response = iter([Response(503, "", {"X-RateLimit-Reset": str(int(time.time()) + 900)})])
        hit = json.dumps({"person": {"id": "p"}, "company": {"id": "c"}})
        stub.answer = lambda _: next(response, Response(200, hit))
        provider = make_provider(FAST, stub.url, api_key="key")
        assert ask(provider, ["a@x.example"])["a@x.example"].outcome is Outcome.MATCHED


def test_a_miss_that_is_cut_off_is_asked_for_again(box: Box, provider: HttpProvider) -> None:
    """What is left of it could be read as a wrong address, which stops the run."""
    box.world.faults.add(service="clearbit", kind="truncated")
    assert ask(provider, ["miss+a@acme.example"])["miss+a@acme.example"].outcome is Outcome.UNMATCHED


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated"])
def test_a_lost_answer_is_asked_for_again(box: Box, provider: HttpProvider, kind: str) -> None:
    """It isn't billed again, so it costs nothing to try."""
    box.world.faults.add(service="clearbit", kind=kind)
    reply = ask(provider, ["hit+a@acme.example"])["hit+a@acme.example"]
    assert (reply.outcome, box.world.clearbit.credits_used) == (Outcome.MATCHED, 1)
