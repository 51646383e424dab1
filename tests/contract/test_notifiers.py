"""Every way to reach the team, against a real server of its kind on the loopback."""

import json
import socket
import threading
import traceback
from collections.abc import Iterator, Mapping
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from prefect.blocks.notifications import CustomWebhookNotificationBlock, MattermostWebhook
from prefect.blocks.system import Secret

from blocks.base import module_names, variable_prefix
from blocks.notifiers.base import Notifier, load_notifier
from enrichment.errors import ConfigurationError, TransientError

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),  # one notifier is kept there whole
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS"),
]

SECRET = "s3cr3t-v4lue"
SUBJECT = "Contact enrichment: 2.0 % of 1000 records failed, bitte prüfen: Größe"
BODY = "17 x status_500 at look_up\n3 x bad_value at write_back\n.\nSchöne Grüße 株式会社"


class StandIn(Protocol):
    """A server of one vendor's kind; `refusals` are the ways in which it, or its settings, can go wrong."""

    refusals: ClassVar[Mapping[str, type[Exception]]]
    received: list[str]

    def environment(self) -> dict[str, str]:
        """Return the settings that lead here."""

    def refuse(self, how: str) -> dict[str, str]:
        """Go wrong in this way from now on, and return the settings that differ."""

    def close(self) -> None:
        """Stop serving."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SlackStandIn:
    """Slack's end of an incoming webhook."""

    refusals: ClassVar[Mapping[str, type[Exception]]] = {
        "400": ConfigurationError,
        "403": ConfigurationError,
        "404": ConfigurationError,
        "410": ConfigurationError,
        "302": ConfigurationError,
        "429": TransientError,
        "500": TransientError,
        "503": TransientError,
        "down": TransientError,
        "hangs": TransientError,
        "no scheme": TransientError,
        "no URL": TransientError,
    }

    def __init__(self) -> None:
        self.received: list[str] = []
        self.status = 200
        self.awake = threading.Event()
        self.awake.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stand_in.awake.wait()
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if stand_in.status == 200 and self.headers["Content-Type"] == "application/json":
                    stand_in.received.append(json.loads(content)["text"])
                self.send_response(stand_in.status)
                self.send_header("Location", "/login")
                self.end_headers()
                self.wfile.write(b"ok" if stand_in.status == 200 else b"invalid_token")

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _url(self, port: int) -> dict[str, str]:
        return {"ENRICHMENT_SLACK_WEBHOOK_URL": f"http://127.0.0.1:{port}/services/T0/B0/{SECRET}"}

    def environment(self) -> dict[str, str]:
        return self._url(self._server.server_port)

    def refuse(self, how: str) -> dict[str, str]:
        match how:
            case "down":
                return self._url(free_port())
            case "hangs":
                self.awake.clear()
                return {"ENRICHMENT_SLACK_TIMEOUT_SECONDS": "0.01"}
            case "no scheme":
                return {"ENRICHMENT_SLACK_WEBHOOK_URL": f"hooks.slack.com/services/{SECRET}"}
            case "no URL":
                return {"ENRICHMENT_SLACK_WEBHOOK_URL": f"https://[{SECRET}"}
            case _:
                self.status = int(how)
                return {}

    def close(self) -> None:
        self.awake.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class EmailStandIn:
    """A mail server that asks for a password, and can refuse at each step."""

    refusals: ClassVar[Mapping[str, type[Exception]]] = {
        "wrong password": ConfigurationError,
        "missing password": ConfigurationError,
        "password that SMTP can't carry": ConfigurationError,
        "no TLS": TransientError,
        "not the TLS port": TransientError,
        "sender": TransientError,
        "recipient": TransientError,
        "message": TransientError,
        "down": TransientError,
        "no host": ConfigurationError,
    }
    _refusing = ""

    def __init__(self) -> None:
        self.received: list[str] = []
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            auth_required=True,
            auth_require_tls=False,
        )
        self._controller.start()

    @staticmethod
    def _authenticate(*given: Any) -> AuthResult:
        return AuthResult(success=given[-1].password == SECRET.encode(), handled=False)

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802 aiosmtpd
        envelope.mail_from = address
        return f"550 no, {SECRET}" if self._refusing == "sender" else "250 OK"

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802 aiosmtpd
        envelope.rcpt_tos.append(address)
        return f"550 no, {SECRET}" if self._refusing == "recipient" else "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:  # noqa: N802 aiosmtpd
        if self._refusing == "message":
            return f"554 no, {SECRET}"
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        text, page = message.iter_parts()
        assert page.get_content_type() == "text/html"
        self.received.append(f"{message['Subject']}\n{text.get_content()}")
        assert envelope.rcpt_tos == ["a@example.com", "b@example.com"]
        return "250 OK"

    def environment(self) -> dict[str, str]:
        settings = {
            "host": "127.0.0.1",
            "port": str(self._controller.port),
            "security": "none",
            "username": "ada",
            "password": SECRET,
            "sender": "enrich@example.com",
            "recipients": "a@example.com, b@example.com",
        }
        return {f"ENRICHMENT_EMAIL_{name.upper()}": value for name, value in settings.items()}

    def refuse(self, how: str) -> dict[str, str]:
        self._refusing = how
        differing = {
            "wrong password": {"password": f"not {SECRET}"},
            "missing password": {"password": ""},
            "password that SMTP can't carry": {"password": f"{SECRET}ä"},
            "no TLS": {"security": "starttls"},
            "not the TLS port": {"security": "tls"},
            "down": {"port": str(free_port())},
            "no host": {"host": f"{'x' * 64}.invalid"},
        }
        return {f"ENRICHMENT_EMAIL_{name.upper()}": value for name, value in differing.get(how, {}).items()}

    def close(self) -> None:
        self._controller.stop()


