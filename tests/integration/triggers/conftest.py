"""A receiver on a socket, over a warehouse of its own."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from blocks.calls.tls import tls
from blocks.warehouses.base import Warehouse, load_warehouse
from sandbox.hubspot.signing import signed_headers
from triggers.http import PatientProtocol, server_config
from triggers.receiver import HubSpotApp, Limits, Submissions, make_app
from triggers.signatures import CONTACTS_SCHEME, Stamp

TARGET_URL = "https://hooks.example.com/hubspot/webhook"
CLIENT_SECRET = "client-s3cr3t"
SHARED_SECRET = "shared-s3cr3t"
#: The present and the previous one, for Standard Webhooks.
STANDARD_SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
APP_ID = "54321"


class Receiver:
    """A running receiver, and how often it notified the rest of the pipeline."""

    def __init__(self, url: str, warehouse: Warehouse) -> None:
        self.url = url
        self.warehouse = warehouse
        self.http = httpx.Client(base_url=url, timeout=60, verify=tls())
        self.runs_asked_for = 0
        self.erased: list[str] = []
        self.refuse_to_erase = False
        self.server: uvicorn.Server | None = None

    def under_way(self) -> int:
        """Return how many requests have begun and aren't answered."""
        assert self.server
        return len(self.server.server_state.tasks)

    def stop(self) -> None:
        """Tell it to end, and wait until it listens no more."""
        assert self.server
        self.server.should_exit = True
        until(self._is_deaf)

    def _is_deaf(self) -> bool:
        try:
            httpx.get(f"{self.url}/health", timeout=60, verify=tls())
        except httpx.TransportError:
            return True
        return False

    def deliver(self, *events: Any, body: bytes | None = None, **headers: str) -> httpx.Response:
        """Send events as HubSpot does."""
        raw = json.dumps(events).encode() if body is None else body
        signed = signed_headers(CLIENT_SECRET, TARGET_URL, raw, now_ms())
        return self.http.post("/hubspot/webhook", content=raw, headers=signed | headers)

    def hand_in(self, contacts: object, **headers: str) -> httpx.Response:
        """Send contacts as a form does."""
        raw, timestamp = json.dumps(contacts).encode(), str(now_ms() // 1000)
        signed = {
            "X-Enrichment-Timestamp": timestamp,
            "X-Enrichment-Signature": CONTACTS_SCHEME.sign(SHARED_SECRET, raw, Stamp("", timestamp)),
        }
        return self.http.post("/contacts", content=raw, headers=signed | headers)

    def staged(self) -> dict[str, dict[str, Any]]:
        """Return what waits, by contact."""
        with self.warehouse._reading() as session:
            rows = session._connection.execute("SELECT * FROM enrichment_staging").fetchall()
        return {row["crm_id"]: dict(row) for row in rows}


def now_ms() -> int:
    return int(time.time() * 1000)


def creation(contact_id: int, **fields: Any) -> dict[str, Any]:
    """Return the event of a new contact."""
    return {
        "eventId": contact_id,
        "portalId": 1,
        "appId": int(APP_ID),
        "occurredAt": 1751276050977,
        "subscriptionType": "contact.creation",
        "attemptNumber": 0,
        "objectId": contact_id,
        "changeSource": "CRM_UI",
        **fields,
    }


def until(condition: Callable[[], object]) -> None:
    """Wait for something that must happen."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.01)


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """Give a socket that listens, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def served(
    app: FastAPI, listener: socket.socket, protocol: type[PatientProtocol] = PatientProtocol
) -> Iterator[uvicorn.Server]:
    """Serve an application from a thread of its own, and end it as SIGTERM does."""
    server = uvicorn.Server(server_config(app, protocol))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield server
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


MakeReceiver = Callable[..., Receiver]


@pytest.fixture
def make_receiver(make_warehouse: Callable[[str], Warehouse]) -> Iterator[MakeReceiver]:
    """Give a maker of receivers; its options are limits, and the warehouse's vendor."""
    with ExitStack() as stack:

        def make(vendor: str = "sqlite", **limits: Any) -> Receiver:
            warehouse = make_warehouse(vendor)
            chosen = {"body_bytes": 100_000, "answer_within_seconds": 30.0, "deliveries_at_once": 50} | limits
            per_second = chosen.pop("per_second", 1000.0)
            protocol = chosen.pop("protocol", PatientProtocol)
            receiver = Receiver("", warehouse)

            def staged() -> None:
                receiver.runs_asked_for += 1

            def erase(crm_id: str) -> None:
                if receiver.refuse_to_erase:
                    raise RuntimeError(f"not now: {crm_id} zoe@x.example")
                receiver.erased.append(crm_id)

            app = make_app(
                lambda: load_warehouse(vendor),
                Limits(**chosen),
                staged=staged,
                hubspot=HubSpotApp(TARGET_URL, APP_ID, "", lambda: (CLIENT_SECRET,)),
                erase=erase,
                submissions=Submissions(
                    "hubspot", ["hubspot", "salesforce"], per_second, lambda: (SHARED_SECRET, *STANDARD_SECRETS)
                ),
            )
            listener, receiver.url = stack.enter_context(listening())
            receiver.server = stack.enter_context(served(app, listener, protocol))
            receiver.http = stack.enter_context(httpx.Client(base_url=receiver.url, timeout=60, verify=tls()))
            return receiver

        yield make


@pytest.fixture
def receiver(make_receiver: MakeReceiver) -> Receiver:
    """Give a receiver with usual limits."""
    return make_receiver()
