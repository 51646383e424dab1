"""HubSpot in trouble, over real sockets: what is waited for, what is repeated, and what ends the run."""

import json
import logging
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import SecretStr

from blocks.crms.outcomes import POSTPONED, UNAVAILABLE
from enrichment.errors import (
    CredentialsRejectedError,
    PostponedError,
    QuotaExhaustedError,
    RequestRefusedError,
    TransientError,
)
from enrichment.stops import CREDENTIALS_REJECTED, QUOTA_EXHAUSTED, REQUEST_REFUSED
from tests.integration.crms.conftest import READ, UPDATE, Account, company, reasons

INTERVAL = "X-HubSpot-RateLimit-Interval-Milliseconds"


def _limit(policy: str) -> str:
    return json.dumps({"status": "error", "errorType": "RATE_LIMIT", "policyName": policy, "correlationId": "c-1"})


@pytest.mark.parametrize(
    ("policy", "headers"),
    [("TEN_SECONDLY_ROLLING", {INTERVAL: "200"}), ("TEN_SECONDLY_ROLLING", {"Retry-After": "1"}), ("SECONDLY", {})],
)
def test_too_many_calls_are_waited_for(account: Account, policy: str, headers: dict[str, str]) -> None:
    """A short limit is slept out, and the call repeated."""
    account.answer_instead(_limit(policy), status=429, headers=headers)
    updates = [company(account.ids[0])]
    assert reasons(updates, account.crm().write(updates)) == [""]
    assert account.calls(UPDATE) == [429, 200]


@pytest.mark.parametrize(
    ("said", "headers"),
    [
        ("You have reached your daily limit.", {}),
        ("Too many requests.", {"X-HubSpot-RateLimit-Daily-Remaining": "0"}),
    ],
)
def test_the_limit_of_the_day_is_known_without_the_name_of_its_policy(
    account: Account, said: str, headers: dict[str, str]
) -> None:
    """Each field of the answer may be absent; to go on would use up the contacts' attempts until midnight."""
    body = json.dumps({"status": "error", "errorType": "RATE_LIMIT", "message": said})
    account.answer_instead(body, READ, status=429, headers=headers)
    with pytest.raises(QuotaExhaustedError, match="calls of this day are used up"):
        account.crm().read(account.ids, [])
    assert account.calls(READ) == [429]


def test_the_limit_that_hubspot_states_is_adopted(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """Plans differ, and so do the limits of one account from year to year."""
    caplog.set_level(logging.INFO)
    account.box.configure(hubspot={"per_ten_seconds": 500})
    crm = account.crm()
    for _ in range(5):
        crm.read(account.ids[:1], [])
    assert caplog.text.count(f"rate_adopted service='hubspot' per_second={50:.1f}") == 1
    assert account.hubspot.rejected_429 == 0


def test_too_many_searches_hold_only_searches(account: Account) -> None:
    """The limit of the search is its own."""
    account.answer_instead(_limit("SECONDLY"), "search", status=429)
    account.box.world.clock.advance(1)
    crm = account.crm()
    assert sum(len(page) for page in crm.created_since(account.box.world.clock.now().replace(year=2000))) == 5
    assert account.calls("search") == [429, 200]


def test_the_day_being_used_up_ends_the_run(account: Account) -> None:
    """It is never slept out; a read raises, a write reports."""
    account.box.configure(hubspot={"per_day": 0})
    crm = account.crm()
    with pytest.raises(QuotaExhaustedError):
        crm.read(account.ids, [])
    updates = [company(account.ids[0])]
    assert reasons(updates, crm.write(updates)) == [QUOTA_EXHAUSTED]


def test_a_long_pause_is_reported_not_slept(account: Account) -> None:
    """A data centre migration takes hours: the whole wait is handed up, and holds every later call."""
    account.fault("status", status=477, retry_after="seconds", seconds=7200)
    crm = account.crm()
    updates = [company(crm_id) for crm_id in account.ids]
    results = crm.write(updates)
    assert set(reasons(updates, results)) == {POSTPONED}
    assert {result.wait_seconds for result in results} == {7200}
    assert not any(result.permanent for result in results)
    with pytest.raises(PostponedError) as caught:
        crm.read(account.ids, [])
    assert 7100 < caught.value.seconds <= 7200
    assert account.calls(READ) == []


def test_a_locked_record_is_left_alone_for_two_seconds(account: Account) -> None:
    """423 is waited for and repeated."""
    account.answer_instead("{}", status=423)
    updates = [company(account.ids[0])]
    assert reasons(updates, account.crm().write(updates)) == [""]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 521, 523, 524])
def test_a_failing_server_is_asked_again(account: Account, status: int) -> None:
    """Also when a proxy answers with a page of HTML."""
    account.fault("status", status=status)
    updates = [company(account.ids[0])]
    assert reasons(updates, account.impatient().write(updates)) == [""]
    assert account.calls(UPDATE) == [status, 200]


class _LatinProxy(BaseHTTPRequestHandler):
    """Answers as some proxies do: a page of its own, not in UTF-8."""

    def do_POST(self) -> None:
        page = "<h1>Zeitüberschreitung</h1>".encode("latin-1")
        self.send_response(504)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_a_page_that_is_not_utf_8_is_an_answer_too(account: Account) -> None:
    """The client library fails to decode such a page; the status still counts."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _LatinProxy) as proxy:
        Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        crm = account.impatient(base_url=f"http://127.0.0.1:{proxy.server_port}")
        with pytest.raises(TransientError, match="status 504"):
            crm.read(["1"], [])
        proxy.shutdown()


def test_exhausted_attempts_name_status_and_correlation_id(account: Account) -> None:
    """HubSpot's support asks for the correlation id."""
    account.answer_instead('{"correlationId": "c-7"}', READ, status=503, times=0)
    with pytest.raises(TransientError, match=r"status 503 \(correlation id c-7\).*attempt 3"):
        account.impatient().read(account.ids, [])
    assert account.calls(READ) == [503, 503, 503]


