"""What all simulated services have in common."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request
from sandbox.faults import FaultScript
from sandbox.ledger import RequestLog, RequestRecord
from sandbox.settings import ServiceSettings


class Service(ABC):
    """
    A vendor's API below `/<name>`.

    Args:
        clock: of the world.
        faults: that its requests may meet.
    """

    name: str

    def __init__(self, clock: Clock, faults: FaultScript) -> None:
        self.clock = clock
        self.log = RequestLog(clock)
        self._faults = faults

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest requests, oldest first."""
        return self.log.records()

    def answer(self, request: Request) -> Reply:
        """Answer a request, or let the fault happen that it meets."""
        fault = self._faults.take(self.name, request.path, request.body)
        inner = request.below(f"/{self.name}")
        reply = fault.apply(inner, self.handle) if fault else self.handle(inner)
        self.log.note(inner, reply)
        latency = self.options().latency_ms / 1000
        return replace(reply, delay_seconds=reply.delay_seconds + latency) if latency else reply

    @abstractmethod
    def handle(self, request: Request) -> Reply:
        """Answer a request as the vendor would."""

    @abstractmethod
    def options(self) -> ServiceSettings:
        """Return the present settings."""

    @abstractmethod
    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
