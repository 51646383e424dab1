"""HubSpot's webhooks over a socket: what is let in, what it does, and how it is answered."""

import json
import logging
import os
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from blocks.warehouses.base import NewRecord, RunStart
from enrichment.records import Origin
from sandbox.hubspot.signing import sign_v1, signed_headers
from tests.integration.triggers.conftest import (
    CLIENT_SECRET,
    SHARED_SECRET,
    TARGET_URL,
    MakeReceiver,
    Receiver,
    creation,
    now_ms,
    until,
)

BODY = json.dumps([creation(501)]).encode()


def test_a_new_contact_waits_in_the_live_lane(receiver: Receiver) -> None:
    """The answer comes after the row: who asks right after it finds it, and a run has been asked for."""
    answer = receiver.deliver(creation(180584432881))
    assert (answer.status_code, answer.content) == (200, b"")
    (row,) = receiver.staged().values()
    assert (row["crm"], row["crm_id"], row["lane"], row["source"]) == ("hubspot", "180584432881", "live", "webhook")
    assert (row["state"], row["email_address"]) == ("waiting", None)
    assert row["contact_created_at"] == "2025-06-30T09:34:10.977Z"
    assert receiver.runs_asked_for == 1


@pytest.mark.parametrize("vendor", ["sqlite", "postgres"])
def test_a_burst_is_taken_at_once(make_receiver: MakeReceiver, vendor: str) -> None:
    """Ten deliveries of a hundred events at once, twice over and mixed: each contact waits once."""
    receiver = make_receiver(vendor)
    batches = [[creation(part * 100 + number) for number in range(1, 101)] for part in range(10)]
    again = [list(reversed(batch)) for batch in reversed(batches)]
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda batch: receiver.deliver(*batch).status_code, [*batches, *again]))
    assert set(answers) == {200}
    assert sorted(receiver.staged(), key=int) == [str(number) for number in range(1, 1001)]


def test_deliveries_that_wait_together_are_committed_together(make_receiver: MakeReceiver) -> None:
    """While a commit is under way the next ones gather, so that a slow warehouse isn't asked once per delivery."""
    receiver = make_receiver()
    lock = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(receiver.deliver, creation(number)) for number in range(1, 21)]
        # The first one waits for the lock; the others wait for the first.
        until(lambda: receiver.under_way() == 20)
        lock.execute("COMMIT")
        lock.close()
        assert {answer.result().status_code for answer in answers} == {200}
    assert len(receiver.staged()) == 20
    assert receiver.runs_asked_for < 20


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-HubSpot-Signature-v3": "AAAA"}, "signature_wrong"),
        ({"X-HubSpot-Signature-v3": "\xe9" * 44}, "signature_wrong"),
        ({"X-HubSpot-Request-Timestamp": "1693657560000"}, "timestamp_too_old"),
        ({"X-HubSpot-Request-Timestamp": "9999999999999"}, "timestamp_in_the_future"),
        ({"X-HubSpot-Request-Timestamp": "now"}, "timestamp_unreadable"),
        ({"X-HubSpot-Request-Timestamp": ""}, "timestamp_missing"),
        ({"X-HubSpot-Signature-v3": ""}, "signature_of_an_older_version"),
        ({"X-HubSpot-Signature-v3": "", "X-HubSpot-Signature": ""}, "signature_missing"),
    ],
)
def test_what_is_not_signed_rightly_is_refused(
    receiver: Receiver, caplog: pytest.LogCaptureFixture, headers: dict[str, str], reason: str
) -> None:
    """401 with a code, which the log has too; nothing is staged and no secret is shown."""
    signed = httpx.Headers(signed_headers(CLIENT_SECRET, TARGET_URL, BODY, now_ms()), encoding="latin-1")
    signed.update(httpx.Headers(headers, encoding="latin-1"))
    with caplog.at_level(logging.INFO, "triggers"):
        answer = receiver.http.post("/hubspot/webhook", content=BODY, headers=signed)
    assert (answer.status_code, answer.json()) == (401, {"error": reason})
    assert f"request_refused endpoint=hubspot status=401 because={reason}" in caplog.text
    assert CLIENT_SECRET not in caplog.text + answer.text
    assert receiver.staged() == {}


