"""The way to a provider: credentials, pace and one HTTP exchange at a time."""

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
from pydantic import SecretStr

from blocks.calls.credentials import CredentialSource
from blocks.calls.loop import Line
from blocks.calls.messages import Answer, Call, as_received, decoded, in_lower_case, network_fault
from blocks.calls.pacing import InFlight, Pacer, pacer_for
from blocks.calls.tls import tls
from blocks.providers.http.auth import AGENT, apply_grant, credential_names, fetcher
from blocks.providers.http.steps import first_pace, pace_after, retry_policy
from blocks.providers.spec.model import ProviderSpec
from enrichment.estimate import Terms
from enrichment.retry import Fault, Trouble
from enrichment.text import MOST_BYTES, UnreadableError


class AskingStoppedError(Exception):
    """The call was not made; the text is why the caller refuses it, empty if another answer said so."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    What the user sets for a provider.

    Args:
        base_url: where to call.
        secrets: by the names that the spec's auth uses.
        requests_per_second: that the contract allows, or None for the provider's usual rate.
        concurrency: calls under way at once.
        batch_size: contacts per call.
        api_version: to request, where the provider lets callers choose; empty for the account's own.
        follow_ups: those switched on, by name, with the values that were chosen for each.
        min_confidence: the least confidence (0 to 100) of a match.
    """

    base_url: str
    secrets: Mapping[str, SecretStr | None]
    requests_per_second: float | None
    concurrency: int
    batch_size: int
    api_version: str = ""
    follow_ups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    min_confidence: float = 0.0


@dataclass(slots=True)
class Shared:
    """
    What all adapters of one provider, credential and base URL share in this process.

    Args:
        credentials: the source of tokens.
        pacer: the rate limiter.
        dropped: output fields that the account lacks.
        unreadable: how many paid answers in a row couldn't be read.
        unsaved: how many answers wait for the journal.
        client: holds the connections.
        in_flight: bounds the calls under way at once.
    """

    credentials: CredentialSource[str]
    pacer: Pacer
    in_flight: InFlight
    client: httpx.AsyncClient
    dropped: set[str] = field(default_factory=set)
    unreadable: int = 0
    unsaved: int = 0


_SERVER_ERROR = 500
#: Servers close idle connections after 5 s at the earliest; a call that meets the end may be billed and lost.
_IDLE_SECONDS = 3.0
#: How often a call that sleeps looks whether it is still to be made.
_GLANCE_SECONDS = 0.25

_shared: dict[Hashable, Shared] = {}
_shared_lock = threading.Lock()


def shared_for(spec: ProviderSpec, options: Options) -> Shared:
    """Return what this process shares for a provider, credential and base URL."""
    credential = _fingerprint([options.secrets.get(name) for name in credential_names(spec.auth)])
    key = (spec.id, options.base_url, credential)
    with _shared_lock:
        if key not in _shared:
            source = CredentialSource(fetcher(spec, options.base_url, options.secrets), spec.id)
            pacer = pacer_for(spec.id, key, *first_pace(spec.rate, options.requests_per_second))
            _shared[key] = Shared(source, pacer, InFlight(options.concurrency, pacer.room), _open_client())
        return _shared[key]


def _open_client() -> httpx.AsyncClient:
    # How many connections there are is bounded by the calls. An idle one is used again only before servers end it.
    limits = httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_SECONDS)
    return httpx.AsyncClient(verify=tls(), limits=limits, follow_redirects=False)


def terms_of(spec: ProviderSpec, options: Options) -> Terms:
    """Return what a call costs, by the spec and by what the user sets."""
    most = spec.credits.amount if spec.credits.charge_on else 0.0
    windows = tuple((float(window.limit), window.per_seconds) for window in spec.rate.windows)
    pace = first_pace(spec.rate, options.requests_per_second).per_second
    return Terms(most, options.batch_size, pace, windows, spec.timeouts.total_seconds)


def _fingerprint(secrets: Sequence[SecretStr | None]) -> str:
    text = "\0".join(secret.get_secret_value() if secret else "" for secret in secrets)
    return hashlib.sha256(text.encode()).hexdigest()


