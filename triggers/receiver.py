"""
The ASGI application: HubSpot's webhooks and signed contacts in, committed rows out.

A request is answered with success only after its rows are committed, and with 503 before its sender stops waiting, so
that the sender repeats it. What is committed after that does no harm: the repetition finds it done.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from blocks.warehouses.base import Warehouse
from enrichment.errors import ConfigurationError, EnrichmentError, sealed, where
from triggers.hubspot_events import Erasure, MalformedError, read_delivery
from triggers.readiness import Readiness
from triggers.signatures import (
    CONTACTS_SCHEME,
    STANDARD_SCHEME,
    Scheme,
    SignatureRefusedError,
    SigningKeys,
    check_signature,
    hubspot_scheme,
    read_stamp,
)
from triggers.staging import StagingWriter
from triggers.submissions import Gate, InvalidContactsError, Pace, RefusedError, Taken, read_body, read_contacts

_AT_ONCE = 2
#: Events and messages that are remembered as done; HubSpot delivers one again for a day.
_MOST_REMEMBERED = 10_000

Erase = Callable[[str], object]


class Eraser:
    """
    Erases contacts, and answers when it is done.

    An erasure goes on after its request was answered with a retry; the retry finds it done or still under way.

    Args:
        erase: erases all that is known of one contact, and may be repeated; None if this process can't.
    """

    def __init__(self, erase: Erase | None) -> None:
        self._erase = erase
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="erasing")
        self._known: dict[Erasure, asyncio.Task[None]] = {}

    async def erase(self, erasures: Iterable[Erasure]) -> None:
        """
        Return once all these contacts are erased.

        Raises:
            EnrichmentError: one isn't.
        """
        jobs = [asyncio.shield(self._job(erasure)) for erasure in erasures]
        ends = await asyncio.gather(*jobs, return_exceptions=True)
        for failure in (end for end in ends if isinstance(end, BaseException)):
            raise failure

    async def stop(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._known.values(), return_exceptions=True)
        self._threads.shutdown()

    def _job(self, erasure: Erasure) -> "asyncio.Task[None]":
        job = self._known.get(erasure)
        if job is None or (job.done() and (job.cancelled() or job.exception())):
            job = self._known[erasure] = asyncio.create_task(self._run(erasure))
            self._forget_the_oldest()
        return job

    async def _run(self, erasure: Erasure) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._erase is None:
                raise ConfigurationError("this receiver is not set up to erase contacts")
            await loop.run_in_executor(self._threads, sealed(self._erase), erasure.crm_id)
        except EnrichmentError as error:
            # Not `exception`: the text of our own errors says all, and holds ids only.
            logger.error("contact_not_erased crm_id=%s because=%s: %s", erasure.crm_id, type(error).__name__, error)  # noqa: TRY400
            raise
        logger.info("contact_erased crm_id=%s", erasure.crm_id)

    def _forget_the_oldest(self) -> None:
        done = [erasure for erasure, job in self._known.items() if job.done()]
        for erasure in done[: max(0, len(self._known) - _MOST_REMEMBERED)]:
            del self._known[erasure]


logger = logging.getLogger(__name__)

_UNKNOWN_AT_ONCE = 200
_SUBMISSIONS_AT_ONCE = 10
_RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class HubSpotApp:
    """
    The HubSpot app whose webhooks are taken.

    Args:
        target_url: as HubSpot has it.
        app_id: whose changes are ours; empty for none.
        portal_id: the account whose events are taken; empty for any.
        read_secrets: gives the client secrets that are in force.
    """

    target_url: str
    app_id: str
    portal_id: str
    read_secrets: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Submissions:
    """
    Who may hand in contacts, and of what.

    Args:
        crm: whose contacts they are, if they don't say so.
        crms: that may be named.
        per_second: requests that are taken.
        read_secrets: gives the shared secrets that are in force.
    """

    crm: str
    crms: Collection[str]
    per_second: float
    read_secrets: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take."""

    body_bytes: int
    answer_within_seconds: float
    deliveries_at_once: int