class NotificationBlockStandIn(SlackStandIn):
    """A webhook of one's own, to which a notification block in Prefect leads."""

    refusals: ClassVar[Mapping[str, type[Exception]]] = {
        **SlackStandIn.refusals,
        "no scheme": ConfigurationError,
        "no URL": ConfigurationError,
        "no such block": ConfigurationError,
        "no notification block": ConfigurationError,
        "no block name": ConfigurationError,
    }

    def _saved(self, name: str, url: str, timeout: float = 10.0) -> dict[str, str]:
        CustomWebhookNotificationBlock(
            name=name,
            url=f"{url}/{{{{path}}}}",
            json_data={"text": "{{subject}}\n{{body}}"},
            secrets={"path": SECRET},
            timeout=timeout,
        ).save(name, overwrite=True)
        return {"ENRICHMENT_NOTIFICATION_BLOCK_REFERENCE": f"custom-webhook/{name}"}

    def _url(self, port: int) -> dict[str, str]:
        return self._saved("ops", f"http://127.0.0.1:{port}/services")

    def refuse(self, how: str) -> dict[str, str]:
        match how:
            case "hangs":
                self.awake.clear()
                return self._saved("hanging", f"http://127.0.0.1:{self._server.server_port}", timeout=0.01)
            case "no scheme":
                return self._saved("no-scheme", "hooks.example.com")
            case "no URL":
                return self._saved("no-url", "https://hooks.example.com:port")
            case "no such block" | "no block name":
                absent = "custom-webhook/nobody" if how == "no such block" else "custom-webhook"
                return {"ENRICHMENT_NOTIFICATION_BLOCK_REFERENCE": absent}
            case "no notification block":
                Secret(value=SECRET).save("no-notifier", overwrite=True)
                return {"ENRICHMENT_NOTIFICATION_BLOCK_REFERENCE": "secret/no-notifier"}
            case _:
                return super().refuse(how)


#: A new notifier needs a stand-in here, or this suite fails.
STAND_INS: dict[str, type[SlackStandIn] | type[EmailStandIn]] = {
    "slack": SlackStandIn,
    "email": EmailStandIn,
    "notification_block": NotificationBlockStandIn,
}
REFUSALS = [(vendor, how) for vendor, server in STAND_INS.items() for how in server.refusals]


