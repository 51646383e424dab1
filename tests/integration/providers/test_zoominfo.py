"""ZoomInfo over real sockets: the vendor's answers, faults and limits, as the sandbox plays them."""

import base64
import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from blocks.providers.base import Reply, Request
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    PostponedError,
    QuotaExhaustedError,
    TransientError,
)
from enrichment.records import CONCLUSIVE, Outcome
from enrichment.stops import CREDENTIALS_REJECTED, QUOTA_EXHAUSTED, REQUEST_REFUSED
from sandbox.exchange import Request as SandboxRequest
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider, requests_for

SPEC = impatient(load_spec("zoominfo"))
#: As fast as the sandbox allows; the pace itself is tested where it is decided.
RATE = SPEC.rate.windows[0].model_copy(update={"limit": 2000})
FAST = SPEC.model_copy(update={"rate": SPEC.rate.model_copy(update={"windows": (RATE, *SPEC.rate.windows[1:])})})
ENRICH = "contacts/enrich"
NO_CREDITS = '{"errors": [{"code": "PFAPI0011"}]}'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the client is another one each time, since tokens and holds are shared by client."""
    sandbox.reset(zoominfo={"per_second": 2000, "client_id": f"client-{uuid.uuid4().hex}"})
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **settings: Any) -> HttpProvider:
    account = box.world.zoominfo.settings
    credentials = {"client_id": account.client_id, "client_secret": account.client_secret}
    return make_provider(settings.pop("spec", FAST), box.zoominfo_url, **{**credentials, **settings})


def people(count: int, prefix: str = "hit") -> list[str]:
    return [f"{prefix}+p{number}@acme.example" for number in range(count)]


def outcomes(replies: dict[str, Reply]) -> list[Outcome]:
    return [reply.outcome for reply in replies.values()]


def statuses(box: Box) -> list[int]:
    return [record.status for record in box.world.zoominfo.log.records() if ENRICH in record.path]


def fault(box: Box, kind: str, **options: Any) -> None:
    box.world.faults.add(service="zoominfo", path_contains=ENRICH, kind=kind, **options)


def test_a_contact_comes_with_its_fields(box: Box, provider: HttpProvider) -> None:
    """A hit has canonical fields, an id, a confidence, a version and a request id."""
    reply = ask(provider, ["hit+ada.byron@acme.example"])["hit+ada.byron@acme.example"]
    reading = provider.read(reply.body)
    assert (reply.outcome, reading.outcome) == (Outcome.MATCHED, Outcome.MATCHED)
    expected = {"company_name", "employee_count", "industry", "linkedin_url", "title", "city", "country"}
    assert expected <= reading.fields.keys()
    assert str(reading.fields["linkedin_url"]).startswith("https://www.linkedin.com/in/")
    assert reading.provider_record_id
    assert 75 <= (reading.confidence or 0) <= 99
    assert (reply.api_version, reply.credits) == ("v1", 1.0)
    assert reply.request_id.startswith("sandbox-")


@pytest.mark.parametrize(
    ("prefix", "outcome", "reason"),
    [
        ("hit", Outcome.MATCHED, ""),
        ("miss", Outcome.UNMATCHED, "NO_MATCH"),
        ("optout", Outcome.SUPPRESSED, "OPT_OUT"),
        ("invalid", Outcome.INVALID_INPUT, "INVALID_INPUT"),
        ("companyonly", Outcome.PARTIAL, "COMPANY_ONLY_MATCH"),
        ("contactonly", Outcome.PARTIAL, "CONTACT_ONLY_MATCH"),
    ],
)
def test_each_ending_has_its_outcome(
    box: Box, provider: HttpProvider, prefix: str, outcome: Outcome, reason: str
) -> None:
    """Each way in which a lookup can end is distinguished, and only hits cost a credit."""
    journal = Journal()
    [reply] = ask(provider, people(1, prefix), journal).values()
    assert (reply.outcome, reply.reason) == (outcome, reason)
    assert journal.replies == [reply]
    assert reply.credits == box.world.zoominfo.credits_used == (outcome in {Outcome.MATCHED, Outcome.PARTIAL})


@pytest.mark.parametrize("shuffle", [False, True])
def test_many_contacts_in_any_order(box: Box, provider: HttpProvider, *, shuffle: bool) -> None:
    """Native batches, each contact with its own answer, each bought once."""
    box.configure(zoominfo={"shuffle": shuffle})
    emails = [*people(190), *people(60, "miss")]
    replies = ask(provider, emails)
    for email, reply in replies.items():
        assert reply.body["meta"]["input"] == {"emailAddress": email}
        assert reply.outcome is (Outcome.MATCHED if email.startswith("hit") else Outcome.UNMATCHED)
    assert statuses(box) == [200] * 10
    assert set(box.world.zoominfo.billed.values()) == {1}
    assert box.world.zoominfo.credits_used == 190


def test_replies_are_kept_before_they_are_returned(box: Box, provider: HttpProvider) -> None:
    """Each answer's raw items are in the journal before the call that follows the last ones returns."""
    journal = Journal()
    replies = ask(provider, [*people(60), *people(15, "miss")], journal)
    assert sorted(journal.replies, key=lambda one: one.key) == sorted(replies.values(), key=lambda one: one.key)
    assert all(reply.body["meta"]["matchStatus"] for reply in journal.replies)


