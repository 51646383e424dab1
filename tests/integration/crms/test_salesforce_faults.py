"""Salesforce in trouble, over real sockets: what is waited for, what is repeated, and what ends the run."""

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from blocks.crms.outcomes import POSTPONED, UNAVAILABLE
from blocks.crms.salesforce.session import Credentials
from enrichment.errors import (
    CredentialsRejectedError,
    PostponedError,
    QuotaExhaustedError,
    RequestRefusedError,
    TransientError,
)
from enrichment.stops import CREDENTIALS_REJECTED, QUOTA_EXHAUSTED
from tests.integration.crms.salesforce_org import COLLECTIONS, SECRET, Org, reasons, title

TOKEN = "oauth2/token"


def test_an_ended_session_is_renewed_once_for_all_threads(org: Org) -> None:
    """Many calls meet the 401 at once; one of them asks for the new session."""
    crm = org.crm()
    crm.read(org.ids, [])
    org.salesforce.sessions.end_all()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda crm_id: crm.read([crm_id], []), org.ids * 4))
    assert all(found)
    assert org.calls(TOKEN) == [200, 200]


def test_a_session_is_shared_by_all_adapters_of_the_process(org: Org) -> None:
    """Each chunk opens an adapter; logins are limited to 3,600 an hour."""
    for _ in range(3):
        org.crm().read(org.ids, [])
    assert org.calls(TOKEN) == [200]


def test_a_session_that_is_never_taken_ends_the_run(org: Org) -> None:
    """One new session and one repetition, then the credentials are to blame."""
    org.box.configure(salesforce={"sessions_hold": False})
    crm = org.crm()
    with pytest.raises(CredentialsRejectedError, match="INVALID_SESSION_ID"):
        crm.read(org.ids, [])
    assert (org.calls(TOKEN), org.calls(COLLECTIONS)) == ([200, 200], [401, 401])
    updates = [title(crm_id) for crm_id in org.ids]
    assert set(reasons(updates, crm.write(updates))) == {CREDENTIALS_REJECTED}


@pytest.mark.parametrize("body", ['{"message": "who?"}', "<html>401</html>", "[]", ""])
def test_a_401_in_any_form_is_understood(org: Org, body: str) -> None:
    """Gateways answer with objects, pages or nothing, which the library takes for a bug."""
    org.answer_instead(body, status=401)
    assert org.crm().read(org.ids[:1], []).keys() == {org.ids[0]}


@pytest.mark.parametrize(
    ("secret", "key", "words"),
    [("wrong-secret", "", "invalid_client.*CONSUMER_SECRET"), (SECRET, "wrong-key", "invalid_client_id.*CONSUMER_KEY")],
)
def test_rejected_credentials_name_the_setting(org: Org, secret: str, key: str, words: str) -> None:
    """The token endpoint's errors are objects; the message says what to fix, without the secret."""
    crm = org.impatient(read_credentials=lambda: Credentials("client_credentials", key or org.key, secret))
    with pytest.raises(CredentialsRejectedError, match=words) as caught:
        crm.read(org.ids, [])
    assert secret not in str(caught.value)
    assert org.calls(TOKEN) == [400]


def test_a_rotated_secret_needs_no_restart(org: Org) -> None:
    """The secret is read again whenever a session is asked for."""
    secrets = [SECRET, "rotated"]
    crm = org.impatient(read_credentials=lambda: Credentials("client_credentials", org.key, secrets[0]))
    crm.read(org.ids, [])
    org.box.configure(salesforce={"consumer_secret": "rotated"})
    org.salesforce.sessions.end_all()
    secrets.pop(0)
    assert crm.read(org.ids, []).keys() == set(org.ids)


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated", "empty_200"])
def test_a_token_endpoint_in_trouble_is_asked_again(org: Org, kind: str) -> None:
    """A session is free: asking twice costs nothing."""
    org.fault(kind, TOKEN)
    assert org.impatient().read(org.ids, []).keys() == set(org.ids)


def test_a_token_endpoint_that_stays_away_is_transient(org: Org) -> None:
    """No credentials are blamed for an outage."""
    org.fault("status", TOKEN, status=503, times=0)
    with pytest.raises(TransientError, match="token endpoint: status 503"):
        org.impatient().read(org.ids, [])


def test_too_many_logins_are_waited_for(org: Org) -> None:
    """The endpoint says it with 400, as it says everything."""
    body = json.dumps({"error": "invalid_grant", "error_description": "login rate exceeded"})
    org.answer_instead(body, TOKEN, status=400)
    assert org.impatient().read(org.ids, []).keys() == set(org.ids)


