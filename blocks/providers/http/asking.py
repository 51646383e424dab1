"""
One `ask`: batches, concurrent and paced, each repeated, halved or settled as its answer says.

Whatever an answer holds is in the journal before anything else is made of it. Once an answer says that every further
call would end the same way, the calls not yet made aren't made.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx

from blocks.providers.base import CREDENTIALS_REJECTED, Reply, Request
from blocks.providers.http.channel import AskingStoppedError, Channel, Options, Shared
from blocks.providers.http.interpret import Answer, Meaning, miscounted
from blocks.providers.http.replies import (
    UNREADABLE,
    in_doubt,
    item_replies,
    raw_replies,
    request_id,
    same_replies,
    settled_replies,
)
from blocks.providers.http.request import Call, build_call, provider_input
from blocks.providers.http.steps import Action, Step, next_step
from blocks.providers.http.troubles import Trouble, retry_policy, trouble_of_answer, trouble_of_error, wait_of_pending
from blocks.providers.spec.model import ProviderSpec
from enrichment.errors import ConfigurationError, EnrichmentError, RunStoppedError, TransientError
from enrichment.outcomes import CONCLUSIVE, STOPS_RUN, Outcome
from enrichment.retry import SHARED_FAULTS, Fault, RetryDecision, Verdict, decide

logger = logging.getLogger(__name__)

Keep = Callable[[Sequence[Reply]], None]


class Keeper:
    """
    Hands replies to the journal, one call at a time: what comes while a call is under way goes together in the next.

    Args:
        keep: durable when it returns.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._lock = asyncio.Lock()
        self._waiting: list[Reply] = []

    async def keep(self, replies: Sequence[Reply]) -> None:
        """Return when the replies are durable."""
        self._waiting.extend(replies)
        async with self._lock:
            batch, self._waiting = self._waiting, []
            if batch:
                await asyncio.to_thread(self._keep, batch)


