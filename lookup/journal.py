"""The asker of a dry run and of a remap: it only reads the journal, and counts what it lacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blocks.log import event
from blocks.providers.base import Asked, Reading, Reply
from blocks.warehouses.base import Warehouse
from enrichment.errors import cause
from enrichment.plan import RunPlan
from enrichment.records import Outcome, Settlement
from lookup.cases import Case, Heard, Known, Pending, reuse_days

#: Why a contact fails whose saved reply our reading trips over.
UNREADABLE = "reply_not_readable"


#: Older than any reply.
_ANY_AGE = {"reply_days": 36_500, "miss_days": 36_500}


def read_journal(
    warehouse: Warehouse, asked: Asked, keys: list[str], plan: RunPlan, *, any_age: bool = False
) -> dict[str, Known]:
    """Return the replies that the journal has, by request key, as today's spec reads them."""
    saved = warehouse.read_replies(asked.name, keys, **(_ANY_AGE if any_age else reuse_days(asked, plan)))
    return {key: Known(key, one.body, one.received_at, _read(asked, one.body)) for key, one in saved.items()}


def _read(asked: Asked, body: Any) -> Reading:
    """Say what a reply means; one that our reading trips over costs its own contact only."""
    try:
        return asked.read(body)
    except Exception as error:  # noqa: BLE001 - whatever a provider has sent, it is kept and paid for
        event("reply_not_readable", provider=asked.name, because=cause(error))
        return Reading(Outcome.RETRYABLE, UNREADABLE, None, None, {})


@dataclass
class JournalReader:
    """
    Answers from the journal.

    Args:
        plan: of the run.
        warehouse: keeps the journal.
        any_age: whether replies are read that a run would no longer use.
        lacking: requests that would have to be paid for, with the credits that each costs at most; each counts once,
            however many contacts share it.
    """

    plan: RunPlan
    warehouse: Warehouse
    any_age: bool = False
    lacking: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def ask(self, _: str, asked: Asked, requests: Mapping[str, Pending]) -> Heard:
        """Return what the journal has of these requests."""
        known = read_journal(self.warehouse, asked, list(requests), self.plan, any_age=self.any_age)
        erased = self.warehouse.read_suppressed(list(requests))
        missing = [key for key in requests if key not in known and key not in erased]
        self.lacking |= {(asked.name, asked.step, key): asked.terms.credits for key in missing}
        return Heard(known, {key: Reply(key, Outcome.RETRYABLE, reason="not_in_journal") for key in missing})

    def settle_missing(self, case: Case, asked: Asked, reply: Reply) -> Settlement | None:  # noqa: ARG002
        """Leave the case open for a run that pays: how it goes on isn't known yet."""
        case.unanswered, case.open = True, False
        return None