def test_names_are_looked_up_too(box: Box, provider: HttpProvider) -> None:
    """A contact without an address is asked for by names and company."""
    person = box.world.population.people[0]
    given = {"first_name": person.first_name, "last_name": person.last_name, "company_name": person.company.name}
    journal = Journal()
    [reply] = provider.ask([Request(provider.request_key(given), given)], journal.keep)
    assert reply.outcome in CONCLUSIVE
    assert reply.body["meta"]["input"]["companyName"] == person.company.name


def test_one_token_for_all_threads_and_loops(box: Box) -> None:
    """Many event loops in many threads, each with an adapter of its own, share one token."""
    providers = [connect(box) for _ in range(6)]  # in one thread, as a process does: a class is made for each
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda number: ask(providers[number], people(40, f"miss{number}")), range(6)))
    assert len(found) == 6
    assert box.world.zoominfo.tokens_issued == 1


def test_a_token_that_ends_mid_run_is_renewed_once(box: Box, provider: HttpProvider) -> None:
    """However many calls find it refused, one new token is fetched, and each call repeated."""

    class Revoking(Journal):
        def keep(self, replies: Sequence[Reply]) -> None:
            if not self.calls:
                box.world.zoominfo.tokens.revoke_all()
            super().keep(replies)

    replies = ask(provider, people(1000), Revoking())
    assert set(outcomes(replies)) == {Outcome.MATCHED}
    assert box.world.zoominfo.tokens_issued == 2
    assert statuses(box).count(200) == 40


def test_one_refused_token_is_not_a_refused_credential(box: Box, provider: HttpProvider) -> None:
    """A single 401 costs a token and a repetition."""
    fault(box, "unauthorized")
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]
    assert (statuses(box), box.world.zoominfo.tokens_issued) == ([401, 200], 2)


def test_a_credential_that_is_refused_twice_stops(box: Box, provider: HttpProvider) -> None:
    """A second 401 with a fresh token means that we aren't welcome: no further call is made."""
    fault(box, "unauthorized", times=0)
    replies = ask(provider, people(1000))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "ZI0001")}
    assert {one.stop for one in replies.values()} == {CREDENTIALS_REJECTED}
    assert len(statuses(box)) <= 32


def test_wrong_credentials_stop_without_a_call(box: Box) -> None:
    """If there is no token to be had, no contact is asked for, and the token endpoint is asked only once."""
    replies = ask(connect(box, client_secret="wrong"), people(1000))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "credentials_rejected")}
    assert statuses(box) == []