class Channel:
    """
    Makes exchanges for one `ask`, and holds them back.

    Args:
        spec: the spec of the provider.
        options: the options of the user.
        shared: what this process shares.
        refusal: says why no call is to be made, if so.
    """

    def __init__(self, spec: ProviderSpec, options: Options, shared: Shared, refusal: Callable[[], str]) -> None:
        self.line = line_to(spec, shared)
        self._spec = spec
        self._options = options
        self._shared = shared
        self._refusal = refusal
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

    @contextlib.asynccontextmanager
    async def gate(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """
        Let one attempt in.

        Args:
            urgent: whether it goes before those that wait because enough are under way, or because of a pause.

        Raises:
            AskingStoppedError: it isn't to be made.
        """
        async with contextlib.nullcontext() if urgent else self._shared.in_flight:
            if not urgent:
                await self._open.wait()
            while self._shared.unsaved >= self._shared.in_flight.allowed:  # nothing is paid for that can't be kept
                await self.pause(_GLANCE_SECONDS)
            self._require_going()
            yield

    async def pause(self, seconds: float) -> None:
        """
        Sleep.

        Raises:
            AskingStoppedError: meanwhile it was decided that no further call is to be made.
        """
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > _GLANCE_SECONDS:
            await asyncio.sleep(min(left, _GLANCE_SECONDS))
            self._require_going()
        await asyncio.sleep(max(0.0, left))

    async def send(self, build: Callable[[], Call], grant: str) -> Answer | Trouble:
        """
        Make one exchange.

        Args:
            build: makes the call, at the last moment: what was learned while it waited counts.
            grant: proves who we are.

        Raises:
            AskingStoppedError: it isn't to be made any more.
        """
        self._require_going()
        arriving = Arriving()
        request = build_request(self._spec, self._options, build(), grant)
        request.extensions["trace"] = _Times(self._shared.pacer)
        try:
            async with asyncio.timeout(self._spec.timeouts.total_seconds):
                await arriving.receive(self._shared.client, request)
        except (httpx.HTTPError, TimeoutError) as error:
            if not arriving.content:
                self._shared.in_flight.fewer()
                return self._lost(network_fault(error))
        answer = arriving.answer()
        self._note_load(answer)
        self._shared.pacer.allow(*pace_after(self._spec.rate, answer.headers, self._options.requests_per_second))
        return answer

    def _note_load(self, answer: Answer) -> None:
        """Have fewer calls under way at once while the service is overloaded, and by and by more again."""
        if answer.status >= _SERVER_ERROR:
            self._shared.in_flight.fewer()
        else:
            self._shared.in_flight.more()

    def _lost(self, fault: Fault) -> Trouble:
        if fault is Fault.UNTRUSTED:
            return Trouble(fault, "untrusted_certificate")
        if fault is Fault.CONNECT:
            return Trouble(fault, "unreachable")
        # What is billed once may be asked for again; one contact may be what the service dies of.
        return Trouble(fault, "lost_answer", divides=2 if self._spec.credits.billing_idempotent else 0)

    def _require_going(self) -> None:
        refusal = self._refusal()
        if self._stopped or refusal:
            raise AskingStoppedError(refusal)


class _Times:
    """Notes for a pacer when a request leaves and its answer arrives; httpx calls it at each step."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._sent: float | None = None

    async def __call__(self, step: str, _: object) -> None:
        if step.endswith("send_request_body.complete"):
            self._sent = self._pacer.sent()
        elif step.endswith("receive_response_headers.complete") and self._sent is not None:
            self._pacer.answered(self._sent)


def line_to(spec: ProviderSpec, shared: Shared) -> Line[str]:
    """Return the line of a provider's calls."""
    return Line(spec.id, spec.title, retry_policy(spec), shared.pacer, shared.credentials)


def build_request(spec: ProviderSpec, options: Options, call: Call, grant: str) -> httpx.Request:
    """Return the HTTP request of a call, with credentials."""
    headers, query = apply_grant(spec.auth, grant)
    if options.api_version:
        headers[spec.version_request_header] = options.api_version
    return httpx.Request(
        call.method,
        f"{options.base_url.rstrip('/')}/{call.path.lstrip('/')}",
        params={**call.query, **query},
        headers={**AGENT, "Accept-Encoding": "gzip, deflate", **call.headers, **headers},
        content=call.content,
        extensions={"timeout": timeout(spec).as_dict()},
    )


class Arriving:
    """An answer on its way, of which what has arrived is kept if the connection ends too soon."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._head: httpx.Response | None = None
        self._cut = True

    async def receive(self, client: httpx.AsyncClient, request: httpx.Request) -> None:
        """Send a request, and take its answer in as it is sent; one that is too long is cut."""
        self._head = response = await client.send(request, stream=True)
        try:
            async for part in response.aiter_raw():
                self.content.extend(part)
                if len(self.content) > MOST_BYTES:
                    return
            self._cut = False
        finally:
            await response.aclose()

    def answer(self) -> Answer:
        """Return what has arrived."""
        head, content = self._head, bytes(self.content)
        if head is None:
            raise AssertionError("nothing was received")
        if not self._cut:
            with contextlib.suppress(httpx.DecodingError):  # it is encoded otherwise than it says
                return read_answer(httpx.Response(head.status_code, headers=head.headers, content=content))
        headers = in_lower_case(head.headers)
        return Answer(head.status_code, headers, as_received(content), readable=False, cut=self._cut)


def read_answer(response: httpx.Response) -> Answer:
    """Return an answer with its body as JSON, or as it was received where it isn't valid JSON."""
    headers, content = in_lower_case(response.headers), response.content
    if not content:
        return Answer(response.status_code, headers, readable=False)
    try:
        return Answer(response.status_code, headers, decoded(content, response.charset_encoding or ""))
    except UnreadableError:
        return Answer(response.status_code, headers, as_received(content), readable=False)


def timeout(spec: ProviderSpec) -> httpx.Timeout:
    """Return the bounds of a call; waiting for a free connection is bounded by the whole call's own bound."""
    limits = spec.timeouts
    return httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds, pool=limits.total_seconds)
