"""
One `ask`: batches, concurrent and paced, each repeated, halved or settled as its answer says.

Whatever an answer holds is in the journal before anything else is made of it. Once an answer says that every further
call would end the same way, the calls not yet made aren't made.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from blocks.calls.loop import Purpose, Unanswered, make_call_async
from blocks.calls.messages import Answer, Call
from blocks.providers.base import Reply, Request
from blocks.providers.http.channel import AskingStoppedError, Channel, Options, Shared
from blocks.providers.http.interpret import (
    CUT,
    UNREADABLE,
    Meaning,
    in_doubt,
    item_replies,
    miscounted,
    raw_replies,
    request_id,
    same_replies,
    settled_replies,
)
from blocks.providers.http.keeper import Keep, Keeper
from blocks.providers.http.narrowing import refused_among
from blocks.providers.http.request import build_call, provider_input
from blocks.providers.http.steps import Action, Step, next_step, trouble_of_answer, wait_of_pending
from blocks.providers.spec.model import ProviderSpec
from enrichment.errors import ConfigurationError, EnrichmentError, PostponedError, RunStoppedError, TransientError
from enrichment.records import CONCLUSIVE, STOPS_RUN, Outcome
from enrichment.retry import ONCE, SHARED_FAULTS, Fault, Trouble, Verdict
from enrichment.stops import CREDENTIALS_REJECTED

logger = logging.getLogger(__name__)

#: So many parts of a divided batch may fail in a row before it isn't divided further.
_MOST_IN_VAIN = 8

#: After so many paid answers in a row that can't be read, no more are paid for until one call shows that it is over.
_MOST_UNREADABLE = 3
_UNREADABLE_WAIT_SECONDS = 300.0


@dataclass(slots=True)
class Division:
    """
    What is learnt while a batch that failed twice is repeated in parts.

    Args:
        in_vain: how many parts in a row failed; if none passes, it is the provider that fails.
        passed: whether any part passed.
        alone: keys of the contacts that failed alone.
    """

    in_vain: int = 0
    passed: bool = False
    alone: set[str] = field(default_factory=set)


class Asking:
    """
    The state of one `ask`.

    Args:
        spec: the spec of the provider.
        options: the options of the user.
        shared: what this process shares.
        keep: makes replies durable.
        refusal: says why no call is to be made, if so.
    """

    def __init__(
        self, spec: ProviderSpec, options: Options, shared: Shared, keep: Keep, refusal: Callable[[], str]
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._batch_size = options.batch_size
        self._min_confidence = options.min_confidence
        self._channel = Channel(spec, options, shared, refusal)
        self._keeper = Keeper(keep, shared)
        #: The reply to every request that is no longer sent.
        self._stop: Reply | None = None
        #: Whether requests of our form pass at all; None while that isn't known.
        self._form_passes: bool | None = None
        self._probing = asyncio.Lock()
        #: What is kept of answers that can't be read, by request key.
        self._unread: dict[str, Reply] = {}
        #: Keys of requests whose last answer was lost.
        self._lost: set[str] = set()

    async def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return one reply for each request."""
        size = self._batch_size
        groups = [requests[start : start + size] for start in range(0, len(requests), size)]
        if self._shared.unreadable < _MOST_UNREADABLE:
            return await self._ask_all(groups)
        # Perhaps a page that says that the service is down: one call shows if it still is.
        return [*await self._ask_all(groups[:1]), *await self._ask_all(groups[1:])]

    async def _ask_all(
        self, groups: Sequence[Sequence[Request]], attempt: int = 1, division: Division | None = None
    ) -> list[Reply]:
        # Exceptions wait for the other groups: their answers are under way and may be paid for.
        found = await asyncio.gather(
            *(self._ask_group(group, attempt, division) for group in groups), return_exceptions=True
        )
        replies: list[Reply] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            replies.extend(one)
        return replies

    async def _ask_group(self, group: Sequence[Request], attempt: int, division: Division | None = None) -> list[Reply]:
        try:
            outcome = await self._call(group, attempt)
        except (AskingStoppedError, RunStoppedError, ConfigurationError, TransientError) as error:
            return await self._booked(group, self._not_called(group, error))
        if not isinstance(outcome, Unanswered):
            if division and outcome[1].action is Action.READ:
                division.in_vain, division.passed = 0, True
            return await self._follow(outcome[1], group, outcome[0], attempt, division)
        if division:
            division.in_vain += 1
            if len(group) == 1 and not self._billed_again(group[0]):
                division.alone.add(group[0].key)
        return await self._divide(group, outcome, division) or await self._give_up(group, outcome)

    def _billed_again(self, one: Request) -> bool:
        """Return whether another call for a contact could be billed a second time, since an answer was lost."""
        return one.key in self._lost and not self._spec.credits.billing_idempotent

    def _not_called(self, group: Sequence[Request], error: Exception) -> list[Reply]:
        """Return the replies of a call that isn't made, or not once more."""
        if isinstance(error, AskingStoppedError):
            return self._stopped(group, str(error))
        if isinstance(error, PostponedError):
            return same_replies(group, Meaning(Outcome.RETRYABLE, "postponed"), error.seconds)
        if isinstance(error, TransientError):
            return same_replies(group, Meaning(Outcome.RETRYABLE, "no_token"))
        logger.error("credentials_unusable provider=%s error=%s", self._spec.id, error)
        self._halt(Reply("", Outcome.REJECTED, reason=CREDENTIALS_REJECTED, stop=CREDENTIALS_REJECTED))
        return self._stopped(group)

    async def _booked(self, group: Sequence[Request], replies: list[Reply]) -> list[Reply]:
        """Keep what an answer may have cost that was lost, if none has come since."""
        lost = any(one.key in self._lost for one in group)
        return await self._kept(in_doubt(self._spec, group, replies)) if lost else replies

    async def _divide(
        self, group: Sequence[Request], outcome: Unanswered, division: Division | None
    ) -> list[Reply] | None:
        """Repeat a call that failed in parts, until what makes it fail stands alone; None if that can't help."""
        divides = 0 < outcome.trouble.divides <= outcome.attempt
        if len(group) == 1 or outcome.verdict is Verdict.POSTPONE or not divides:
            return None
        learnt = division or Division()
        replies: list[Reply] = []
        for part in _halves(group):  # one after the other, so that a provider that is down is noticed soon
            in_vain = learnt.in_vain >= _MOST_IN_VAIN
            call = self._give_up(part, outcome) if in_vain else self._ask_group(part, outcome.attempt + 1, learnt)
            replies += await call
        return replies if division or not learnt.passed else await self._confirm(group, replies, outcome, learnt)

    async def _confirm(
        self, group: Sequence[Request], replies: list[Reply], outcome: Unanswered, learnt: Division
    ) -> list[Reply]:
        """Call once more for those that failed alone; one that fails again, while others pass, will always fail."""
        suspects = [one for one in group if one.key in learnt.alone]
        again = Division()
        known = await self._ask_all([[one] for one in suspects], outcome.attempt + 1, again)
        named = {one.key: replace(one, final=one.final or one.key in again.alone) for one in known}
        if again.alone:
            logger.warning("contacts_failed_alone provider=%s contacts=%s", self._spec.id, len(again.alone))
        return [named.get(one.key, one) for one in replies]

    async def _give_up(self, group: Sequence[Request], outcome: Unanswered) -> list[Reply]:
        # The server's own wait isn't the contacts' fault and costs them no attempt.
        trouble = outcome.trouble
        wait = trouble.wait_seconds if trouble.fault in SHARED_FAULTS else None
        if all(one.key in self._unread for one in group):
            return [replace(self._unread.pop(one.key), wait_seconds=wait) for one in group]
        meaning = Meaning(Outcome.RETRYABLE, trouble.what)
        replies = same_replies(group, meaning, wait, call=trouble.request_id)
        return await self._booked(group, replies)

    async def _call(
        self, group: Sequence[Request], attempt: int = 1, *, probes: bool = False, among: Sequence[str] | None = None
    ) -> tuple[Answer, Step] | Unanswered:
        """
        Call the provider for some contacts.

        Args:
            group: the requests of one call.
            attempt: the number of the first attempt.
            probes: whether it is a free call on which others wait, so that it is made once and before them.
            among: the output fields to ask for; None for all that the account has.

        Returns:
            a whole answer with what follows from it, unless that is a repetition; or how the call failed.
        """
        named = [provider_input(self._spec, one.lookup_input) for one in group]
        fields: list[str] = []

        def build() -> Call:
            fields[:] = self._fields if among is None else among
            return build_call(self._spec, named, fields, self._min_confidence)

        async def send(grant: str) -> Answer | Trouble:
            outcome = await self._channel.send(build, grant)
            if isinstance(outcome, Trouble) and outcome.fault is Fault.LOST_ANSWER:
                self._lost.update(one.key for one in group)
            elif isinstance(outcome, Answer) and outcome.success:
                self._lost.difference_update(one.key for one in group)
            return outcome

        async def judge(answer: Answer) -> tuple[Answer, Step] | Trouble:
            step = next_step(self._spec, answer, fields)
            self._log(answer, step, len(group))
            if step.action is not Action.REPEAT:
                return answer, step
            if answer.success and not probes:
                raw = await self._kept(raw_replies(self._spec, group, answer))
                self._unread.update({one.key: one for one in raw})
                self._note_unreadable(raw)
            return trouble_of_answer(self._spec, answer, step, len(group), datetime.now(UTC))

        form = self._spec.request
        purpose = Purpose(f"{form.method} {form.path}", policy=ONCE if probes else None, attempt=attempt)
        return await make_call_async(
            self._channel.line,
            purpose,
            send,
            judge,
            partial(self._channel.gate, urgent=probes),
            self._channel.pause,
        )

    def _note_unreadable(self, raw: Sequence[Reply]) -> None:
        """Make no further call for now if one paid answer after the other can't be read."""
        self._shared.unreadable += any(one.doubt for one in raw)
        if self._shared.unreadable >= _MOST_UNREADABLE:
            self._halt(Reply("", Outcome.RETRYABLE, reason="answers_unreadable", wait_seconds=_UNREADABLE_WAIT_SECONDS))

    async def _follow(
        self, step: Step, group: Sequence[Request], answer: Answer, attempt: int, division: Division | None
    ) -> list[Reply]:
        match step.action:
            case Action.READ:
                self._form_passes, self._shared.unreadable = True, 0
                if len(group) > 1 and miscounted(self._spec, answer, len(group)):
                    return await self._one_by_one(group, answer, attempt)
                return await self._kept(item_replies(self._spec, group, answer))
            case Action.DROP_FIELDS:
                self._drop(step.fields)
                return await self._ask_group(group, attempt, division)
            case Action.SPLIT if len(group) > 1:
                return await self._ask_all(_halves(group), attempt, division)
            case Action.DOUBT:
                return await self._doubt(step, group, answer, attempt)
            case _:
                pending = step.meaning.outcome is Outcome.PENDING
                wait = wait_of_pending(answer, datetime.now(UTC)) if pending else None
                return await self._kept(settled_replies(self._spec, group, answer, step.meaning, wait))

    async def _one_by_one(self, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        logger.warning("items_miscounted provider=%s contacts=%s", self._spec.id, len(group))
        await self._kept(raw_replies(self._spec, group, answer))
        return await self._ask_all([[one] for one in group], attempt)

    async def _kept(self, replies: list[Reply]) -> list[Reply]:
        self._stop_if_final(replies)  # before anything is awaited, so that no other task makes a call meanwhile
        worth_keeping = [
            one
            for one in replies
            if one.outcome in CONCLUSIVE or one.body is not None or one.credits > 0 or one.doubt > 0
        ]
        try:
            await self._keeper.keep(worth_keeping)
        except BaseException:
            # Nothing more may be bought that can't be kept.
            self._halt(Reply("", Outcome.RETRYABLE, reason="journal_failed"))
            raise
        if any(one.reason in {UNREADABLE, CUT} for one in replies):
            logger.warning("answer_unreadable provider=%s request_id=%s", self._spec.id, replies[0].request_id)
        return replies

    def _stop_if_final(self, replies: Sequence[Reply]) -> None:
        stop = next((one for one in replies if one.outcome in STOPS_RUN), None)
        if stop:
            self._halt(Reply("", stop.outcome, reason=stop.reason, stop=stop.stop))

    def _stopped(self, group: Sequence[Request], refusal: str = "") -> list[Reply]:
        stop = self._stop or Reply("", Outcome.RETRYABLE, reason=refusal or "stopped", wait_seconds=0.0)
        return [replace(stop, key=one.key) for one in group]

    def _halt(self, stop: Reply) -> None:
        if self._stop is None:
            self._stop = stop
            self._channel.stop()
            logger.error(
                "provider_calls_stopped provider=%s outcome=%s reason=%s", self._spec.id, stop.outcome, stop.reason
            )

    @property
    def _fields(self) -> list[str]:
        return [name for name in self._spec.output_fields.names if name not in self._shared.dropped]

    async def _doubt(self, step: Step, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        async with self._probing:
            if self._form_passes is None:
                with self._channel.paused():  # a wrong form isn't sent forty times
                    passes = await self._probe()
                    self._form_passes = await self._narrow() if passes is False else passes
        if not self._shared.dropped.isdisjoint(step.fields):  # by now it is known which of them are refused
            return await self._ask_group(group, attempt)
        if self._form_passes is None:  # stopped meanwhile, or the free call failed for another reason
            open_end = Meaning(Outcome.RETRYABLE, step.meaning.reason)
            return self._stopped(group) if self._stop else same_replies(group, open_end)
        if self._form_passes and len(group) > 1 and answer.status in self._spec.batch.split_on:
            return await self._ask_all(_halves(group), attempt)
        blame_contact = self._form_passes and len(group) == 1
        meaning = Meaning(Outcome.INVALID_INPUT, step.meaning.reason) if blame_contact else step.meaning
        return await self._kept(settled_replies(self._spec, group, answer, meaning))

    async def _narrow(self) -> bool | None:
        """Drop the output fields that keep the free call from passing, and return whether it does without them."""
        try:
            refused = await refused_among(self._fields, self._passes_with) if len(self._fields) > 1 else []
        except TransientError:
            return None
        if refused:
            self._drop(refused)
        return bool(refused)

    async def _passes_with(self, fields: Sequence[str]) -> bool:
        passes = await self._probe(fields)
        if passes is None:
            raise TransientError("the free call failed for another reason")
        return passes

    async def _probe(self, among: Sequence[str] | None = None) -> bool | None:
        """Return, by a free call, whether requests of our form pass at all; None if it fails otherwise."""
        try:
            outcome = await self._call([Request("", self._spec.request.probe or {})], probes=True, among=among)
        except (AskingStoppedError, EnrichmentError):
            return None
        if isinstance(outcome, Unanswered):
            return None
        step = outcome[1]
        if step.action is Action.DROP_FIELDS and among is None:
            self._drop(step.fields)
            return await self._probe()
        if step.action in {Action.DOUBT, Action.DROP_FIELDS}:
            return False
        passed = step.action is Action.READ or (step.action is Action.SETTLE and step.meaning.outcome in CONCLUSIVE)
        return True if passed else None

    def _drop(self, fields: Sequence[str]) -> None:
        self._shared.dropped.update(fields)
        logger.warning("output_fields_dropped provider=%s fields=%s", self._spec.id, ",".join(fields))

    def _log(self, answer: Answer, step: Step, contacts: int) -> None:
        level = logging.DEBUG if step.action is Action.READ else logging.WARNING
        logger.log(
            level,
            "provider_answered provider=%s status=%s contacts=%s next=%s reason=%s request_id=%s",
            self._spec.id,
            answer.status,
            contacts,
            step.action,
            step.meaning.reason,
            request_id(self._spec, answer),
        )


def _halves(group: Sequence[Request]) -> list[Sequence[Request]]:
    middle = (len(group) + 1) // 2
    return [group[:middle], group[middle:]]