class _Door:
    """Lets in what is signed, and turns every failure into an answer that says nothing secret."""

    def __init__(self, name: str, schemes: Sequence[Scheme], keys: SigningKeys, limits: Limits, at_once: int) -> None:
        self._name = name
        self._schemes = schemes
        self._keys = keys
        self._limits = limits
        # Two gates: a slow sender that isn't known yet keeps no known sender out.
        self._unknown = Gate(_UNKNOWN_AT_ONCE)
        self._known = Gate(at_once)

    async def answer(self, request: Request, take: Callable[[bytes, str], Awaitable[Response]]) -> Response:
        """Answer a request by what is done with its body and, where the scheme has one, its message's id."""
        try:
            async with asyncio.timeout(self._limits.answer_within_seconds):
                with self._unknown.entered():
                    body, message_id = await self._signed_body(request)
                with self._known.entered():
                    return await take(body, message_id)
        except RefusedError as refused:
            return self._refuse(refused)
        except SignatureRefusedError as refused:
            return self._refuse(RefusedError(401, refused.reason))
        except MalformedError:
            return self._refuse(RefusedError(400, "malformed"))
        except TimeoutError:
            return self._refuse(RefusedError(503, "not_committed_in_time", retry_after_seconds=_RETRY_AFTER_SECONDS))
        except EnrichmentError:  # the log has it already
            return self._refuse(RefusedError(503, "not_committed", retry_after_seconds=_RETRY_AFTER_SECONDS))
        except ClientDisconnect:
            return self._refuse(RefusedError(400, "disconnected"))
        except Exception as error:  # noqa: BLE001 - its text may quote a contact, and the sender is to retry
            logger.error("request_failed endpoint=%s because=%s", self._name, where(error))  # noqa: TRY400
            return self._refuse(RefusedError(503, "unexpected", retry_after_seconds=_RETRY_AFTER_SECONDS))

    async def _signed_body(self, request: Request) -> tuple[bytes, str]:
        used = (scheme for scheme in self._schemes if scheme.signature_header in request.headers)
        scheme = next(used, self._schemes[0])
        stamp = read_stamp(scheme, request.headers, int(time.time() * 1000))
        body = await read_body(request, self._limits.body_bytes)
        secrets = await self._keys.current()
        try:
            check_signature(scheme, stamp, body, secrets)
        except SignatureRefusedError:
            newest = await self._keys.newest()
            if newest == secrets:
                raise
            check_signature(scheme, stamp, body, newest)
        return body, stamp.message_id

    def _refuse(self, refused: RefusedError) -> Response:
        logger.warning("request_refused endpoint=%s status=%s because=%s", self._name, refused.status, refused.reason)
        wait = refused.retry_after_seconds
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return JSONResponse({"error": refused.reason}, refused.status, headers)


def make_app(
    open_warehouse: Callable[[], Warehouse],
    limits: Limits,
    *,
    staged: Callable[[], None],
    hubspot: HubSpotApp | None = None,
    erase: Erase | None = None,
    submissions: Submissions | None = None,
) -> FastAPI:
    """
    Return the application.

    Args:
        open_warehouse: gives a new connection to the warehouse.
        limits: of a request.
        staged: is called when rows were committed, and returns at once; it may be called again and again.
        hubspot: the HubSpot app whose webhooks are taken; None for no app.
        erase: erases all that is known of a HubSpot contact, by its id; without it, HubSpot has to retry.
        submissions: the senders whose contacts are taken; None for no sender.
    """
    writer = StagingWriter(open_warehouse, staged)
    eraser = Eraser(erase)
    readiness = Readiness(open_warehouse)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        writer.start()
        yield
        await eraser.stop()
        await writer.stop()
        await readiness.stop()
        logger.info("receiver_stopped")

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _add_signs_of_life(app, readiness)
    if hubspot:
        _add_hubspot(app, hubspot, limits, writer, eraser)
    if submissions:
        _add_submissions(app, submissions, limits, writer)
    return app


def _add_signs_of_life(app: FastAPI, readiness: Readiness) -> None:
    @app.get("/health")
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/ready")
    async def ready() -> Response:
        flaw = await readiness.flaw()
        return JSONResponse({"status": "not ready", "error": flaw}, 503) if flaw else JSONResponse({"status": "ready"})


def _add_hubspot(app: FastAPI, hubspot: HubSpotApp, limits: Limits, writer: StagingWriter, eraser: Eraser) -> None:
    scheme, keys = hubspot_scheme(hubspot.target_url), SigningKeys(hubspot.read_secrets)
    door = _Door("hubspot", [scheme], keys, limits, limits.deliveries_at_once)

    async def take(body: bytes, _: str) -> Response:
        delivery = read_delivery(body, hubspot.app_id, hubspot.portal_id)
        await writer.commit(delivery.batch)
        await eraser.erase(delivery.erasures)
        counts = " ".join(f"{name}={count}" for name, count in sorted(delivery.counts.items()))
        logger.info("delivery_taken endpoint=hubspot %s", counts)
        if unreadable := delivery.counts.get("unreadable"):
            logger.warning("events_unreadable endpoint=hubspot events=%s", unreadable)
        return Response(status_code=200)

    @app.post("/hubspot/webhook")
    async def hubspot_webhook(request: Request) -> Response:
        return await door.answer(request, take)


def _add_submissions(app: FastAPI, submissions: Submissions, limits: Limits, writer: StagingWriter) -> None:
    pace = Pace(submissions.per_second)
    schemes = (CONTACTS_SCHEME, STANDARD_SCHEME)
    door = _Door("contacts", schemes, SigningKeys(submissions.read_secrets), limits, _SUBMISSIONS_AT_ONCE)
    taken = Taken(_MOST_REMEMBERED)

    async def take(body: bytes, message_id: str) -> Response:
        pace.take()
        if accepted := taken.contacts_of(message_id, body):
            return JSONResponse({"accepted": accepted}, 202)
        try:
            batch = read_contacts(body, crm=submissions.crm, crms=submissions.crms)
        except InvalidContactsError as invalid:
            logger.warning("request_refused endpoint=contacts status=422 flaws=%s", len(invalid.flaws))
            return JSONResponse({"error": "invalid_contacts", "flaws": invalid.flaws}, 422)
        await writer.commit(batch)
        taken.note(message_id, body, len(batch.records))
        logger.info("contacts_taken endpoint=contacts contacts=%s", len(batch.records))
        return JSONResponse({"accepted": len(batch.records)}, 202)

    @app.post("/contacts")
    async def contacts(request: Request) -> Response:
        return await door.answer(request, take)