@pytest.mark.parametrize("form", ["seconds", "garbage", "absent"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(box: Box, provider: HttpProvider, status: int, form: str) -> None:
    """A throttle and an outage are waited out, whatever their Retry-After looks like."""
    fault(box, "status", status=status, retry_after=form, seconds=0.0)
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]
    assert statuses(box) == [status, 200]


def test_an_outage_holds_all_callers(box: Box, provider: HttpProvider) -> None:
    """While the server asked for a pause, no adapter of the same client makes a call."""
    fault(box, "status", status=503, retry_after="seconds", seconds=600)
    [first] = ask(provider, people(1)).values()
    [second] = ask(connect(box), people(1, "miss")).values()
    assert (first.wait_seconds, second.reason) == (600, "postponed")
    assert statuses(box) == [503]


def test_a_long_pause_sends_contacts_back(box: Box, provider: HttpProvider) -> None:
    """A wait beyond the bound isn't slept: every contact gets how long it is, also by other adapters."""
    box.configure(zoominfo={"per_hour": 1})
    replies = ask(provider, people(500))
    assert outcomes(replies).count(Outcome.MATCHED) == 25
    others = [reply for reply in replies.values() if reply.outcome is Outcome.RETRYABLE]
    assert len(others) == 475
    assert all(3000 < (reply.wait_seconds or 0) <= 3600 for reply in others)
    [later] = ask(connect(box), people(1, "miss")).values()
    assert 3000 < (later.wait_seconds or 0) <= 3600
    assert len(statuses(box)) <= 17


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_an_answer_lost_after_billing_is_asked_for_once_more(box: Box, provider: HttpProvider, kind: str) -> None:
    """ZoomInfo bills a record once a year, so a lost answer is fetched again: two calls, one bill."""
    fault(box, kind)
    assert outcomes(ask(provider, people(10))) == [Outcome.MATCHED] * 10
    assert len(statuses(box)) == 2
    assert set(box.world.zoominfo.billed.values()) == {1}


def test_a_lost_answer_that_is_not_asked_for_again_is_booked(box: Box, provider: HttpProvider) -> None:
    """The run is stopped in between: what the first call may have cost is kept all the same."""
    fault(box, "reset_after")
    journal = Journal()
    requests = requests_for(provider, people(10))
    replies = provider.ask(requests, journal.keep, lambda: "claim_lost" if statuses(box) else "")
    assert {(one.outcome, one.reason) for one in replies} == {(Outcome.RETRYABLE, "claim_lost")}
    assert sum(one.credits for one in journal.replies) == sum(box.world.zoominfo.billed.values()) == 10


def test_an_answer_that_is_lost_again_and_again_is_given_up(box: Box, provider: HttpProvider) -> None:
    """One repetition, and a few in smaller parts, should one contact be to blame; each may be tried another time."""
    fault(box, "reset_before", times=0)
    replies = ask(provider, people(10))
    assert {(one.outcome, one.reason, one.final) for one in replies.values()} == {
        (Outcome.RETRYABLE, "lost_answer", False)
    }
    assert len(statuses(box)) == 2 + 8


def test_json_that_breaks_off_is_kept_and_asked_for_again(box: Box, provider: HttpProvider) -> None:
    """A whole HTTP answer with half a JSON is journalled raw before it is asked for once more."""
    fault(box, "status", status=200, body='{"data": [{"id": "1"', content_type="application/vnd.api+json")
    journal = Journal()
    assert outcomes(ask(provider, people(2), journal)) == [Outcome.MATCHED] * 2
    raw = [reply.body for reply in journal.calls[0]]
    assert raw == [{"http_status": 200, "body": '{"data": [{"id": "1"'}] * 2
    assert {reply.reason for reply in journal.calls[0]} == {"unreadable_answer"}


@pytest.mark.parametrize("body", ['{"data": null}', '{"rows": []}', "[]", "null"])
def test_json_of_another_shape_is_kept_raw(box: Box, provider: HttpProvider, body: str) -> None:
    """What can't be split is in the journal under each key, and the contacts may be tried again."""
    fault(box, "status", status=200, body=body, content_type="application/json")
    journal = Journal()
    replies = ask(provider, people(2), journal)
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.RETRYABLE, "unreadable_answer")}
    assert [one.body for one in journal.replies] == [{"http_status": 200, "body": json.loads(body)}] * 2


