"""A Salesforce org that serves its events, a new one for every test."""

from collections.abc import Callable, Iterator

import pytest

from blocks.warehouses.base import Warehouse
from sandbox import server
from sandbox.salesforce.pubsub import EventsAddress, serve_events
from tests.integration.crms.salesforce_org import SECRET, new_key
from tests.integration.salesforce_events.listening import Listening


@pytest.fixture(scope="session")
def events_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[server.Box, EventsAddress]]:
    """Start the stand-in and its events once."""
    with server.running(contacts=1, seed=7) as box, serve_events(box, tmp_path_factory.mktemp("events")) as address:
        yield box, address


@pytest.fixture
def listening(
    events_box: tuple[server.Box, EventsAddress], make_warehouse: Callable[[str], Warehouse]
) -> Iterator[Listening]:
    """Give an org with an app of its own, whose streams are quick to send empty messages, and a warehouse."""
    key = new_key()
    box, address = events_box
    app = {"consumer_key": key, "consumer_secret": SECRET}
    box.reset(contacts=0, salesforce={**app, "events_idle_seconds": 0.05, "events_grace_seconds": 30.0})
    listening = Listening(box, address, key, make_warehouse("sqlite"))
    try:
        yield listening
    finally:
        listening.stop()