@pytest.fixture
def stand_in(vendor: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Give a server of the vendor's kind, to which the settings lead."""
    server = STAND_INS[vendor]()
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def notifier(vendor: str, stand_in: StandIn) -> Notifier:
    """Give the vendor's notifier as the pipeline loads it."""
    return load_notifier(vendor)


def test_every_notifier_has_a_stand_in() -> None:
    """No way to reach the team goes untested."""
    missing = set(module_names("blocks.notifiers")) - set(STAND_INS)
    assert not missing, f"add a stand-in for {sorted(missing)} to STAND_INS"


@pytest.mark.parametrize("vendor", STAND_INS)
def test_a_message_arrives_whole(vendor: str, stand_in: StandIn, notifier: Notifier) -> None:
    """Subject and body arrive once, letter by letter, in every script."""
    notifier.send(SUBJECT, BODY)
    (text,) = stand_in.received
    assert SUBJECT in text
    assert BODY in text.replace("\r\n", "\n")


@pytest.mark.parametrize("vendor", STAND_INS)
def test_a_check_says_in_one_line_who_answers_and_sends_nothing(
    vendor: str, stand_in: StandIn, notifier: Notifier
) -> None:
    """The doctor can look as often as it likes, and no message is sent."""
    said = notifier.check()
    assert vendor in said.lower()
    assert "\n" not in said
    assert SECRET not in said
    assert stand_in.received == []


@pytest.mark.parametrize(("vendor", "how"), REFUSALS)
def test_a_message_that_can_not_be_delivered_is_an_error_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, vendor: str, stand_in: StandIn, how: str
) -> None:
    """Whatever the other side refuses is said in our own words, and neither the text nor its trace holds a secret."""
    for name, value in stand_in.refuse(how).items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ConfigurationError, TransientError)) as caught:
        load_notifier(vendor).send(SUBJECT, BODY)
    assert type(caught.value) is stand_in.refusals[how]
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert stand_in.received == []


@pytest.mark.parametrize("vendor", STAND_INS)
def test_a_notifier_without_settings_names_what_it_needs(vendor: str) -> None:
    """The message names the variable to set."""
    with pytest.raises(ConfigurationError, match=variable_prefix(vendor)):
        load_notifier(vendor)


@pytest.mark.parametrize("vendor", STAND_INS)
def test_a_notifier_is_named_as_it_is_configured(vendor: str, notifier: Notifier) -> None:
    """A log line's notifier is the name that the setting knows."""
    assert notifier.name == vendor


def test_without_a_user_there_is_no_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user left empty means no sign-in: a server that asks for one refuses the message, not the password."""
    server = EmailStandIn()
    try:
        for name, value in (server.environment() | {"ENRICHMENT_EMAIL_USERNAME": ""}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(TransientError, match="SMTPSenderRefused"):
            load_notifier("email").send(SUBJECT, BODY)
    finally:
        server.close()


def test_a_notification_block_is_named_in_the_reference() -> None:
    """The setting that lists the notifiers can name the block itself, without another setting."""
    server = NotificationBlockStandIn()
    try:
        server.environment()
        load_notifier("notification_block/custom-webhook/ops").send(SUBJECT, BODY)
        assert server.received == [f"{SUBJECT}\n{BODY}"]
    finally:
        server.close()


def test_a_service_behind_apprise_is_notified_and_its_refusal_is_an_error() -> None:
    """Those blocks that Prefect sends through Apprise deliver, and keep no failure to themselves."""
    server = SlackStandIn()  # both services take JSON with a text
    try:
        port = server._server.server_port
        MattermostWebhook(hostname="127.0.0.1", token=SECRET, port=port).save("ops", overwrite=True)
        notifier = load_notifier("notification_block/mattermost-webhook/ops")
        notifier.send(SUBJECT, BODY)
        (text,) = server.received
        assert SUBJECT in text
        assert "17 x status_500" in text
        server.status = 403
        with pytest.raises(TransientError, match="mattermost-webhook/ops") as caught:
            notifier.send(SUBJECT, BODY)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    finally:
        server.close()
