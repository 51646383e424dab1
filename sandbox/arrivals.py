"""New contacts, a few at a time, and how long each waits until the CRM shows its company's name."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from subprocess import Popen

import httpx

from enrichment.errors import EnrichmentError
from sandbox.place import Place, listening, python, receiving, subscribing
from sandbox.warehouses.base import free_port

_PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """A CRM whose new contacts are listened to: how, what a contact is there, and where its company's name goes."""

    listening: Callable[[Place], AbstractContextManager[None]]
    email: str
    contact: dict[str, str]
    company: str


SOURCES = {
    "hubspot": Source(receiving, "email", {}, "enr_company_name"),
    "salesforce": Source(subscribing, "Email", {"LastName": "Nobody"}, "Enr_Company_Name__c"),
}


@contextmanager
def resident(place: Place) -> Iterator["Popen[str]"]:
    """Run a process that enriches live contacts as soon as they are queued."""
    port = free_port()
    command = python("cli", "listen", "queue", "--health-port", str(port))
    with listening(command, place, "resident", f"http://127.0.0.1:{port}/health") as process:
        yield process


def waits(place: Place, crm: str, waves: int, wave: int) -> list[float]:
    """
    Let people create contacts that the provider knows; the next wave begins when the last one is enriched.

    Args:
        place: where listeners and runs are at work.
        crm: whose contacts.
        waves: how many.
        wave: contacts of each.

    Returns:
        the seconds from the creation of each contact until the CRM had its company's name.

    Raises:
        EnrichmentError: some weren't enriched in time.
    """
    seconds: list[float] = []
    for number in range(waves):
        began = dict(_create(place, crm, f"{number}-{one}") for one in range(wave))
        seconds += _await_all(place, crm, began)
    return seconds


def _create(place: Place, crm: str, name: str) -> tuple[str, float]:
    source = SOURCES[crm]
    contact = {**source.contact, source.email: f"hit+{crm}{name}@northwind.example"}
    answer = httpx.post(f"{place.sandbox_url}/control/{crm}/contacts", json=[contact], timeout=60)
    (crm_id,) = answer.raise_for_status().json()
    return str(crm_id), time.monotonic()


def _await_all(place: Place, crm: str, began: dict[str, float]) -> list[float]:
    ended: dict[str, float] = {}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while ended.keys() != began.keys():
        if time.monotonic() > deadline:
            raise EnrichmentError(f"{len(began) - len(ended)} contacts were not enriched")
        held = place.crm_contacts(crm)
        here = {crm_id for crm_id in began.keys() - ended.keys() if held[crm_id].get(SOURCES[crm].company)}
        ended.update(dict.fromkeys(here, time.monotonic()))
        time.sleep(0.05)
    return [ended[crm_id] - began[crm_id] for crm_id in began]
