"""Telling people, by whichever notifiers are configured."""

from collections.abc import Sequence

from blocks.log import event
from blocks.notifiers.base import load_notifier
from enrichment.errors import EnrichmentError


def tell_people(subject: str, body: str, notifiers: Sequence[str], *, kind: str) -> int:
    """
    Send a message by each notifier, and return how many took it.

    A dead notifier is logged and stops nothing: what there is to tell is told by the others.
    """
    told = 0
    for reference in notifiers:
        try:
            load_notifier(reference).send(subject, body)
        except EnrichmentError as error:
            event("message_not_delivered", notifier=reference, kind=kind, error=str(error))
        else:
            told += 1
            event("message_sent", notifier=reference, kind=kind)
    return told
