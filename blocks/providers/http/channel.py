"""The way to a provider: credentials, pace and one HTTP exchange at a time."""

import asyncio
import contextlib
import functools
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.calls.pacing import Pacer, pacer_for
from blocks.providers.http.auth import CredentialSource, apply_grant, credential_names, fetcher
from blocks.providers.http.interpret import Answer
from blocks.providers.http.pace import first_pace, pace_after
from blocks.providers.http.request import Call
from blocks.providers.spec.model import ProviderSpec
from enrichment.estimate import Terms


class AskingStoppedError(Exception):
    """The call was not made, because another answer said that no further one should be."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the user sets for a provider.

    Args:
        base_url: where to call.
        secrets: by the names that the spec's auth uses.
        requests_per_second: the highest rate to call at, or None for what the account allows.
        concurrency: calls under way at once.
        batch_size: contacts per call.
        api_version: to ask for, where the provider lets callers choose; empty for the account's own.
        follow_ups: those switched on, by name, with the values that were chosen for each.
    """

    base_url: str
    secrets: Mapping[str, SecretStr | None]
    requests_per_second: float | None
    concurrency: int
    batch_size: int
    api_version: str = ""
    follow_ups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Shared:
    """
    What all adapters of one provider, credential and base URL share in this process.

    Args:
        credentials: the source of tokens.
        pacer: the rate limiter.
        dropped: output fields that the account lacks.
    """

    credentials: CredentialSource
    pacer: Pacer
    dropped: set[str] = field(default_factory=set)


_shared: dict[Hashable, Shared] = {}
_shared_lock = threading.Lock()


def shared_for(spec: ProviderSpec, options: Options) -> Shared:
    """Return what this process shares for a provider, credential and base URL."""
    credential = _fingerprint([options.secrets.get(name) for name in credential_names(spec.auth)])
    key = (spec.id, options.base_url, credential)
    with _shared_lock:
        if key not in _shared:
            source = CredentialSource(fetcher(spec, options.base_url, options.secrets))
            _shared[key] = Shared(source, pacer_for(spec.id, key, _pace(spec, options)))
        return _shared[key]


def terms_of(spec: ProviderSpec, options: Options) -> Terms:
    """Return what asking costs, by the spec and by what the user sets."""
    most = spec.credits.amount if spec.credits.charge_on else 0.0
    windows = tuple((float(window.limit), window.per_seconds) for window in spec.rate.windows)
    return Terms(most, options.batch_size, _pace(spec, options), windows)


def _pace(spec: ProviderSpec, options: Options) -> float:
    return min(first_pace(spec.rate), options.requests_per_second or float("inf"))


def _fingerprint(secrets: Sequence[SecretStr | None]) -> str:
    text = "\0".join(secret.get_secret_value() if secret else "" for secret in secrets)
    return hashlib.sha256(text.encode()).hexdigest()


class Channel:
    """
    Makes calls for one `ask`.

    Args:
        spec: the provider's.
        options: the user's.
        shared: what this process shares.
        client: the HTTP client.
    """

    def __init__(self, spec: ProviderSpec, options: Options, shared: Shared, client: httpx.AsyncClient) -> None:
        self._spec = spec
        self._options = options
        self._shared = shared
        self._client = client
        self._gate = asyncio.Semaphore(options.concurrency)
        self._open = asyncio.Event()
        self._open.set()
        self._stopped = False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let only urgent calls pass for as long as the block lasts."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def stop(self) -> None:
        """Make no further call."""
        self._stopped = True

    async def exchange(self, build: Callable[[], Call], *, urgent: bool) -> tuple[Call, Answer]:
        """
        Make a call at the next free slot; a refused token is renewed once.

        Args:
            build: makes the call, at the last moment: what was learned while it waited counts.
            urgent: whether it goes before those that wait because enough are under way, or because of a pause.

        Raises:
            AskingStoppedError: it was not made.
            PostponedError, TransientError, httpx.HTTPError, TimeoutError: no whole answer came.
            CredentialsRejectedError, ConfigurationError: there are no credentials to call with.
        """
        async with contextlib.nullcontext() if urgent else self._gate:
            if not urgent:
                await self._open.wait()
            self._require_going()
            grant = await self._grant()
            call, answer = await self._call_in_turn(build, grant)
            if answer.status == 401:
                renewed = await asyncio.to_thread(self._shared.credentials.get, grant, time.monotonic())
                return (call, answer) if renewed == grant else await self._call_in_turn(build, renewed)
            return call, answer

    def _require_going(self) -> None:
        if self._stopped:
            raise AskingStoppedError

    async def _grant(self) -> str:
        at_hand = self._shared.credentials.at_hand()
        if at_hand is not None:
            return at_hand
        return await asyncio.to_thread(self._shared.credentials.get, None, time.monotonic())

    async def _call_in_turn(self, build: Callable[[], Call], grant: str) -> tuple[Call, Answer]:
        await self._shared.pacer.turn()
        self._require_going()
        call = build()
        async with asyncio.timeout(self._spec.timeouts.total_seconds):
            request = build_request(self._spec, self._options, call, grant)
            answer = read_answer(await self._client.send(request))
        self._shared.pacer.allow(pace_after(self._spec.rate, answer.headers, self._options.requests_per_second))
        return call, answer


def build_request(spec: ProviderSpec, options: Options, call: Call, grant: str) -> httpx.Request:
    """Return the HTTP request of a call, with credentials."""
    headers, query = apply_grant(spec.auth, grant)
    if options.api_version:
        headers[spec.version_request_header] = options.api_version
    return httpx.Request(
        call.method,
        f"{options.base_url.rstrip('/')}/{call.path.lstrip('/')}",
        params={**call.query, **query},
        headers={"User-Agent": "contact-enrichment", "Accept-Encoding": "gzip, deflate", **call.headers, **headers},
        content=call.content,
        extensions={"timeout": timeout(spec).as_dict()},
    )


def read_answer(response: httpx.Response) -> Answer:
    """Return an answer with its body as JSON, or as text where it is none."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        body: Any = json.loads(response.content) if response.content else None
    except (ValueError, RecursionError):
        return Answer(response.status_code, headers, response.text, readable=False)
    return Answer(response.status_code, headers, body, readable=response.content != b"")


def timeout(spec: ProviderSpec) -> httpx.Timeout:
    """Return the bounds of a call; waiting for a free connection is bounded by the whole call's own bound."""
    limits = spec.timeouts
    return httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds, pool=limits.total_seconds)


@functools.cache
def tls() -> ssl.SSLContext:
    """Return one TLS configuration for all clients: reading the certificates takes longer than many a call."""
    return httpx.create_ssl_context()
