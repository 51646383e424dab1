"""People Data Labs over real sockets: lists in and out, our own references, JSON in headers, no second bill."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.providers.base import Reply
from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.records import Outcome
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider

SPEC = impatient(load_spec("peopledatalabs"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the key is another one each time, since holds are shared by key."""
    sandbox.reset(peopledatalabs={"per_minute": 60_000, "api_key": f"key-{uuid.uuid4().hex}"})
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **settings: Any) -> HttpProvider:
    options = {"api_key": box.world.peopledatalabs.settings.api_key, **settings}
    return make_provider(SPEC, box.peopledatalabs_url, **options)


def people(count: int, prefix: str = "hit") -> list[str]:
    return [f"{prefix}+p{number}@acme.example" for number in range(count)]


def outcomes(replies: dict[str, Reply]) -> list[Outcome]:
    return [reply.outcome for reply in replies.values()]


def inputs(box: Box) -> list[int]:
    return [record.inputs for record in box.world.peopledatalabs.requests]


def test_it_works_from_the_environment_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and key come from variables."""
    monkeypatch.setenv("ENRICHMENT_PEOPLEDATALABS_BASE_URL", box.peopledatalabs_url)
    monkeypatch.setenv("ENRICHMENT_PEOPLEDATALABS_API_KEY", box.world.peopledatalabs.settings.api_key)
    provider = load_provider("peopledatalabs")
    assert isinstance(provider, HttpProvider)
    [reply] = ask(provider, ["hit+ada.byron@acme.example"]).values()
    reading = provider.read(reply.body)
    assert (reading.outcome, reply.api_version, reply.credits) == (Outcome.MATCHED, "v5", 1.0)
    assert {"company_name", "employee_range", "industry", "title"} <= reading.fields.keys()
    assert "employee_count" not in reading.fields
    assert reading.fields["linkedin_url"] == "https://www.linkedin.com/in/hit+ada-byron-acme-example"
    assert 20 <= (reading.confidence or 0) <= 100


def test_values_come_as_people_write_them(box: Box, provider: HttpProvider) -> None:
    """The option that keeps the vendor from lower-casing everything stands among each contact's identifiers."""
    [reply] = ask(provider, people(1)).values()
    assert provider.read(reply.body).fields["company_name"] == "Acme"


@pytest.mark.parametrize(("settings", "sizes"), [({}, [20, 50, 50]), ({"batch_size": 30}, [30, 30, 30, 30])])
def test_batches_have_the_default_size(box: Box, settings: dict[str, Any], sizes: list[int]) -> None:
    """Fifty a call, since larger answers break; the user may ask for fewer."""
    assert outcomes(ask(connect(box, **settings), people(120))) == [Outcome.MATCHED] * 120
    assert sorted(inputs(box)) == sizes


def test_a_batch_whose_answer_is_too_large_is_halved(box: Box) -> None:
    """A 502 above eighty is cured by fewer, and nothing is billed for it."""
    assert outcomes(ask(connect(box, batch_size=100), people(100))) == [Outcome.MATCHED] * 100
    assert inputs(box) == [0, 50, 50]
    assert box.world.peopledatalabs.credits_used == 100


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_item_reaches_its_contact(box: Box, provider: HttpProvider, shuffle: bool) -> None:
    """Hits, misses and invalid inputs are distinguished by our reference, in whatever order they come."""
    box.configure(peopledatalabs={"shuffle": shuffle})
    prefixes = ("hit", "miss", "invalid", "optout", "companyonly")
    emails = [f"{prefixes[number % 5]}+p{number}@acme.example" for number in range(49)]
    journal = Journal()
    replies = ask(provider, emails, journal)
    expected = {"hit": Outcome.MATCHED, "invalid": Outcome.INVALID_INPUT}
    for email, reply in replies.items():
        assert reply.outcome is expected.get(email.partition("+")[0], Outcome.UNMATCHED)
        if reply.outcome is Outcome.MATCHED:
            assert reply.body["data"]["work_email"].lower() == email
    assert len(journal.replies) == 49
    assert sum(one.credits for one in journal.replies) == box.world.peopledatalabs.credits_used == 10


def test_what_the_plan_hides_is_not_a_value(box: Box, provider: HttpProvider) -> None:
    """A field that is true instead of a text is left out."""
    box.configure(peopledatalabs={"restricted": ("linkedin_url", "job_title")})
    [reply] = ask(provider, people(1)).values()
    fields = provider.read(reply.body).fields
    assert not {"linkedin_url", "title"} & fields.keys()
    assert fields["company_name"] == "Acme"


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_a_lost_answer_is_not_bought_twice(box: Box, provider: HttpProvider, kind: str) -> None:
    """Each call is billed, so an answer that was lost is left to the record's next attempt."""
    box.world.faults.add(service="peopledatalabs", kind=kind)
    assert set(outcomes(ask(provider, people(10)))) == {Outcome.RETRYABLE}
    assert max(box.world.peopledatalabs.billed.values()) == 1


def test_a_poisoned_contact_spoils_no_other(box: Box, provider: HttpProvider) -> None:
    """A batch that is refused because of one contact is bisected, and no contact is billed twice."""
    emails = [*people(20), "fault400+x@acme.example"]
    replies = ask(provider, emails)
    assert replies.pop(emails[-1]).outcome is Outcome.INVALID_INPUT
    assert outcomes(replies) == [Outcome.MATCHED] * 20
    assert max(box.world.peopledatalabs.billed.values()) == 1


def test_credits_that_have_ended(box: Box, provider: HttpProvider) -> None:
    """402 stops the run after the calls that were under way."""
    box.configure(peopledatalabs={"credits_left": 0})
    replies = ask(provider, people(2000))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.QUOTA_EXHAUSTED, "payment_required")}
    assert len(inputs(box)) <= 16


def test_a_wrong_key_and_a_wrong_path_stop_the_run(box: Box) -> None:
    """Neither is a miss."""
    [reply] = ask(connect(box, api_key="wrong"), people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "authentication_error")
    key = box.world.peopledatalabs.settings.api_key
    [reply] = ask(make_provider(SPEC, f"{box.url}/peopledatalabs/v4", api_key=key), people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "wrong_path")


@pytest.mark.parametrize(("seconds", "outcome"), [(-5, Outcome.MATCHED), (3600, Outcome.RETRYABLE)])
def test_a_throttle_lasts_until_the_reset(box: Box, provider: HttpProvider, seconds: int, outcome: Outcome) -> None:
    """The reset is a moment in ISO form: a past one is waited out, a distant one is passed on."""
    moment = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
    box.world.faults.add(service="peopledatalabs", kind="status", status=429, headers={"X-RateLimit-Reset": moment})
    [reply] = ask(provider, people(1)).values()
    assert reply.outcome is outcome
    if outcome is Outcome.RETRYABLE:
        assert 3500 < (reply.wait_seconds or 0) < 3700


def test_the_pace_follows_the_json_of_the_headers(box: Box, provider: HttpProvider) -> None:
    """What the account really has in a minute sets the pace after the first answer."""
    ask(provider, people(1))
    assert provider._shared.pacer._per_second == pytest.approx(60_000 / 60)
