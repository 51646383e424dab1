"""The seam to people."""

from typing import ClassVar, Protocol, Self

from blocks.base import PipelineBlock, block_class, configure
from enrichment.plan import Reference


class Notifier(Protocol):
    """One way of telling people."""

    name: str

    def send(self, subject: str, body: str) -> None:
        """Deliver a message; raise TransientError or ConfigurationError if it can't be delivered."""

    def check(self) -> str:
        """Say in one line whether a message could be delivered, without sending one."""


class NotifierBlock(PipelineBlock):
    """Configuration of a way of telling people."""

    kind: ClassVar[str] = "notifier"

    @classmethod
    def named(cls, document: str) -> Self:
        """Return the configuration by the name that it was saved under; empty for the default."""
        return configure(cls, document)

    def get_notifier(self) -> Notifier:
        """Return the adapter."""
        raise NotImplementedError


def load_notifier(reference: str) -> Notifier:
    """Return the notifier that a reference names."""
    parsed = Reference.parse(reference)
    return block_class(__package__, parsed.name, NotifierBlock).named(parsed.document).get_notifier()
