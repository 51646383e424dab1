"""Hunter over real sockets: statuses that mean the reverse, opt-outs, and undocumented limits."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.providers.base import Reply
from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.http.steps import first_pace, pace_after
from blocks.providers.spec.model import load_spec
from enrichment.records import Outcome
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider

SPEC = impatient(load_spec("hunter"))
WINDOWS = tuple(one.model_copy(update={"limit": one.limit * 1000}) for one in SPEC.rate.windows)
#: As fast as the sandbox allows; the pace itself is tested where it is decided.
FAST = SPEC.model_copy(update={"rate": SPEC.rate.model_copy(update={"windows": WINDOWS})})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the key is another one each time, since holds are shared by key."""
    sandbox.reset(hunter={"per_second": 5000, "per_minute": 60_000, "api_key": f"key-{uuid.uuid4().hex}"})
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **settings: Any) -> HttpProvider:
    options = {"api_key": box.world.hunter.settings.api_key, **settings}
    return make_provider(FAST, box.hunter_url, **options)


def people(count: int, prefix: str = "hit") -> list[str]:
    return [f"{prefix}+p{number}@acme.example" for number in range(count)]


def outcomes(replies: dict[str, Reply]) -> list[Outcome]:
    return [reply.outcome for reply in replies.values()]


def statuses(box: Box) -> list[int]:
    return [record.status for record in box.world.hunter.requests]


def test_it_works_from_the_environment_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and key come from variables; the size is a range, the LinkedIn slug becomes an address."""
    monkeypatch.setenv("ENRICHMENT_HUNTER_BASE_URL", box.hunter_url)
    monkeypatch.setenv("ENRICHMENT_HUNTER_API_KEY", box.world.hunter.settings.api_key)
    provider = load_provider("hunter")
    assert isinstance(provider, HttpProvider)
    [reply] = ask(provider, ["hit+ada.byron@acme.example"]).values()
    fields = provider.read(reply.body).fields
    assert (reply.outcome, reply.api_version, reply.credits) == (Outcome.MATCHED, "v2", 2.0)
    assert {"company_name", "employee_range", "industry", "tech_stack", "title", "company_domain"} <= fields.keys()
    assert "employee_count" not in fields
    assert fields["linkedin_url"] == "https://www.linkedin.com/in/hit+ada-byron-acme-example"


@pytest.mark.parametrize(
    ("prefix", "outcome", "reason"),
    [
        ("hit", Outcome.MATCHED, ""),
        ("companyonly", Outcome.PARTIAL, "no_person"),
        ("contactonly", Outcome.PARTIAL, "no_company"),
        ("miss", Outcome.UNMATCHED, "not_found"),
        ("optout", Outcome.SUPPRESSED, "barred"),
        ("invalid", Outcome.INVALID_INPUT, "invalid_email"),
    ],
)
def test_each_ending_has_its_outcome_and_its_price(
    box: Box, provider: HttpProvider, prefix: str, outcome: Outcome, reason: str
) -> None:
    """Each way to end is distinguished and means the same when read again; only hits cost."""
    journal = Journal()
    [reply] = ask(provider, people(1, prefix), journal).values()
    assert (reply.outcome, reply.reason) == (outcome, reason)
    assert journal.replies == [reply]
    assert provider.read(reply.body).outcome is outcome
    assert reply.credits == box.world.hunter.credits_used


def test_403_is_a_throttle(box: Box, provider: HttpProvider) -> None:
    """It is waited out, and the run goes on."""
    box.world.faults.add(service="hunter", kind="status", status=403, times=2)
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]
    assert statuses(box) == [403, 403, 200]


def test_429_is_the_end_of_the_allowance(box: Box, provider: HttpProvider) -> None:
    """It stops the run, and isn't repeated; what was bought is kept."""
    box.configure(hunter={"credits_left": 10})
    journal = Journal()
    replies = ask(provider, people(300), journal)
    assert outcomes(replies).count(Outcome.MATCHED) == len(journal.replies) == 5
    others = {(one.outcome, one.reason) for one in replies.values() if one.outcome is not Outcome.MATCHED}
    assert others == {(Outcome.QUOTA_EXHAUSTED, "usage_exceeded")}
    assert statuses(box).count(429) <= 16


def test_a_wrong_form_of_request_stops_the_run(box: Box, provider: HttpProvider) -> None:
    """If even the free call is refused, no contact is filed as invalid."""
    box.world.faults.add(service="hunter", kind="status", status=400, times=0)
    assert set(outcomes(ask(provider, people(200)))) == {Outcome.REJECTED}
    assert len(statuses(box)) <= 17


def test_a_wrong_key_and_a_wrong_path_stop_the_run(box: Box) -> None:
    """Neither is a miss."""
    [reply] = ask(connect(box, api_key="wrong"), people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "authentication_failed")
    key = box.world.hunter.settings.api_key
    [reply] = ask(make_provider(FAST, f"{box.url}/hunter/v9", api_key=key), people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "wrong_path")


def test_undocumented_windows_are_kept_by_pacing() -> None:
    """500 a minute is less than 15 a second; without a header, the slower of both sets the pace from the beginning."""
    assert first_pace(SPEC.rate).per_second == pytest.approx(500 / 60)
    assert pace_after(SPEC.rate, {"x-ratelimit-remaining": "0"}, None).per_second == pytest.approx(500 / 60)


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_a_lost_answer_is_not_bought_twice(box: Box, provider: HttpProvider, kind: str) -> None:
    """Nothing is published of asking twice, so it isn't done."""
    box.world.faults.add(service="hunter", kind=kind)
    assert outcomes(ask(provider, people(1))) == [Outcome.RETRYABLE]
    assert max(box.world.hunter.billed.values()) == 2
