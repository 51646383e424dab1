"""A Slack incoming webhook."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, text_reply
from sandbox.faults import FaultScript
from sandbox.service import Service
from sandbox.settings import SlackSettings

WEBHOOK_PATH = "/services/T0SANDBOX/B0SANDBOX/secret"


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """A message as posted."""

    text: str
    payload: Mapping[str, Any]
    at: float


class Slack(Service):
    """A channel that one webhook posts to."""

    name = "slack"

    def __init__(self, settings: SlackSettings, clock: Clock, faults: FaultScript) -> None:
        super().__init__(clock, faults)
        self.settings = settings
        self._messages: list[SlackMessage] = []

    @property
    def messages(self) -> list[SlackMessage]:
        """What was posted, oldest first."""
        return list(self._messages)

    def options(self) -> SlackSettings:
        """Return the present settings."""
        return self.settings

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        return {"requests": self.log.by_status(), "messages": len(self._messages)}

    def handle(self, request: Request) -> Reply:
        """Take a message."""
        if self.settings.failure == "server_error":
            return text_reply("server_error", 500)
        if self.settings.failure or (request.method, request.path) != ("POST", WEBHOOK_PATH):
            return text_reply("invalid_token", 403)
        return self._take(request)

    def _take(self, request: Request) -> Reply:
        try:
            payload = request.json()
        except ValueError:
            return text_reply("invalid_payload", 400)
        if not isinstance(payload, dict) or not (payload.get("text") or payload.get("blocks")):
            return text_reply("no_text", 400)
        self._messages.append(SlackMessage(str(payload.get("text") or ""), payload, self.clock.seconds()))
        return text_reply("ok")
