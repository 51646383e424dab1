"""Apollo over real sockets: places, nulls, plain text, and limits that may be endless."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.providers.base import Reply
from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.errors import CredentialsRejectedError
from enrichment.records import Outcome
from sandbox.apollo.service import PLACEHOLDER
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider

SPEC = impatient(load_spec("apollo"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the key is another one each time, since holds are shared by key."""
    sandbox.reset(apollo={"per_minute": 60_000, "api_key": f"key-{uuid.uuid4().hex}"})
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **settings: Any) -> HttpProvider:
    options = {"api_key": box.world.apollo.settings.api_key, **settings}
    return make_provider(SPEC, box.apollo_url, **options)


def people(count: int, prefix: str = "hit") -> list[str]:
    return [f"{prefix}+p{number}@acme.example" for number in range(count)]


def outcomes(replies: dict[str, Reply]) -> list[Outcome]:
    return [reply.outcome for reply in replies.values()]


def inputs(box: Box) -> list[int]:
    return [record.inputs for record in box.world.apollo.requests]


def test_it_works_from_the_environment_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and key come from variables; the id of the request stands in the body, and is negative."""
    monkeypatch.setenv("ENRICHMENT_APOLLO_BASE_URL", box.apollo_url)
    monkeypatch.setenv("ENRICHMENT_APOLLO_API_KEY", box.world.apollo.settings.api_key)
    provider = load_provider("apollo")
    assert isinstance(provider, HttpProvider)
    [reply] = ask(provider, ["hit+ada.byron@acme.example"]).values()
    reading = provider.read(reply.body)
    assert (reading.outcome, reply.api_version, reply.credits) == (Outcome.MATCHED, "v1", 1.0)
    assert {
        "company_name",
        "employee_count",
        "industry",
        "tech_stack",
        "title",
        "company_domain",
    } <= reading.fields.keys()
    assert reading.fields["linkedin_url"] == "https://www.linkedin.com/in/hit+ada-byron-acme-example"
    assert int(reply.request_id) < 0


def test_nulls_stay_at_their_places(box: Box, provider: HttpProvider) -> None:
    """Misses are nulls between the hits, in batches of ten; everybody gets what is theirs, and only hits cost."""
    prefixes = ("hit", "miss", "contactonly", "optout", "companyonly")
    emails = [f"{prefixes[number % 5]}+p{number}@acme.example" for number in range(50)]
    expected = {"hit": Outcome.MATCHED, "contactonly": Outcome.PARTIAL}
    journal = Journal()
    for email, reply in ask(provider, emails, journal).items():
        assert reply.outcome is expected.get(email.partition("+")[0], Outcome.UNMATCHED)
        assert provider.read(reply.body).outcome is reply.outcome
        assert reply.body is None or reply.body["linkedin_url"].endswith(email.replace("@", "-").replace(".", "-"))
    assert sorted(inputs(box)) == [10] * 5
    assert sum(one.credits for one in journal.replies) == box.world.apollo.credits_used == 20


def test_a_placeholder_is_not_a_value(box: Box, provider: HttpProvider) -> None:
    """Locked e-mails come as a made-up address; no field takes it."""
    replies = ask(provider, people(30))
    assert PLACEHOLDER in {reply.body["email"] for reply in replies.values()}
    assert all(PLACEHOLDER not in provider.read(reply.body).fields.values() for reply in replies.values())


def test_rows_that_are_missing_make_places_worthless(box: Box, provider: HttpProvider) -> None:
    """If there are fewer rows than contacts, no contact gets another's: each is looked up alone, what came is kept."""
    emails = [*people(4), "dropped+x@nowhere.example", "miss+y@acme.example"]
    journal = Journal()
    replies = ask(provider, emails, journal)
    for email, reply in replies.items():
        assert reply.body is None or reply.body["linkedin_url"].endswith(email.replace("@", "-").replace(".", "-"))
    assert inputs(box) == [6, 1, 1, 1, 1, 1, 1]
    assert [one.outcome for one in journal.calls[0]] == [Outcome.RETRYABLE] * 6
    assert outcomes(replies)[:4] == [Outcome.MATCHED] * 4


def test_a_poisoned_contact_spoils_no_other(box: Box, provider: HttpProvider) -> None:
    """A 422 for the whole call is bisected."""
    emails = [*people(9), "fault422+x@acme.example"]
    replies = ask(provider, emails)
    assert replies.pop(emails[-1]).outcome is Outcome.INVALID_INPUT
    assert outcomes(replies) == [Outcome.MATCHED] * 9


def test_a_wrong_key_is_refused_in_plain_text(box: Box) -> None:
    """A body that is no JSON is understood: the run stops, and the check names the variable."""
    wrong = connect(box, api_key="wrong")
    replies = ask(wrong, people(300))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "credentials_rejected")}
    assert len(inputs(box)) <= 16
    with pytest.raises(CredentialsRejectedError, match="check ENRICHMENT_APOLLO_API_KEY"):
        wrong.check()


def test_a_key_for_other_endpoints_stops_the_run(box: Box, provider: HttpProvider) -> None:
    """Keys are made for endpoints; the code says so."""
    box.configure(apollo={"may_match": False})
    [reply] = ask(provider, people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "API_INACCESSIBLE")


def test_credits_that_have_ended(box: Box, provider: HttpProvider) -> None:
    """The message is recognised in any case, and stops the run."""
    box.configure(apollo={"credits_left": 0})
    replies = ask(provider, people(300))
    assert {(one.outcome, one.reason) for one in replies.values()} == {
        (Outcome.QUOTA_EXHAUSTED, "insufficient_credits")
    }
    assert len(inputs(box)) <= 16


def test_a_throttle_is_waited_out(box: Box, provider: HttpProvider) -> None:
    """Retry-After counts; a long one is passed on."""
    box.world.faults.add(service="apollo", kind="status", status=429, headers={"Retry-After": "0"})
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]
    body = json.dumps({"message": "Too many"})
    box.world.faults.add(service="apollo", kind="status", status=429, headers={"Retry-After": "1800"}, body=body)
    [reply] = ask(provider, people(1)).values()
    assert (reply.outcome, reply.wait_seconds) == (Outcome.RETRYABLE, 1800)


@pytest.mark.parametrize(
    ("settings", "pace"),
    [({}, 1000), ({"per_hour": 7200}, 1000), ({"per_minute": 600, "per_day": 2}, 1.0)],
)
def test_an_empty_limit_is_none(box: Box, provider: HttpProvider, settings: dict[str, int], pace: float) -> None:
    """Endless windows come as empty headers and slow no caller down; one that runs low does."""
    box.configure(apollo=settings)
    ask(provider, people(1))
    ask(provider, people(1))
    assert provider._shared.pacer._per_second == pytest.approx(pace)


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_a_lost_answer_is_not_bought_twice(box: Box, provider: HttpProvider, kind: str) -> None:
    """Nothing is published of asking twice, so it isn't done."""
    box.world.faults.add(service="apollo", kind=kind)
    assert set(outcomes(ask(provider, people(10)))) == {Outcome.RETRYABLE}
    assert max(box.world.apollo.billed.values()) == 1


def test_the_check_is_free_and_knows_no_figures(box: Box, provider: HttpProvider) -> None:
    """The profile shows that the key is taken; what is left is shown to master keys only."""
    assert provider.check() == "Apollo answers, but doesn't say what is left"
    assert box.world.apollo.credits_used == 0