def test_a_first_version_signature_alone_is_refused(receiver: Receiver) -> None:
    """It is right, and isn't enough."""
    headers = {"X-HubSpot-Signature": sign_v1(CLIENT_SECRET, BODY), "X-HubSpot-Signature-Version": "v1"}
    answer = receiver.http.post("/hubspot/webhook", content=BODY, headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "signature_of_an_older_version"})


def test_only_the_configured_url_counts(receiver: Receiver) -> None:
    """Neither the host that was called nor what a proxy says of it has a part in the signature."""
    assert receiver.deliver(creation(1), Host="evil.example", **{"X-Forwarded-Host": "evil.example"}).status_code == 200
    here = f"{receiver.url}/hubspot/webhook"
    signed = signed_headers(CLIENT_SECRET, here, BODY, now_ms())
    assert receiver.http.post("/hubspot/webhook", content=BODY, headers=signed).status_code == 401
    forwarded = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": here.split("/")[2]}
    assert receiver.http.post("/hubspot/webhook", content=BODY, headers=signed | forwarded).status_code == 401


def test_another_method_or_path_is_not_there(receiver: Receiver) -> None:
    """Nothing else is served: no documentation, no description of the interface."""
    assert receiver.http.get("/hubspot/webhook").status_code == 405
    for path in ("/", "/docs", "/openapi.json", "/redoc", "/hubspot", "/hubspot/webhook/"):
        assert receiver.http.get(path, follow_redirects=False).status_code in {404, 307}, path


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_unread(receiver: Receiver, *, chunked: bool) -> None:
    """413, whether or not the length is announced; the connection's end is an answer too."""
    body = b"[" + b" " * 150_000 + b"]"
    headers = signed_headers(CLIENT_SECRET, TARGET_URL, body, now_ms())
    content = iter([body[:100_000], body[100_000:]]) if chunked else body
    answer = receiver.http.post("/hubspot/webhook", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (413, {"error": "body_too_large"})
    assert receiver.deliver(creation(1)).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"not json", b"[" * 50_000])
def test_what_is_not_a_list_of_events_is_refused(receiver: Receiver, body: bytes) -> None:
    """400, though it is signed."""
    answer = receiver.deliver(body=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "malformed"})


def test_what_does_not_concern_us_is_taken(receiver: Receiver) -> None:
    """HubSpot would repeat for a day what is refused; no run is asked for."""
    own = creation(3, changeSource="INTEGRATION", sourceId="54321")
    answer = receiver.deliver({"subscriptionType": "deal.creation", "objectId": 1}, {}, own)
    assert answer.status_code == 200
    assert receiver.deliver().status_code == 200
    assert (receiver.staged(), receiver.runs_asked_for) == ({}, 0)


