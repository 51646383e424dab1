"""Slack through an incoming webhook."""

from typing import ClassVar

import httpx
from pydantic import Field, HttpUrl, SecretStr

from blocks.calls.tls import check_address, tls
from blocks.notifiers.base import Attachment, Notifier, NotifierBlock
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError, TransientError
from enrichment.messages import slack_text


class Slack(NotifierBlock):
    """
    A Slack channel, reached by an incoming webhook.

    Example:
        Notify a channel::

            Slack(webhook_url="block:secret/slack-webhook").save("default")
    """

    _block_type_name = "Slack Notifier"
    _description = "Alerts a Slack channel when contact enrichment needs attention."
    _documentation_url = HttpUrl("https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks")
    vendor: ClassVar[str] = "slack"
    asked: ClassVar[tuple[str, ...]] = ("webhook_url",)

    webhook_url: SecretStr | None = Field(
        default=None, description="URL of the incoming webhook, or the name of a secret block that holds it."
    )
    timeout_seconds: float = Field(default=10.0, gt=0, description="How long to wait for Slack.")

    def get_notifier(self) -> Notifier:
        """Return the adapter."""
        url = reveal(self.webhook_url, "ENRICHMENT_SLACK_WEBHOOK_URL")
        check_address(url, "ENRICHMENT_SLACK_WEBHOOK_URL")
        return SlackNotifier(url, self.timeout_seconds)


class SlackNotifier:
    """Posts one text per message."""

    name = "slack"

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self.url = url
        self._timeout_seconds = timeout_seconds

    def send(self, subject: str, body: str, attachment: Attachment | None = None) -> None:  # noqa: ARG002
        """Post the message; the URL is a secret, so it stays out of every error."""
        try:
            message = {"text": slack_text(subject, body)}
            answer = httpx.post(self.url, json=message, timeout=self._timeout_seconds, verify=tls())
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise TransientError(f"Slack can't be reached ({type(error).__name__})") from None
        if answer.status_code in {301, 302, 303, 307, 308, 400, 403, 404, 410}:
            raise ConfigurationError(
                f"Slack refuses the webhook ({answer.status_code}): check ENRICHMENT_SLACK_WEBHOOK_URL"
            )
        if not answer.is_success:
            raise TransientError(f"Slack answered {answer.status_code}")

    def check(self) -> str:
        """Say that a webhook is set: Slack has no call that tests one without posting."""
        return "slack has a webhook; it can't be tested without posting a message"