def test_an_empty_list_answers_no_contact(box: Box, provider: HttpProvider) -> None:
    """Contacts without an item are reported so, and nothing is kept of them."""
    fault(box, "status", status=200, body='{"data": []}', content_type="application/json")
    journal = Journal()
    replies = ask(provider, people(2), journal)
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.RETRYABLE, "missing_in_answer")}
    assert journal.replies == []


def test_a_batch_that_takes_too_long_is_halved(box: Box, provider: HttpProvider) -> None:
    """After a 504 the same contacts are asked for in two calls."""
    fault(box, "status", status=504)
    assert outcomes(ask(provider, people(25))) == [Outcome.MATCHED] * 25
    inputs = [one.inputs for one in box.world.zoominfo.log.records() if ENRICH in one.path]
    assert sorted(inputs) == [0, 12, 13]


def test_a_batch_that_is_too_large_is_halved(box: Box, provider: HttpProvider) -> None:
    """So they are after a 413, without waiting."""
    fault(box, "status", status=413, times=3)
    assert outcomes(ask(provider, people(25))) == [Outcome.MATCHED] * 25
    inputs = [one.inputs for one in box.world.zoominfo.log.records() if ENRICH in one.path]
    assert sum(inputs) == 25


@pytest.mark.parametrize("places", [[0], [24], [7, 8], [0, 1, 2], list(range(25))])
def test_a_poisoned_contact_spoils_no_other(box: Box, provider: HttpProvider, places: list[int]) -> None:
    """A batch that is refused because of some contacts is bisected: they are invalid, all others are answered."""
    emails = [f"fault400+p{n}@acme.example" if n in places else f"hit+p{n}@acme.example" for n in range(25)]
    journal = Journal()
    replies = ask(provider, emails, journal)
    for number, reply in enumerate(replies.values()):
        assert reply.outcome is (Outcome.INVALID_INPUT if number in places else Outcome.MATCHED)
        assert provider.read(reply.body).outcome is reply.outcome
    assert len(journal.replies) == 25
    assert {reply.reason for reply in replies.values() if reply.outcome is Outcome.INVALID_INPUT} == {"PFAPI0006"}


def test_one_poisoned_contact_alone_is_invalid(box: Box, provider: HttpProvider) -> None:
    """Without a contact beside it, a free call shows that our form of request is right."""
    [reply] = ask(provider, ["fault400+p@acme.example"]).values()
    assert (reply.outcome, reply.reason) == (Outcome.INVALID_INPUT, "PFAPI0006")
    assert box.world.zoominfo.credits_used == 0


def test_a_wrong_form_of_request_stops_the_run(box: Box, provider: HttpProvider) -> None:
    """If even the free call is refused, contacts aren't filed as invalid: the run stops after a few calls."""
    body = json.dumps({"errors": [{"code": "PFAPI0002"}]})
    fault(box, "status", status=400, times=0, body=body, content_type="application/json")
    journal = Journal()
    replies = ask(provider, people(1000), journal)
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "PFAPI0002")}
    assert journal.replies == []
    assert len(statuses(box)) <= 21


def test_nothing_is_concluded_if_the_free_call_fails_otherwise(box: Box, provider: HttpProvider) -> None:
    """Neither the contact nor the form is blamed without proof."""
    answers = itertools.chain([400], itertools.repeat(503))
    for status in itertools.islice(answers, 2):
        fault(box, "status", status=status)
    [reply] = ask(provider, people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.RETRYABLE, "status_400")


def test_fields_that_the_account_lacks_are_dropped(box: Box, provider: HttpProvider, caplog: Any) -> None:
    """Each refused field is dropped for the whole process, and the rest is asked for; the key stays the same."""
    box.configure(zoominfo={"disallowed_fields": ("companyRevenueNumeric", "city")})
    key = provider.request_key({"email": "a@x.example"})
    replies = ask(provider, people(30))
    assert set(outcomes(replies)) == {Outcome.MATCHED}
    assert all("city" not in reply.body["attributes"] for reply in replies.values())
    assert "output_fields_dropped provider=zoominfo fields=companyRevenueNumeric" in caplog.text
    calls = len(statuses(box))
    assert set(outcomes(ask(connect(box), people(30, "miss")))) == {Outcome.UNMATCHED}
    assert statuses(box)[calls:] == [200, 200]
    assert provider.request_key({"email": "a@x.example"}) == key


