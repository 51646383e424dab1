"""
Listens to a topic for as long as it may: opens the stream where it was left, stages what comes, and starts again
after trouble.

The position moves only together with what it stands for. Where events alone don't say all that happened, a query is
owed, and the position waits for that too; so a listener that is killed anywhere begins again at the same place.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import NoReturn, TypeVar

from blocks.crms.salesforce.session import Session, SessionSource
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    PostponedError,
    QuotaExhaustedError,
    TransientError,
)
from enrichment.retry import backoff
from triggers.pulse import Pulse
from triggers.salesforce.client import Action, Endpoint, Failure, PubSubClient, StreamFailedError
from triggers.salesforce.events import Meaning
from triggers.salesforce.intake import EventIntake
from triggers.salesforce.pubsub_pb2 import FetchResponse, ReplayPreset
from triggers.salesforce.subscription import Start, Subscription
from triggers.salesforce.topic import Position, Topic

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: As many new sessions in a row are refused by mistake or by a release of Salesforce; more are refused for a reason.
_MOST_NEW_SESSIONS = 5


@dataclass(frozen=True, slots=True)
class Patience:
    """
    How long to wait, in seconds; waits after trouble grow from `first` to `longest`.

    While a topic has no news for us, its place is kept every `quiet` seconds only, so that an idle warehouse isn't
    woken; Salesforce keeps events for three days, and what comes again after a restart is no news.
    """

    silence: float = 300.0
    first: float = 1.0
    longest: float = 60.0
    slow_first: float = 30.0
    slow_longest: float = 600.0
    between_queries: float = 60.0
    until_resubscribed: float = 900.0
    quota: float = 300.0
    quiet: float = 6 * 3600.0


class _StoppedError(Exception):
    """The listener was stopped."""


class Listener:
    """
    One topic's listener; `run` is for one thread, `stop` for any.

    Args:
        endpoint: where the API is.
        topic: what to listen to.
        sessions: hands out sessions.
        intake: stages.
        pulse: is notified that all is well.
        patience: how long to wait for what.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        topic: Topic,
        sessions: SessionSource,
        intake: EventIntake,
        pulse: Pulse,
        patience: Patience,
    ) -> None:
        self._endpoint = endpoint
        self._topic = topic
        self._sessions = sessions
        self._intake = intake
        self._pulse = pulse
        self._patience = patience
        self._stopping = threading.Event()
        self._subscription: Subscription | None = None
        self._session: Session | None = None
        self._replay = False
        #: Whether a query is owed before the position may move, and since when it has to look.
        self._owed: tuple[datetime | None] | None = None
        self._failed = self._sessions_refused = 0
        self._placed_at = -math.inf

    def run(self) -> None:
        """
        Listen until `stop`.

        Raises:
            ConfigurationError: a setting or a permission has to be fixed.
            CredentialsRejectedError: Salesforce refuses our credentials.
        """
        try:
            while True:
                self._recover(self._listen())
        except _StoppedError:
            logger.info("salesforce_listener_stopped")

    def stop(self) -> None:
        """End soon: what was committed stays, everything else will be sent again."""
        self._stopping.set()
        if self._subscription:
            self._subscription.close()

    def _listen(self) -> Failure:
        """Listen on one stream, and return why it ended."""
        self._session = session = self._persist(self._sessions.get)
        client = PubSubClient(self._endpoint, session)
        try:
            self._topic.check(client)
            self._follow(client, session)
        except StreamFailedError as error:
            return error.failure
        finally:
            self._subscription = None
            client.close()

    def _follow(self, client: PubSubClient, session: Session) -> NoReturn:
        name = self._name(session)
        position = self._persist(lambda: self._intake.position(name))
        start, opened_at = self._start(position), datetime.now(UTC)
        with Subscription(client.subscribe, self._topic.name, start) as subscription:
            self._subscription = subscription
            logger.info("salesforce_stream_opened replay=%s", ReplayPreset.Name(start.preset).lower())
            while True:
                self._go_on()
                batch = subscription.take(self._patience.silence)
                meanings = self._topic.read(client, [event for response in batch for event in response.events])
                before, position = position, _after(batch, meanings, position)
                for meaning in meanings:
                    if meaning.query_needed:  # of an event that can't be read, only what came before it is known
                        self._owe(meaning.committed_at or (before.reached_at if before else None))
                self._commit(name, meanings, position, opened_at)
                self._all_is_well("listening")

    def _name(self, session: Session) -> str:
        # A position of one org means nothing in another, such as a sandbox.
        return f"events:salesforce:{session.org_id}:{self._topic.name}"

    def _start(self, position: Position | None) -> Start:
        """Return where to begin, and note which query is owed because of that."""
        if position is None:
            # What was created before the stream began is in no stream.
            self._owe(None)
            return Start(ReplayPreset.LATEST)
        if self._replay or not position.replay_id:
            self._owe(position.reached_at)
            return Start(ReplayPreset.EARLIEST)
        return Start(ReplayPreset.CUSTOM, position.replay_id)

    def _commit(self, name: str, meanings: Sequence[Meaning], position: Position, opened_at: datetime) -> None:
        if self._owed is None:
            if not meanings and time.monotonic() - self._placed_at < self._patience.quiet:
                return
            self._persist(lambda: self._intake.take(name, meanings, position, opened_at))
        else:
            (since,) = self._owed
            # The events first: the query may take its time.
            self._persist(lambda: self._intake.take(name, meanings, None, opened_at))
            self._query(since)
            self._persist(lambda: self._intake.take(name, (), position, opened_at))
        self._owed, self._replay = None, False
        self._placed_at = time.monotonic()

    def _owe(self, since: datetime | None) -> None:
        # None reaches back furthest.
        known = self._owed[0] if self._owed else since
        self._owed = (min(known, since) if known and since else None,)

    def _recover(self, failure: Failure) -> None:
        self._go_on()
        self._failed += 1
        if failure.action is Action.STOP:
            raise ConfigurationError(str(StreamFailedError(failure)))
        if failure.action is Action.POLL:
            self._poll(failure)
            return
        if failure.action is Action.REPLAY:
            self._replay = True
        if failure.action is Action.NEW_SESSION:
            self._renew_session(failure)
        wait = self._wait_after(failure)
        logger.warning("salesforce_stream_ended why=%r next=%s wait=%.1f", failure.what, failure.action.value, wait)
        self._pulse.doing = "reconnecting"
        self._sleep(wait)

    def _wait_after(self, failure: Failure) -> float:
        first, longest = self._patience.first, self._patience.longest
        if failure.action is Action.SLOW_DOWN:
            first, longest = self._patience.slow_first, self._patience.slow_longest
        return backoff(self._failed, first, longest, _chance())

    def _renew_session(self, failure: Failure) -> None:
        self._sessions_refused += 1
        if self._sessions_refused > _MOST_NEW_SESSIONS:
            raise CredentialsRejectedError(
                f"Salesforce's Pub/Sub API also refuses new sessions: {failure.what}. Check that the app's "
                "policies and "
                "the integration user's profile allow API access"
            )
        refused = self._session
        if refused:
            self._persist(lambda: self._sessions.get(refused))

    def _poll(self, failure: Failure) -> None:
        """Query instead of listening, for a while; the position stays for the stream that is opened afterwards."""
        logger.warning("salesforce_events_used_up why=%r next=poll", failure.what)
        rounds = max(1, round(self._patience.until_resubscribed / self._patience.between_queries))
        name = self._name(self._persist(self._sessions.get))
        position = self._persist(lambda: self._intake.position(name))
        since = position.reached_at if position else None
        for _ in range(rounds):
            asked_at = datetime.now(UTC)
            self._query(since)
            self._all_is_well("querying")
            since = asked_at
            self._sleep(self._patience.between_queries)

    def _query(self, since: datetime | None) -> None:
        self._persist(lambda: self._intake.query(since))

    def _persist(self, verb: Callable[[], T]) -> T:
        """Retry something while the failure may pass; the stream keeps its place meanwhile."""
        for attempt in count(1):
            self._go_on()
            try:
                return verb()
            except (QuotaExhaustedError, TransientError) as error:
                wait = self._wait_for(error, attempt)
                logger.warning("salesforce_events_held_up why=%r wait=%.1f", str(error), wait)
            self._pulse.doing = "waiting"
            self._intake.reconnect()
            self._sleep(wait)
        raise AssertionError

    def _wait_for(self, error: QuotaExhaustedError | TransientError, attempt: int) -> float:
        if isinstance(error, QuotaExhaustedError):
            return self._patience.quota
        if isinstance(error, PostponedError):
            return error.seconds
        return backoff(attempt, self._patience.first, self._patience.longest, _chance())

    def _all_is_well(self, doing: str) -> None:
        self._failed = self._sessions_refused = 0
        self._pulse.beat(doing)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _StoppedError

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise _StoppedError


def _after(batch: Sequence[FetchResponse], meanings: Sequence[Meaning], before: Position | None) -> Position:
    """Return the position after a batch."""
    last = batch[-1]
    replay_id = last.events[-1].replay_id if last.events else last.latest_replay_id
    reached = [meaning.committed_at for meaning in meanings if meaning.committed_at]
    if not last.events:
        # The server had nothing more to send.
        reached = [datetime.now(UTC)]
    known = before.reached_at if before else None
    return Position(replay_id or (before.replay_id if before else b""), max(reached, default=known))


def _chance() -> float:
    return random.random()  # noqa: S311 - spreads waits, guards nothing