def test_the_day_being_used_up_ends_the_run(org: Org) -> None:
    """It is never slept out; a read raises, a write reports."""
    org.box.configure(salesforce={"daily_calls": 0})
    crm = org.crm()
    with pytest.raises(QuotaExhaustedError, match="24 hours"):
        crm.read(org.ids, [])
    updates = [title(crm_id) for crm_id in org.ids]
    assert set(reasons(updates, crm.write(updates))) == {QUOTA_EXHAUSTED}


def test_too_many_long_requests_are_waited_for(org: Org) -> None:
    """The code is that of the used-up day; only the message differs."""
    org.salesforce.be_busy(1)
    updates = [title(org.ids[0])]
    assert reasons(updates, org.impatient().write(updates)) == [""]
    assert org.salesforce.rejected == 1


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "truncated", "empty_200"])
def test_a_lost_answer_is_repeated(org: Org, kind: str) -> None:
    """An update has the same effect twice, and is confirmed once."""
    org.fault(kind)
    updates = [title(crm_id) for crm_id in org.ids]
    assert set(reasons(updates, org.impatient().write(updates))) == {""}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_outage_is_repeated_and_then_reported(org: Org, status: int) -> None:
    """A page of HTML is not an answer; what stays away costs an attempt, not the record."""
    org.fault("status", status=status)
    crm = org.impatient()
    updates = [title(org.ids[0])]
    assert reasons(updates, crm.write(updates)) == [""]
    org.fault("status", status=status, times=0)
    (result,) = crm.write(updates)
    assert (result.reason, result.permanent) == (UNAVAILABLE, False)


def test_a_long_pause_is_neither_slept_nor_shortened(org: Org) -> None:
    """A gateway may ask for it; the records go back without an attempt."""
    org.fault("status", status=503, retry_after="seconds", seconds=3600, times=0)
    crm = org.impatient()
    (result,) = crm.write([title(org.ids[0])])
    assert (result.reason, result.wait_seconds) == (POSTPONED, 3600)
    with pytest.raises(PostponedError):
        crm.read(org.ids, [])


def test_an_answer_that_does_not_come_is_given_up(org: Org) -> None:
    """The library has no timeouts: a silent server would hold the run for ever."""
    org.fault("slow", seconds=5, times=0)
    with pytest.raises(TransientError, match="network failed"):
        org.impatient(read_timeout=0.1).read(org.ids, [])


def test_a_closed_port_is_transient(org: Org) -> None:
    """Nothing was sent, so nothing can have been lost."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(TransientError):
        org.impatient(instance_url=address).read(org.ids, [])
    with pytest.raises(TransientError):
        org.impatient(login_url=address).read(org.ids, [])


def test_a_forbidden_call_names_what_to_grant(org: Org) -> None:
    """An administrator took the API away from the integration user."""
    org.answer_instead('[{"errorCode": "API_DISABLED_FOR_ORG", "message": "API is not enabled"}]', status=403)
    with pytest.raises(RequestRefusedError, match=r"API_DISABLED_FOR_ORG.*docs/salesforce\.md"):
        org.crm().read(org.ids, [])


def test_a_field_that_is_gone_is_read_no_more(org: Org) -> None:
    """One that was deleted since the run began would fail every read: one answer is enough to leave it out."""
    crm = org.crm()
    found = crm.read(org.ids, ["Vanished__c", "Title"])
    assert found.keys() == {*org.ids}
    assert found[org.ids[0]].values.keys() == {"Vanished__c", "Title"}
    crm.read(org.ids, ["Vanished__c", "Title"])
    assert org.calls("composite/sobjects/Contact") == [400, 200, 200]


def test_no_value_and_no_query_reaches_errors_or_logs(org: Org, caplog: pytest.LogCaptureFixture) -> None:
    """The library puts the address with the whole query, and Salesforce the value, into its messages."""
    caplog.set_level(logging.DEBUG, logger="blocks")
    body = '[{"errorCode": "MALFORMED_QUERY", "message": "unexpected token: ada@example.com"}]'
    org.answer_instead(body, "query", status=400)
    org.answer_instead("<html>ada@example.com</html>", "query", status=503)
    crm = org.impatient()
    with pytest.raises(RequestRefusedError) as caught:
        list(crm.list_contacts())
    with pytest.raises(RequestRefusedError):
        crm.read(org.ids, ["ada@example.com"])
    text = str(caught.value) + caplog.text
    assert "MALFORMED_QUERY" in text
    assert not {word for word in ("ada@", "SELECT", "CreatedDate", SECRET, "session.1") if word in text}


def test_our_changes_carry_our_name(org: Org) -> None:
    """Change events repeat it, by which a listener leaves out what we did ourselves."""
    crm = org.crm()
    assert crm._api._transport._http.headers["Sforce-Call-Options"] == "client=contact-enrichment"
    crm.share(0.3)
    assert crm.read(org.ids[:1], [])
