"""Starts the receiver as it is configured, and ends it without losing what it has accepted."""

import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from fastapi import FastAPI

from blocks.base import configure, module_names
from blocks.crms.hubspot.block import HubSpot
from blocks.listeners.receiver import Receiver, load_receiver
from blocks.log import NOT_TWICE, PACKAGES, reach_runs
from blocks.settings import Settings, load_settings
from blocks.warehouses.base import load_warehouse, open_warehouse
from enrichment.errors import ConfigurationError, TransientError, sealed
from enrichment.plan import Reference
from triggers.http import server_config
from triggers.hubspot_events import CRM
from triggers.readiness import look_at
from triggers.receiver import Erase, HubSpotApp, Limits, Submissions, make_app


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Show one line for each event, as long as this is open; the libraries' own lines may hold addresses of calls."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    handler.addFilter(NOT_TWICE)
    reach_runs()  # before: what a run shows is known then
    loggers = [logging.getLogger(name) for name in PACKAGES]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # Prefect's own handler at the root would show each line once more
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.propagate = True


logger = logging.getLogger(__name__)


def serve_hubspot(host: str, port: int, *, staged: Callable[[], None], erase: Erase | None = None) -> None:
    """
    Take HubSpot's webhooks, and signed contacts if they have a secret, until SIGTERM or SIGINT.

    Args:
        host: address to listen on.
        port: to listen on; 0 for any.
        staged: is called when rows were committed, and returns at once.
        erase: erases all that is known of a HubSpot contact, by its id.

    Raises:
        ConfigurationError: a setting is missing or wrong, the warehouse isn't set up, or the port is taken.
    """
    settings, receiver = load_settings(), load_receiver()
    app = make_app(
        partial(load_warehouse, settings.warehouse),
        _limits(receiver),
        staged=staged,
        hubspot=_hubspot_app(settings),
        erase=erase,
        submissions=_submissions(settings, receiver) if receiver.shared_secret else None,
    )
    _serve(app, settings, host, port)


def serve_contacts(host: str, port: int, *, staged: Callable[[], None]) -> None:
    """Take signed contacts only, for CRMs that send no webhooks; otherwise as `serve_hubspot`."""
    settings, receiver = load_settings(), load_receiver()
    if not receiver.shared_secret:
        raise ConfigurationError(
            "ENRICHMENT_RECEIVER_SHARED_SECRET is not set: only contacts signed with it are accepted"
        )
    app = make_app(
        partial(load_warehouse, settings.warehouse),
        _limits(receiver),
        staged=staged,
        submissions=_submissions(settings, receiver),
    )
    _serve(app, settings, host, port)


def _limits(receiver: Receiver) -> Limits:
    return Limits(receiver.body_limit_bytes, receiver.answer_within_seconds, receiver.deliveries_at_once)


def _hubspot_app(settings: Settings) -> HubSpotApp:
    crm = Reference.parse(settings.crm)
    if crm.name != CRM:
        raise ConfigurationError(
            f"ENRICHMENT_CRM is {crm.name}, so no run would enrich HubSpot's contacts: set it to hubspot"
        )
    block = configure(HubSpot, crm.document)
    if not block.target_url:
        raise ConfigurationError(
            "ENRICHMENT_HUBSPOT_TARGET_URL is not set: set it to the receiver's URL exactly as in the HubSpot app, "
            "since the signature covers it"
        )
    # The block is read again each time: a secret that it holds by value may be another one by then.
    read_secrets = sealed(lambda: configure(HubSpot, crm.document).client_secrets())
    return HubSpotApp(block.target_url, block.app_id, block.portal_id, read_secrets)


def _submissions(settings: Settings, receiver: Receiver) -> Submissions:
    return Submissions(
        Reference.parse(settings.crm).name,
        module_names("blocks.crms"),
        receiver.requests_per_second,
        sealed(lambda: load_receiver().shared_secrets()),
    )


def _serve(app: FastAPI, settings: Settings, host: str, port: int) -> None:
    server = uvicorn.Server(server_config(app))
    with _listening(host, port) as listener, _ended_by_signals(server):
        _check_warehouse(settings)
        logger.info("receiver_listening host=%s port=%s", *listener.getsockname()[:2])
        server.run(sockets=[listener])


def _check_warehouse(settings: Settings) -> None:
    try:
        with open_warehouse(settings.warehouse) as warehouse:
            sealed(warehouse.check_schema)()
            sealed(look_at)(warehouse)
    except TransientError as error:  # it may come back, and until then senders retry
        logger.warning("not_ready because=%s: %s", type(error).__name__, error)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(f"can't listen on {host} port {port} ({error.strerror})") from None
    with listener:
        yield listener


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let a signal that arrives while nothing is served yet end the server too; to be asked to end is no failure."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, server.handle_exit) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
