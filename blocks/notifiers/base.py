"""The seam to the team: one message, by every notifier that is configured."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from blocks import events
from blocks.base import PipelineBlock, block_class, configure
from blocks.log import event
from enrichment.errors import cause
from enrichment.plan import Reference


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text file that goes with a message where the channel carries files."""

    name: str
    media_type: str
    text: str


class Notifier(Protocol):
    """One way to reach the team."""

    name: str

    def send(self, subject: str, body: str, attachment: Attachment | None = None) -> None:
        """
        Deliver a message; a channel that carries no files leaves the attachment out.

        Raises TransientError or ConfigurationError if it can't be delivered.
        """

    def check(self) -> str:
        """Say in one line whether a message could be delivered, without sending one."""


class NotifierBlock(PipelineBlock):
    """Configuration of a way to reach the team."""

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


def notify(
    subject: str, body: str, notifiers: Sequence[str], *, kind: str, attachment: Attachment | None = None
) -> int:
    """
    Send a message by each notifier, and return how many took it.

    A notifier that fails is logged and stops nothing: the others send the message.
    """
    sent = 0
    for reference in notifiers:
        try:
            load_notifier(reference).send(subject, body, attachment)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a notifier
            event("message_not_delivered", notifier=reference, kind=kind, error=cause(error))
        else:
            sent += 1
            event("message_sent", notifier=reference, kind=kind)
    events.emit(events.MESSAGE_EVENT, events.resource("message", kind), notifiers=len(notifiers), delivered=sent)
    return sent