def test_an_unreadable_event_is_logged_and_holds_no_other_up(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The others of its delivery are staged."""
    with caplog.at_level(logging.INFO, "triggers"):
        assert receiver.deliver(creation(1), creation(2, objectId=None)).status_code == 200
    assert list(receiver.staged()) == ["1"]
    assert "events_unreadable endpoint=hubspot events=1" in caplog.text
    assert "delivery_taken endpoint=hubspot created=1 unreadable=1" in caplog.text


def test_events_of_a_contact_at_work_let_it_be_done_again(receiver: Receiver) -> None:
    """An address that arrives while a run has the contact isn't lost: the contact gets a new request."""
    receiver.deliver(creation(501))
    receiver.warehouse.open_run(RunStart("run", "a run", "zoominfo", "hubspot", ""), lease_seconds=60)
    claim = receiver.warehouse.claim(
        "run", origin=Origin("hubspot"), lane="", limit=9, lease_seconds=60, make_token=lambda: "token"
    )
    change = creation(501, subscriptionType="contact.propertyChange", propertyName="email", propertyValue="z@x.example")
    assert receiver.deliver(change).status_code == 200
    row = receiver.staged()["501"]
    assert (row["record_id"], row["claimed_by"]) == (claim.records[0].record_id, "token")
    assert row["changed_at"]


def test_a_deletion_forgets_the_address_that_waits(receiver: Receiver) -> None:
    """So the run asks HubSpot, finds the contact gone, and asks no provider."""
    receiver.warehouse.stage([NewRecord("hubspot", "501", "zoe@x.example", "schedule", "live")])
    assert receiver.deliver(creation(501, subscriptionType="contact.deletion")).status_code == 200
    assert receiver.staged()["501"]["email_address"] is None


def test_an_erasure_is_done_before_the_answer_and_once(receiver: Receiver) -> None:
    """With its deletion before or after it; a repeated delivery finds it done, another erasure doesn't."""
    erasure = creation(501, subscriptionType="contact.privacyDeletion")
    deletion = creation(501, subscriptionType="contact.deletion")
    assert receiver.deliver(creation(501), deletion, erasure).status_code == 200
    assert receiver.erased == ["501"]
    assert receiver.staged() == {}
    assert receiver.deliver(erasure, deletion).status_code == 200
    assert receiver.erased == ["501"]
    assert receiver.deliver({**erasure, "occurredAt": 1751276050978}).status_code == 200
    assert receiver.erased == ["501", "501"]


def test_an_erasure_that_fails_is_delivered_again(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """HubSpot is asked to retry; what the failure said is shown to no one, since it may quote the contact."""
    erasure = creation(501, subscriptionType="contact.privacyDeletion")
    receiver.refuse_to_erase = True
    with caplog.at_level(logging.INFO):
        answer = receiver.deliver(erasure, creation(502))
    assert (answer.status_code, answer.json()) == (503, {"error": "not_committed"})
    assert answer.headers["Retry-After"] == "5"
    assert "contact_not_erased crm_id=501" in caplog.text
    assert "zoe@x.example" not in caplog.text
    assert list(receiver.staged()) == ["502"]
    receiver.refuse_to_erase = False
    assert receiver.deliver(erasure, creation(502)).status_code == 200
    assert (receiver.erased, list(receiver.staged())) == (["501"], ["502"])


def test_a_warehouse_that_is_slow_is_not_waited_for(make_receiver: MakeReceiver) -> None:
    """503 before HubSpot stops waiting; the rows come late or with the repetition, and only once."""
    receiver = make_receiver(answer_within_seconds=0.3)
    lock = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    answer = receiver.deliver(creation(501))
    assert (answer.status_code, answer.json()) == (503, {"error": "not_committed_in_time"})
    assert answer.headers["Retry-After"] == "5"
    assert receiver.http.get("/health").json() == {"status": "ok"}
    lock.execute("COMMIT")
    lock.close()
    until(lambda: receiver.deliver(creation(501)).status_code == 200)
    assert list(receiver.staged()) == ["501"]


def test_a_warehouse_that_is_missing_is_asked_again(receiver: Receiver, tmp_path: Path) -> None:
    """Nothing is accepted that can't be kept; when the warehouse is there again no restart is needed."""
    database = Path(os.environ["ENRICHMENT_SQLITE_PATH"])
    receiver.warehouse.close()
    database.rename(tmp_path / "away.db")
    answer = receiver.deliver(creation(501))
    assert (answer.status_code, answer.json()) == (503, {"error": "not_committed"})
    until(lambda: receiver.http.get("/ready").json()["status"] == "not ready")
    assert receiver.http.get("/ready").status_code == 503
    (tmp_path / "away.db").rename(database)
    until(lambda: receiver.http.get("/ready").status_code == 200)
    assert receiver.deliver(creation(501)).status_code == 200
    assert list(receiver.staged()) == ["501"]


def test_a_dropped_connection_is_opened_again(make_receiver: MakeReceiver) -> None:
    """A server that ended our idle session costs no delivery."""
    receiver = make_receiver("postgres")
    assert receiver.deliver(creation(1)).status_code == 200
    with receiver.warehouse._transaction() as session:
        session._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'contact-enrichment' AND pid <> pg_backend_pid()"
        )
    assert receiver.deliver(creation(2)).status_code == 200
    assert sorted(receiver.staged()) == ["1", "2"]


def test_a_warehouse_that_can_t_be_reached_is_named(
    make_receiver: MakeReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness names the trouble by a code, and the process stays alive."""
    receiver = make_receiver("postgres")
    monkeypatch.setenv("ENRICHMENT_POSTGRES_DSN", "postgresql://127.0.0.1:1/none")
    assert receiver.http.get("/ready").json() == {"status": "not ready", "error": "warehouse_unreachable"}
    answer = receiver.deliver(creation(1))
    assert (answer.status_code, answer.json()) == (503, {"error": "not_committed"})
    assert receiver.http.get("/health").status_code == 200


def test_unknown_senders_keep_no_known_one_out(receiver: Receiver) -> None:
    """Senders that stall in the middle of their body don't take HubSpot's places."""
    head = (
        "POST /hubspot/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n"
        f"X-HubSpot-Signature-v3: AAAA\r\nX-HubSpot-Request-Timestamp: {now_ms()}\r\n\r\n["
    )
    url = httpx.URL(receiver.url)
    with ExitStack() as stack:
        for _ in range(60):
            dawdler = stack.enter_context(socket.create_connection((url.host, url.port), timeout=60))
            dawdler.sendall(head.encode())
        until(lambda: receiver.under_way() == 60)
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda number: receiver.deliver(creation(number)).status_code, range(1, 51)))
    assert set(answers) == {200}


def test_more_at_once_than_are_allowed_are_asked_to_retry(make_receiver: MakeReceiver) -> None:
    """503 at once rather than a queue that grows."""
    receiver = make_receiver(deliveries_at_once=10)
    lock = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(30) as pool:
        answers = [pool.submit(receiver.deliver, creation(number)) for number in range(1, 31)]
        until(lambda: sum(answer.done() for answer in answers) == 20)
        lock.execute("COMMIT")
        lock.close()
        found = [answer.result() for answer in answers]
    assert sorted(answer.status_code for answer in found) == [*[200] * 10, *[503] * 20]
    refused = next(answer for answer in found if answer.status_code == 503)
    assert (refused.json(), refused.headers["Retry-After"]) == ({"error": "too_many_at_once"}, "1")
    assert len(receiver.staged()) == 10


def test_nothing_that_was_accepted_is_lost_at_the_end(make_receiver: MakeReceiver) -> None:
    """Asked to end while deliveries wait for a commit, the receiver commits and answers them first."""
    receiver = make_receiver()
    lock = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(5) as pool:
        answers = [pool.submit(receiver.deliver, creation(number)) for number in range(1, 6)]
        until(lambda: receiver.under_way() == 5)
        receiver.stop()
        lock.execute("COMMIT")
        lock.close()
        statuses = [answer.result().status_code for answer in answers]
    assert statuses == [200] * 5
    assert len(receiver.staged()) == 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{receiver.url}/health")


def test_the_shared_secret_opens_only_its_own_endpoint(receiver: Receiver) -> None:
    """What a form knows doesn't let it speak for HubSpot."""
    signed = signed_headers(SHARED_SECRET, TARGET_URL, BODY, now_ms())
    assert receiver.http.post("/hubspot/webhook", content=BODY, headers=signed).status_code == 401


def test_signs_of_life(receiver: Receiver) -> None:
    """The process is alive, and could commit."""
    assert receiver.http.get("/health").json() == {"status": "ok"}
    assert receiver.http.get("/ready").json() == {"status": "ready"}
