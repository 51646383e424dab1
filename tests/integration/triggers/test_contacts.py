"""Contacts from forms and other systems, over a socket."""

import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.integration.triggers.conftest import (
    CLIENT_SECRET,
    SHARED_SECRET,
    STANDARD_SECRETS,
    MakeReceiver,
    Receiver,
    creation,
)

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()


def example(language: str, word: str) -> str:
    """Return the page's example that has a word in it."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return next(block for block in found if word in block)


def run_example(
    receiver: Receiver, secret: str, command: Sequence[str] = ("sh", "-euc", example("sh", "openssl"))
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "RECEIVER_URL": receiver.url, "SHARED_SECRET": secret, "NO_PROXY": "127.0.0.1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_documented_example_works(receiver: Receiver) -> None:
    """curl and openssl, as docs/webhooks.md has them, put a contact into the queue."""
    done = run_example(receiver, SHARED_SECRET)
    assert (done.returncode, done.stdout) == (0, '{"accepted":1}'), done.stderr
    (row,) = receiver.staged().values()
    assert (row["crm"], row["crm_id"], row["email_address"]) == ("hubspot", "501", "ada@example.com")
    assert (row["source"], row["lane"]) == ("submission", "live")
    assert receiver.runs_asked_for == 1


def test_the_example_with_another_secret_is_refused(receiver: Receiver) -> None:
    """HubSpot's secret doesn't open this endpoint either."""
    for secret in ("wrong", CLIENT_SECRET):
        done = run_example(receiver, secret)
        assert (done.returncode, done.stdout) == (22, '{"error":"signature_wrong"}')
    assert receiver.staged() == {}


def test_the_documented_example_of_standard_webhooks_works(receiver: Receiver) -> None:
    """The official library signs, with the new or the previous secret; with another one it is refused."""
    command = (sys.executable, "-c", example("python", "standardwebhooks"))
    for secret in STANDARD_SECRETS:
        done = run_example(receiver, secret, command)
        assert done.stdout == '202 {"accepted":1}\n', done.stderr
    assert list(receiver.staged()) == ["501"]
    done = run_example(receiver, "whsec_" + "A" * 32, command)
    assert done.stdout == '401 {"error":"signature_wrong"}\n', done.stderr


def send_standard(receiver: Receiver, message: str, body: str) -> httpx.Response:
    now = datetime.now(UTC)
    headers = {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": "v1,AAAA " + Webhook(STANDARD_SECRETS[0]).sign(message, now, body),
    }
    return receiver.http.post("/contacts", content=body, headers=headers)


def test_a_message_that_is_delivered_again_queues_nothing_twice(receiver: Receiver) -> None:
    """The answer is the same, even if the contact was enriched meanwhile; the same id with other contacts is new."""
    body = '[{"crm_id": "501"}, {"crm_id": "502"}]'
    assert send_standard(receiver, "msg_1", body).json() == {"accepted": 2}
    with receiver.warehouse._transaction() as session:
        session.execute("DELETE FROM enrichment_staging")  # as a run does at its end
    assert send_standard(receiver, "msg_1", body).json() == {"accepted": 2}
    assert (receiver.staged(), receiver.runs_asked_for) == ({}, 1)
    assert send_standard(receiver, "msg_1", '{"crm_id": "503"}').json() == {"accepted": 1}
    assert send_standard(receiver, "msg_2", '{"crm_id": "501"}').json() == {"accepted": 1}
    assert sorted(receiver.staged()) == ["501", "503"]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"X-Enrichment-Signature": ""}, "signature_missing"),
        ({"X-Enrichment-Timestamp": ""}, "timestamp_missing"),
        ({"X-Enrichment-Timestamp": "99999999999"}, "timestamp_in_the_future"),
        ({"X-Enrichment-Timestamp": "1690000001"}, "timestamp_too_old"),
        ({"X-Enrichment-Timestamp": "1.5"}, "timestamp_unreadable"),
    ],
)
def test_what_is_not_signed_rightly_is_refused(receiver: Receiver, headers: dict[str, str], reason: str) -> None:
    """401 with a code."""
    answer = receiver.hand_in({"crm_id": "501"}, **headers)
    assert (answer.status_code, answer.json()) == (401, {"error": reason})
    assert receiver.staged() == {}


def test_many_contacts_of_several_crms(receiver: Receiver) -> None:
    """A list is taken whole; each contact waits once in its CRM."""
    contacts = [{"crm_id": str(number)} for number in range(1, 1000)] + [
        {"crm_id": "003D000000QV9n2", "crm": "salesforce"}
    ]
    answer = receiver.hand_in(contacts)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1000})
    assert receiver.hand_in(contacts[:10]).status_code == 202
    rows = receiver.staged()
    assert len(rows) == 1000
    assert rows["003D000000QV9n2IAD"]["crm"] == "salesforce"


def test_what_is_wrong_is_said_without_the_values(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """422 names the places; neither the answer nor the log has what was given, and nothing is staged."""
    with caplog.at_level(logging.DEBUG):
        answer = receiver.hand_in([{"crm_id": "501"}, {"crm_id": "1" * 300}, {"crm_id": "1", "email": "m4rk3r@x"}])
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "invalid_contacts",
        "flaws": [
            {"where": "1.crm_id", "what": "String should have at most 200 characters"},
            {"where": "2.email", "what": "Value error, must be an e-mail address"},
        ],
    }
    assert "m4rk3r" not in answer.text + caplog.text
    assert receiver.staged() == {}


def test_too_many_a_second_are_answered_with_when_to_retry(make_receiver: MakeReceiver) -> None:
    """429 with Retry-After, while HubSpot's deliveries are let in; who isn't signed uses nothing up."""
    receiver = make_receiver(per_second=0.001)
    assert receiver.hand_in({"crm_id": "0"}, **{"X-Enrichment-Signature": "sha256=0"}).status_code == 401
    assert receiver.hand_in({"crm_id": "1"}).status_code == 202
    answer = receiver.hand_in({"crm_id": "2"})
    assert (answer.status_code, answer.json()) == (429, {"error": "too_many_per_second"})
    assert 900 < int(answer.headers["Retry-After"]) <= 1001
    assert receiver.deliver(creation(3)).status_code == 200
    assert sorted(receiver.staged()) == ["1", "3"]
