"""Slack and mail: what is sent is kept."""

import smtplib
from email.message import EmailMessage

import httpx
import pytest

from sandbox.server import Box


def _mail(box: Box, message: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=10) as server:
        server.send_message(message)


def _message(body: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "enrich@demo.example", "ops@demo.example, boss@demo.example"
    message["Subject"] = "Läuft nicht ✗"
    message.set_content(body)
    return message


def test_slack_keeps_messages(box: Box, http: httpx.Client) -> None:
    """A message is answered with ok, and kept with its whole payload."""
    payload = {"text": "3 % failed", "blocks": [{"type": "divider"}]}
    answer = http.post(box.slack_url, json=payload)
    assert (answer.status_code, answer.text) == (200, "ok")
    (message,) = box.world.slack.messages
    assert (message.text, message.payload) == ("3 % failed", payload)


@pytest.mark.parametrize(("body", "text"), [(b"{", "invalid_payload"), (b"[]", "no_text"), (b"{}", "no_text")])
def test_slack_refuses_what_is_not_a_message(box: Box, http: httpx.Client, body: bytes, text: str) -> None:
    """A broken or empty payload is a 400."""
    answer = http.post(box.slack_url, content=body)
    assert (answer.status_code, answer.text) == (400, text)


@pytest.mark.parametrize(("failure", "status"), [("server_error", 500), ("invalid_token", 403)])
def test_slack_fails_as_set(box: Box, http: httpx.Client, failure: str, status: int) -> None:
    """The webhook can be made to fail."""
    box.configure(slack={"failure": failure})
    assert http.post(box.slack_url, json={"text": "x"}).status_code == status
    assert box.world.slack.messages == []


def test_slack_knows_its_address(box: Box, http: httpx.Client) -> None:
    """Another secret is an invalid token."""
    assert http.post(box.slack_url + "x", json={"text": "x"}).text == "invalid_token"


def test_mail_is_kept(box: Box) -> None:
    """A message is kept with sender, recipients, subject and text, decoded."""
    _mail(box, _message("Grüße aus Köln\n"))
    (mail,) = box.world.mail.messages
    assert (mail.sender, mail.subject) == ("enrich@demo.example", "Läuft nicht ✗")
    assert mail.recipients == ("ops@demo.example", "boss@demo.example")
    assert mail.body.strip() == "Grüße aus Köln"


def test_mail_is_kept_without_text(box: Box) -> None:
    """A message that is only an attachment has no text."""
    message = EmailMessage()
    message["From"], message["To"] = "a@demo.example", "b@demo.example"
    message.add_attachment(b"1", maintype="application", subtype="octet-stream")
    _mail(box, message)
    assert [(mail.subject, mail.body) for mail in box.world.mail.messages] == [("", "")]


def test_any_login_is_good(box: Box) -> None:
    """A client that logs in may do so."""
    with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=10) as server:
        assert server.login("anybody", "anything")[0] == 235


def test_mail_can_be_refused(box: Box) -> None:
    """The server can be made to refuse."""
    box.configure(mail={"refuse": True})
    with pytest.raises(smtplib.SMTPDataError):
        _mail(box, _message("x"))