def test_an_outage_leaves_the_updates_repeatable(account: Account) -> None:
    """Nothing is permanent about it, and no batch raises."""
    account.fault("status", status=502, times=0)
    updates = [company(crm_id) for crm_id in account.ids]
    results = account.impatient().write(updates)
    assert set(reasons(updates, results)) == {UNAVAILABLE}
    assert not any(result.permanent for result in results)


def test_a_broken_certificate_over_there_is_not_repeated(account: Account) -> None:
    """525 and its kin don't heal within a call."""
    account.fault("status", READ, status=525)
    with pytest.raises(TransientError, match="525"):
        account.impatient().read(account.ids, [])
    assert account.calls(READ) == [525]


def test_a_silent_server_is_given_up(account: Account) -> None:
    """Without a time limit the client library would wait for ever."""
    account.fault("slow", READ, times=0, seconds=1.0)
    with pytest.raises(TransientError, match="ReadTimeoutError"):
        account.impatient(read_timeout=0.05).read(account.ids, [])


def test_a_closed_port_is_an_outage(account: Account) -> None:
    """A refused connection is tried again, and then said."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        crm = account.impatient(base_url=f"http://127.0.0.1:{reserved.getsockname()[1]}")
        with pytest.raises(TransientError, match=r"NewConnectionError.*attempt 3"):
            crm.check()


def test_a_rotated_token_is_read_again_once(account: Account) -> None:
    """The secret changes while the run goes on; nothing has to be restarted."""
    block = account.block()
    crm = account.keep(block.get_crm())
    crm.check()
    account.box.configure(hubspot={"token": "rotated"})
    block.access_token = SecretStr("rotated")
    assert crm.read(account.ids, []).keys() == {*account.ids}
    assert account.calls(READ) == [401, 200]


def test_a_token_that_stays_wrong_ends_the_run(account: Account) -> None:
    """It is read again once; then the error names the setting, and the token nowhere."""
    crm = account.impatient(read_token=lambda: "wrong-token")
    with pytest.raises(CredentialsRejectedError, match="ENRICHMENT_HUBSPOT_ACCESS_TOKEN") as caught:
        crm.read(account.ids, [])
    assert "wrong-token" not in str(caught.value)
    assert account.calls(READ) == [401, 401]
    updates = [company(account.ids[0])]
    assert reasons(updates, crm.write(updates)) == [CREDENTIALS_REJECTED]


def test_a_401_with_the_right_token_is_forgiven_once(account: Account) -> None:
    """HubSpot's own hiccups look the same as a rotated token."""
    account.fault("unauthorized", READ)
    assert account.crm().read(account.ids, []).keys() == {*account.ids}


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("crm.objects.contacts.read", lambda a: a.crm().read(a.ids, [])),
        ("crm.objects.contacts.read", lambda a: list(a.crm().list_contacts())),
        ("crm.schemas.contacts.read", lambda a: a.crm().describe_fields()),
        ("crm.schemas.contacts.write", lambda a: a.crm().ensure_fields()),
    ],
)
def test_a_missing_scope_is_named(account: Account, scope: str, call: Callable[[Account], object]) -> None:
    """A 403 says what to add where."""
    others = tuple(s for s in account.hubspot.settings.scopes if s != scope)
    account.box.configure(hubspot={"scopes": others})
    with pytest.raises(RequestRefusedError, match=f"Add the scope {scope}"):
        call(account)


def test_a_missing_scope_to_write_is_reported(account: Account) -> None:
    """The caller stops the run on this reason, and finds the scope in the detail."""
    account.box.configure(hubspot={"scopes": ("crm.objects.contacts.read",)})
    updates = [company(account.ids[0])]
    results = account.crm().write(updates)
    assert reasons(updates, results) == [REQUEST_REFUSED]
    assert "crm.objects.contacts.write" in results[0].detail
    assert not results[0].permanent


def test_an_unknown_path_is_not_a_missing_contact(account: Account) -> None:
    """A 404 of the path itself, as after the end of a version, must not look like deleted contacts."""
    account.answer_instead('{"status": "error", "message": "resource not found"}', status=404, times=0)
    updates = [company(crm_id) for crm_id in account.ids]
    results = account.crm().write(updates)
    assert set(reasons(updates, results)) == {REQUEST_REFUSED}
    assert not any(result.gone for result in results)
    assert "ENRICHMENT_HUBSPOT_API_VERSION" in results[0].detail


def test_a_redirect_does_not_get_the_token(account: Account) -> None:
    """The token is sent to the configured address only."""
    account.answer_instead("", READ, status=302, headers={"Location": f"{account.box.url}/elsewhere"})
    with pytest.raises(RequestRefusedError, match="302"):
        account.crm().read(account.ids, [])


def test_logs_hold_ids_and_codes_only(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the token nor anybody's address is written to a log."""
    caplog.set_level(logging.DEBUG)
    account.fault("status", status=502)
    account.hubspot.edit(account.ids[0], {"email": "ada@example.com"})
    crm = account.impatient()
    crm.read(account.ids, ["email"])
    crm.write([company(account.ids[0], "Lovelace Engines"), company("999999999999")])
    assert "call_failed service=hubspot" in caplog.text
    for secret in (account.token, "ada@example.com", "Lovelace"):
        assert secret not in caplog.text