@pytest.mark.parametrize(
    "lacking", [("city",), ("firstName", "companyRevenueNumeric"), ("phone", "city", "companyState")]
)
def test_a_refusal_that_names_no_field_is_narrowed_down_for_free(
    box: Box, provider: HttpProvider, lacking: tuple[str, ...]
) -> None:
    """By free calls with fewer fields; then everybody is asked for, and no one is blamed."""
    box.configure(zoominfo={"disallowed_fields": lacking, "names_fields": False})
    journal = Journal()
    replies = ask(provider, people(120), journal)
    assert outcomes(replies) == [Outcome.MATCHED] * 120
    assert all(name not in reply.body["attributes"] for reply in replies.values() for name in lacking)
    assert len(journal.replies) == 120
    assert set(box.world.zoominfo.billed.values()) == {1}
    assert statuses(box).count(200) < 50
    calls = len(statuses(box))
    assert outcomes(ask(connect(box), people(30, "miss"))) == [Outcome.UNMATCHED] * 30
    assert statuses(box)[calls:] == [200, 200]


def test_narrowing_down_that_fails_for_another_reason_blames_no_contact(box: Box, provider: HttpProvider) -> None:
    """The contacts may be tried another time."""
    box.configure(zoominfo={"disallowed_fields": ("city",), "names_fields": False})
    fault(box, "status", after=5, times=0, status=503)
    assert {one.outcome for one in ask(provider, people(3)).values()} == {Outcome.RETRYABLE}


def test_an_account_that_may_ask_for_nothing_stops_the_run(box: Box, provider: HttpProvider) -> None:
    """If every field is refused, it isn't narrowed down for long."""
    names = load_spec("zoominfo").output_fields.names
    box.configure(zoominfo={"disallowed_fields": names, "names_fields": False})
    assert {one.outcome for one in ask(provider, people(3)).values()} == {Outcome.REJECTED}
    assert len(statuses(box)) <= 6


def test_credits_that_end_within_a_batch(box: Box) -> None:
    """Good rows of the answer are kept and returned; the rest of the run isn't asked for."""
    box.configure(zoominfo={"credits_left": 10, "exhaustion": "rows"})
    journal = Journal()
    replies = ask(connect(box, concurrency=1), people(500), journal)
    assert outcomes(replies).count(Outcome.MATCHED) == len(journal.replies) == 10
    others = {(one.outcome, one.reason) for one in replies.values() if one.outcome is not Outcome.MATCHED}
    assert others == {(Outcome.QUOTA_EXHAUSTED, "LIMIT_EXCEEDED")}
    assert statuses(box) == [200]


def test_credits_that_have_ended(box: Box) -> None:
    """The platform's refusal stops the run after the calls that were under way."""
    box.configure(zoominfo={"credits_left": 0, "exhaustion": "error"})
    replies = ask(connect(box), people(1000))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.QUOTA_EXHAUSTED, "PFAPI0011")}
    assert {one.stop for one in replies.values()} == {QUOTA_EXHAUSTED}
    assert len(statuses(box)) <= 16


@pytest.mark.parametrize("status", [403, 404, 406, 415])
def test_a_refusal_stops_the_run(box: Box, provider: HttpProvider, status: int) -> None:
    """No entitlement, a wrong path and a wrong media type are not misses."""
    fault(box, "status", status=status, times=0)
    replies = ask(provider, people(1000))
    assert set(outcomes(replies)) == {Outcome.REJECTED}
    assert {one.stop for one in replies.values()} == {REQUEST_REFUSED}
    assert len(statuses(box)) <= 16


def test_a_wrong_base_url_is_not_a_miss(box: Box) -> None:
    """The vendor's 404 for a wrong path stops the run, and `check` names the variable."""
    lost = FAST.model_copy(update={"request": FAST.request.model_copy(update={"path": "data/v9/contacts"})})
    [reply] = ask(connect(box, spec=lost), people(1)).values()
    assert (reply.outcome, reply.reason) == (Outcome.REJECTED, "ZI9998")


