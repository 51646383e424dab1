"""E-mail through an SMTP server."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.calls.tls import check_unencrypted
from blocks.notifiers.base import Attachment, Notifier, NotifierBlock
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError, TransientError
from enrichment.messages import html_text, plain_text


class Email(NotifierBlock):
    """
    Mailboxes, reached through an SMTP server.

    Example:
        Notify a mailbox::

            Email(host="smtp.example.com", sender="enrich@example.com", recipients="revops@example.com").save("default")
    """

    _block_type_name = "E-mail Notifier"
    _description = "Sends an e-mail when contact enrichment needs attention."
    _documentation_url = HttpUrl("https://docs.python.org/3/library/smtplib.html")
    vendor: ClassVar[str] = "email"
    asked: ClassVar[tuple[str, ...]] = ("host", "username", "password", "sender", "recipients")
    optional: ClassVar[frozenset[str]] = frozenset({"username", "password"})

    host: str = Field(default="", description="Name of the SMTP server.")
    port: int = Field(default=587, ge=1, le=65535, description="Port of the SMTP server.")
    security: str = Field(
        default="starttls",
        pattern="^(starttls|tls|none)$",
        description="One of `starttls`, `tls` and, for a server on this machine, `none`.",
    )
    username: str = Field(default="", description="User of the SMTP server; empty for none.")
    password: SecretStr | None = Field(
        default=None, description="Password of that user, or the name of a secret block that holds it."
    )
    sender: str = Field(default="", description="Sender address of the message.")
    recipients: str = Field(default="", description="Recipient addresses of the message, comma-separated.")
    timeout_seconds: float = Field(default=20.0, gt=0, description="How long to wait for the server.")

    def get_notifier(self) -> Notifier:
        """Return the adapter."""
        for name in ("host", "sender", "recipients"):
            if not getattr(self, name):
                raise ConfigurationError(f"ENRICHMENT_EMAIL_{name.upper()} is not set")
        if self.security == "none":
            check_unencrypted(self.host, "ENRICHMENT_EMAIL_SECURITY=none")
        return EmailNotifier(self)


class EmailNotifier:
    """Sends one message per alert, as text and as HTML."""

    name = "email"

    def __init__(self, settings: Email) -> None:
        self._settings = settings

    def send(self, subject: str, body: str, attachment: Attachment | None = None) -> None:
        """Send the message to all recipients."""
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, self._settings.sender, self._settings.recipients
        message.set_content(plain_text(body))
        message.add_alternative(html_text(body), subtype="html")
        if attachment:
            message.add_attachment(
                attachment.text, subtype=attachment.media_type.rpartition("/")[2], filename=attachment.name
            )
        with self._connected() as server:
            server.send_message(message)

    def check(self) -> str:
        """Sign in and say who answers."""
        with self._connected() as server:
            server.noop()
        return f"email server {self._settings.host} answers"

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        try:
            with self._connect() as server:
                self._sign_in(server)
                yield server
        except smtplib.SMTPAuthenticationError:
            raise ConfigurationError("the mail server refuses the sign-in: check ENRICHMENT_EMAIL_USERNAME") from None
        except UnicodeError:
            raise ConfigurationError("host, user or password holds a character that SMTP can't carry") from None
        except (smtplib.SMTPException, OSError) as error:
            raise TransientError(f"the mail server can't deliver the message ({type(error).__name__})") from None

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        if settings.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_seconds, context=context)
        return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds)

    def _sign_in(self, server: smtplib.SMTP) -> None:
        if self._settings.security == "starttls":
            server.starttls(context=ssl.create_default_context())
        if self._settings.username:
            server.login(self._settings.username, reveal(self._settings.password, "ENRICHMENT_EMAIL_PASSWORD"))
