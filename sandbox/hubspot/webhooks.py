"""Delivers events as HubSpot does: signed batches, several at once, again if they aren't taken, in no certain order."""

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson

from sandbox.hubspot.happenings import Happening, event_of, is_subscribed
from sandbox.hubspot.signing import signed_headers
from sandbox.settings import HubSpotSettings

BATCH_SIZE = 100
_MOST_THREADS = 64


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Events that are sent together, and how often that was tried."""

    events: list[dict[str, Any]]
    attempt: int = 0

    def body(self) -> bytes:
        """Return what is sent."""
        return orjson.dumps([{**event, "attemptNumber": self.attempt} for event in self.events])


class WebhookSender:
    """
    Sends what the app is subscribed to, from separate threads.

    Args:
        options: gives the present settings.
        seed: of duplicates, disorder and jitter.
    """

    def __init__(self, options: Callable[[], HubSpotSettings], seed: int = 7) -> None:
        self._options = options
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._gathered_since = 0.0
        self._queue: list[tuple[float, int, _Delivery]] = []
        self._numbers = itertools.count(1)
        self._under_way = 0
        self._counts: Counter[str] = Counter()
        self._closed = False
        self._threads: ThreadPoolExecutor | None = None
        self._client: httpx.Client | None = None

    def note(self, happening: Happening) -> None:
        """Take what happened, if the app wants to hear of it."""
        settings = self._options()
        if not settings.webhook_url or not is_subscribed(happening, settings):
            return
        with self._changed:
            if self._closed:
                return
            self._start()
            self._gathered_since = self._gathered_since if self._events else time.monotonic()
            self._events.append(event_of(happening, settings, next(self._numbers)))
            self._counts["events"] += 1
            self._changed.notify_all()

    def summary(self) -> dict[str, int]:
        """Return how many events there were, how their deliveries went, and how many deliveries are still to come."""
        with self._changed:
            pending = len(self._queue) + self._under_way + bool(self._events)
            names = ("events", "attempts", "taken", "taken_events", "refused", "given_up")
            counts = {name: self._counts[name] for name in names}
            return {**counts, "under_way": self._under_way, "pending": pending}

    def close(self) -> None:
        """Send nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._threads:
            self._threads.shutdown(wait=True, cancel_futures=True)
        if self._client:
            self._client.close()

    def _start(self) -> None:
        if self._threads is None:
            # Not before it is needed: most worlds send nothing.
            self._client = httpx.Client(limits=httpx.Limits(max_connections=_MOST_THREADS))
            self._threads = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="webhooks")
            self._threads.submit(self._dispatch)

    def _dispatch(self) -> None:
        with self._changed:
            while not self._closed:
                settings, now = self._options(), time.monotonic()
                self._gather(settings, now)
                while self._queue and self._queue[0][0] <= now and self._under_way < settings.webhook_concurrency:
                    delivery = heapq.heappop(self._queue)[2]
                    self._under_way += 1
                    assert self._threads is not None  # noqa: S101 - this runs in one of them
                    self._threads.submit(self._deliver, delivery, settings)
                self._changed.wait(self._patience(settings, now))

    def _gather(self, settings: HubSpotSettings, now: float) -> None:
        """Make batches of the events: full ones at once, others when their first event has waited long enough."""
        ripe = now - self._gathered_since >= settings.webhook_gather_ms / 1000
        many = len(self._events) if ripe else len(self._events) // BATCH_SIZE * BATCH_SIZE
        events, self._events = self._events[:many], self._events[many:]
        if settings.webhook_shuffle:
            self._random.shuffle(events)
        batches = [_Delivery(events[start : start + BATCH_SIZE]) for start in range(0, len(events), BATCH_SIZE)]
        again = [batch for batch in batches if self._random.random() < settings.webhook_duplicate_share]
        for batch in [*batches, *again]:
            self._put(batch, now)

    def _put(self, delivery: _Delivery, due: float) -> None:
        heapq.heappush(self._queue, (due, next(self._numbers), delivery))

    def _patience(self, settings: HubSpotSettings, now: float) -> float | None:
        """Return how long nothing needs to be done unless something happens."""
        moments = [self._gathered_since + settings.webhook_gather_ms / 1000] if self._events else []
        if self._queue and self._under_way < settings.webhook_concurrency:
            moments.append(self._queue[0][0])
        return max(0.0, min(moments) - now) if moments else None

    def _deliver(self, delivery: _Delivery, settings: HubSpotSettings) -> None:
        taken = self._post(delivery.body(), settings)
        with self._changed:
            self._under_way -= 1
            self._counts["attempts"] += 1
            self._counts["taken" if taken else "refused"] += 1
            if taken:
                self._counts["taken_events"] += len(delivery.events)
            else:
                self._put_back(delivery, settings)
            self._changed.notify_all()

    def _put_back(self, delivery: _Delivery, settings: HubSpotSettings) -> None:
        if delivery.attempt >= settings.webhook_retries:
            self._counts["given_up"] += 1
            return
        pause = settings.webhook_retry_seconds * self._random.uniform(0.5, 1.5)
        self._put(replace(delivery, attempt=delivery.attempt + 1), time.monotonic() + pause)

    def _post(self, body: bytes, settings: HubSpotSettings) -> bool:
        url = settings.webhook_url
        # The real time, whatever the world's clock shows: the receiver lives outside of it.
        headers = signed_headers(settings.webhook_secret, url, body, int(time.time() * 1000))
        assert self._client is not None  # noqa: S101 - made with the threads
        try:
            answer = self._client.post(url, content=body, headers=headers, timeout=settings.webhook_timeout_seconds)
        except httpx.TransportError:
            return False
        return answer.is_success
