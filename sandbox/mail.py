"""A mail server that keeps what it is sent."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from sandbox.clock import Clock
from sandbox.settings import MailSettings


@dataclass(frozen=True, slots=True)
class Mail:
    """A message as delivered."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    body: str
    at: float
    attachments: tuple[tuple[str, str], ...] = ()


class Mailbox:
    """The mail of all recipients."""

    def __init__(self, settings: MailSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._messages: list[Mail] = []

    @property
    def messages(self) -> list[Mail]:
        """What was delivered, oldest first."""
        return list(self._messages)

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)

    def deliver(self, envelope: Envelope) -> str:
        """Take a message, and return what the server says."""
        if self.settings.refuse:
            return "554 5.7.1 Refused by the sandbox"
        message = message_from_bytes(envelope.original_content or b"", policy=default)
        self._messages.append(
            Mail(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                subject=str(message["subject"] or ""),
                body=_text_of(message),
                at=self._clock.seconds(),
                attachments=tuple(_files_of(message)),
            )
        )
        return "250 Message accepted for delivery"


def smtp_protocol(handler: Any) -> SMTP:
    """Return the protocol of one connection; any login is good."""
    return SMTP(
        handler,
        hostname="sandbox.test",
        enable_SMTPUTF8=True,
        auth_require_tls=False,
        authenticator=_let_in,
    )


def _let_in(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, _data: Any) -> AuthResult:
    return AuthResult(success=True)


def _files_of(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for part in message.iter_attachments():
        yield str(part.get_filename()), str(part.get_content())


def _text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    return str(part.get_content()) if part else ""