def test_the_check_says_what_is_left(box: Box, provider: HttpProvider) -> None:
    """One free call, and a line with the credits."""
    box.configure(zoominfo={"credits_left": 10_000})
    ask(provider, people(50))
    assert provider.check() == "ZoomInfo answers; credits left 9,950 of 10,000"
    assert box.world.zoominfo.credits_used == 50


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "unauthorized", "times": 0}, CredentialsRejectedError, "check ENRICHMENT_ZOOMINFO_CLIENT_ID"),
        ({"kind": "status", "status": 403}, CredentialsRejectedError, "check ENRICHMENT_ZOOMINFO_CLIENT_ID"),
        ({"kind": "status", "status": 404}, ConfigurationError, "check ENRICHMENT_ZOOMINFO_BASE_URL"),
        ({"kind": "status", "status": 200, "body": "<html>"}, ConfigurationError, "check ENRICHMENT_ZOOMINFO_BASE_URL"),
        ({"kind": "status", "status": 503}, TransientError, "try again later"),
        ({"kind": "status", "status": 429, "retry_after": "seconds", "seconds": 90}, PostponedError, "after 90 s"),
        ({"kind": "reset_before"}, TransientError, "can't be reached"),
        ({"kind": "status", "status": 400, "body": NO_CREDITS}, QuotaExhaustedError, "the allowance is used up"),
    ],
)
def test_a_check_that_fails_says_what_to_do(
    box: Box, provider: HttpProvider, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each failure names the setting to look at, or that time will heal it."""
    box.world.faults.add(service="zoominfo", path_contains="usage", **options)
    with pytest.raises(error, match=message):
        provider.check()


def test_a_check_without_figures_says_so(box: Box, provider: HttpProvider) -> None:
    """An account whose usage holds no credits still answers."""
    box.world.faults.add(service="zoominfo", path_contains="usage", kind="status", status=200, body='{"data": []}')
    assert provider.check() == "ZoomInfo answers, but doesn't say what is left"


def test_the_pace_is_shared_with_other_runs(box: Box, provider: HttpProvider) -> None:
    """The share reaches the pacer of this client, which all its adapters use."""
    connect(box).share(0.25)
    assert provider._shared.pacer._share == 0.25


def test_a_token_without_a_lifetime_is_taken(box: Box, provider: HttpProvider) -> None:
    """Where expires_in is missing, the spec's default holds; the token is fetched once."""
    issued = json.loads(box.world.zoominfo.tokens.answer(token_request(box), box.world.zoominfo.settings).body)
    del issued["expires_in"]
    body = json.dumps(issued)
    box.world.faults.add(service="zoominfo", path_contains="token", kind="status", status=200, body=body)
    assert outcomes(ask(provider, people(30))) == [Outcome.MATCHED] * 30
    assert box.world.zoominfo.tokens_issued == 1


def token_request(box: Box) -> SandboxRequest:
    account = box.world.zoominfo.settings
    pair = base64.b64encode(f"{account.client_id}:{account.client_secret}".encode()).decode()
    return SandboxRequest("POST", "", headers={"authorization": f"Basic {pair}"}, body=b"grant_type=client_credentials")


def test_a_check_with_wrong_credentials_names_them(box: Box) -> None:
    """The token endpoint's refusal becomes advice."""
    with pytest.raises(CredentialsRejectedError, match="client_id and client_secret"):
        connect(box, client_secret="wrong").check()


def test_a_token_endpoint_that_is_down_costs_attempts(box: Box, provider: HttpProvider) -> None:
    """No token for a while is an outage, not a refusal."""
    box.world.faults.add(service="zoominfo", path_contains="token", kind="status", status=503, times=2)
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]


def test_no_requests_need_no_call(box: Box, provider: HttpProvider) -> None:
    """Nothing asked, nothing called."""
    assert ask(provider, []) == {}
    assert requests_for(provider, []) == []
    assert box.world.zoominfo.tokens_issued == 0