class Asking:
    """
    The state of one `ask`.

    Args:
        spec: the provider's.
        options: the user's.
        shared: what this process shares.
        client: the HTTP client.
        keep: makes replies durable.
    """

    def __init__(
        self, spec: ProviderSpec, options: Options, shared: Shared, client: httpx.AsyncClient, keep: Keep
    ) -> None:
        self._spec = spec
        self._shared = shared
        self._batch_size = options.batch_size
        self._channel = Channel(spec, options, shared, client)
        self._keeper = Keeper(keep)
        self._policy = retry_policy(spec)
        self._stop: Meaning | None = None
        #: Whether requests of our form pass at all; None as long as nobody knows.
        self._form_passes: bool | None = None
        self._probing = asyncio.Lock()

    async def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Return one reply for each request."""
        size = self._batch_size
        return await self._ask_all([requests[start : start + size] for start in range(0, len(requests), size)])

    async def _ask_all(self, groups: Sequence[Sequence[Request]], attempt: int = 1) -> list[Reply]:
        # Exceptions wait for the other groups: their answers are under way and may be paid for.
        found = await asyncio.gather(*(self._ask_group(group, attempt) for group in groups), return_exceptions=True)
        replies: list[Reply] = []
        for one in found:
            if isinstance(one, BaseException):
                raise one
            replies.extend(one)
        return replies

    async def _ask_group(self, group: Sequence[Request], attempt: int) -> list[Reply]:
        try:
            call, answer = await self._call([one.lookup_input for one in group])
        except AskingStoppedError:
            return self._stopped(group)
        except (RunStoppedError, ConfigurationError) as error:
            logger.error("credentials_unusable provider=%s error=%s", self._spec.id, error)  # noqa: TRY400  no bug
            self._halt(Meaning(Outcome.REJECTED, CREDENTIALS_REJECTED))
            return self._stopped(group)
        except (TransientError, httpx.HTTPError, TimeoutError) as error:
            return await self._repeat([group], attempt, trouble_of_error(error))
        step = next_step(self._spec, answer, call.output_fields)
        self._log(answer, step, len(group))
        return await self._follow(step, group, answer, attempt)

    async def _call(self, inputs: Sequence[Mapping[str, str]], *, urgent: bool = False) -> tuple[Call, Answer]:
        named = [provider_input(self._spec, one) for one in inputs]
        return await self._channel.exchange(lambda: build_call(self._spec, named, self._fields()), urgent=urgent)

    async def _follow(self, step: Step, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        match step.action:
            case Action.READ:
                self._form_passes = True
                if len(group) > 1 and miscounted(self._spec, answer, len(group)):
                    return await self._one_by_one(group, answer, attempt)
                return await self._kept(item_replies(self._spec, group, answer))
            case Action.DROP_FIELDS:
                self._drop(step.fields)
                return await self._ask_group(group, attempt)
            case Action.SPLIT if len(group) > 1:
                return await self._ask_all(_halves(group), attempt)
            case Action.DOUBT:
                return await self._doubt(step, group, answer, attempt)
            case Action.REPEAT:
                return await self._repeat_answered(step, group, answer, attempt)
            case _:
                pending = step.meaning.outcome is Outcome.PENDING
                wait = wait_of_pending(answer, datetime.now(UTC)) if pending else None
                return await self._kept(settled_replies(self._spec, group, answer, step.meaning, wait))

    async def _one_by_one(self, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        logger.warning("items_miscounted provider=%s contacts=%s", self._spec.id, len(group))
        await self._kept(raw_replies(self._spec, group, answer))
        return await self._ask_all([[one] for one in group], attempt)

    async def _kept(self, replies: list[Reply]) -> list[Reply]:
        self._stop_if_told(replies)  # before anything is awaited, so that nobody makes another call meanwhile
        worth_keeping = [one for one in replies if one.outcome in CONCLUSIVE or one.body is not None]
        try:
            await self._keeper.keep(worth_keeping)
        except BaseException:
            self._halt(Meaning(Outcome.RETRYABLE, "journal_failed"))  # nothing more may be bought that can't be kept
            raise
        if any(one.reason == UNREADABLE for one in replies):
            logger.warning("answer_unreadable provider=%s request_id=%s", self._spec.id, replies[0].request_id)
        return replies

    def _stop_if_told(self, replies: Sequence[Reply]) -> None:
        stop = next((one for one in replies if one.outcome in STOPS_RUN), None)
        if stop:
            self._halt(Meaning(stop.outcome, stop.reason))

    def _stopped(self, group: Sequence[Request]) -> list[Reply]:
        return same_replies(group, self._stop or Meaning(Outcome.RETRYABLE, "stopped"))

    def _halt(self, meaning: Meaning) -> None:
        if self._stop is None:
            self._stop = meaning
            self._channel.stop()
            logger.error(
                "asking_stopped provider=%s outcome=%s reason=%s", self._spec.id, meaning.outcome, meaning.reason
            )

    async def _repeat_answered(self, step: Step, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        if answer.success:
            await self._kept(raw_replies(self._spec, group, answer))
        split = len(group) > 1 and answer.status in self._spec.batch.split_on
        trouble = trouble_of_answer(self._spec, answer, step, datetime.now(UTC))
        return await self._repeat(_halves(group) if split else [group], attempt, trouble)

    async def _repeat(self, groups: Sequence[Sequence[Request]], attempt: int, trouble: Trouble) -> list[Reply]:
        chance = random.random()  # noqa: S311  it spreads callers in time, nothing more
        decision = decide(trouble.fault, attempt, self._policy, server_wait=trouble.wait_seconds, chance=chance)
        self._log_trouble(trouble, attempt, decision)
        if decision.holds_all:
            self._shared.pacer.hold(decision.wait_seconds)
        if decision.verdict is not Verdict.RETRY:
            # The server's own wait isn't the contacts' fault and costs them no attempt.
            wait = trouble.wait_seconds if trouble.fault in SHARED_FAULTS else None
            everyone = [one for group in groups for one in group]
            replies = same_replies(everyone, Meaning(Outcome.RETRYABLE, trouble.reason), wait)
            return in_doubt(self._spec, replies) if trouble.fault is Fault.LOST_ANSWER else replies
        if not decision.holds_all:
            await asyncio.sleep(decision.wait_seconds)
        return await self._ask_all(groups, attempt + 1)

    async def _doubt(self, step: Step, group: Sequence[Request], answer: Answer, attempt: int) -> list[Reply]:
        async with self._probing:
            if self._form_passes is None:
                with self._channel.paused():  # a wrong form isn't sent forty times
                    self._form_passes = await self._probe()
        if self._form_passes is None:  # stopped meanwhile, or the free call failed for another reason
            return same_replies(group, self._stop or Meaning(Outcome.RETRYABLE, step.meaning.reason))
        if self._form_passes and len(group) > 1 and answer.status in self._spec.batch.split_on:
            return await self._ask_all(_halves(group), attempt)
        blame_contact = self._form_passes and len(group) == 1
        meaning = Meaning(Outcome.INVALID_INPUT, step.meaning.reason) if blame_contact else step.meaning
        return await self._kept(settled_replies(self._spec, group, answer, meaning))

    async def _probe(self) -> bool | None:
        """Tell by a free call whether requests of our form pass at all; None if it fails otherwise."""
        try:
            call, answer = await self._call([self._spec.request.probe or {}], urgent=True)
        except (AskingStoppedError, EnrichmentError, httpx.HTTPError, TimeoutError):
            return None
        step = next_step(self._spec, answer, call.output_fields)
        if step.action is Action.DOUBT:
            return False
        passed = step.action is Action.READ or (step.action is Action.SETTLE and step.meaning.outcome in CONCLUSIVE)
        return True if passed else None

    def _fields(self) -> list[str]:
        return [name for name in self._spec.output_fields.names if name not in self._shared.dropped]

    def _drop(self, fields: Sequence[str]) -> None:
        self._shared.dropped.update(fields)
        logger.warning("output_fields_dropped provider=%s fields=%s", self._spec.id, ",".join(fields))

    def _log_trouble(self, trouble: Trouble, attempt: int, decision: RetryDecision) -> None:
        logger.warning(
            "call_failed provider=%s fault=%s reason=%s attempt=%s next=%s wait_seconds=%.1f",
            self._spec.id,
            trouble.fault,
            trouble.reason,
            attempt,
            decision.verdict,
            decision.wait_seconds,
        )

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
