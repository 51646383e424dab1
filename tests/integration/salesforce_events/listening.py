"""A listener on the sandbox's events in a thread, and what it has staged."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from blocks.crms.salesforce.block import Salesforce
from blocks.crms.salesforce.session import Session
from blocks.warehouses.base import RunStart, Warehouse
from enrichment.records import Disposition, Finished, Origin
from sandbox import server
from sandbox.salesforce.event_schemas import CHANGES
from sandbox.salesforce.pubsub import EventsAddress
from sandbox.salesforce.sessions import ORG_ID
from tests.integration.crms.salesforce_org import SECRET
from triggers.pulse import Pulse
from triggers.salesforce.client import Endpoint, PubSubClient
from triggers.salesforce.intake import EventIntake
from triggers.salesforce.listener import Listener, Patience
from triggers.salesforce.topic import Fields, Topic, read_position

DEADLINE_SECONDS = 60
#: Waits that are long enough to be real and short enough for a test.
HASTY = Patience(
    silence=30,
    first=0.01,
    longest=0.1,
    slow_first=0.01,
    slow_longest=0.1,
    between_queries=0.05,
    until_resubscribed=0.1,
    quota=0.05,
    quiet=0,
)


@dataclass
class Listening:
    """The sandbox's org, a warehouse, and the listeners that were started on them."""

    box: server.Box
    address: EventsAddress
    key: str
    warehouse: Warehouse
    notified: threading.Event = field(default_factory=threading.Event)
    pulse: Pulse = field(default_factory=lambda: Pulse(60))
    error: BaseException | None = None
    _listener: Listener | None = None
    _thread: threading.Thread | None = None

    @property
    def org(self) -> Any:
        return self.box.world.salesforce

    @property
    def totals(self) -> dict[str, int]:
        with self.org.bus.changed:
            return dict(self.org.bus.totals)

    def block(self, **options: Any) -> Salesforce:
        chosen = {"login_url": self.box.salesforce_url, "consumer_key": self.key, "consumer_secret": SECRET}
        return Salesforce(**{**chosen, "requests_per_second": 1000, **options})

    def start(
        self,
        topic: str = CHANGES,
        *,
        patience: Patience = HASTY,
        fields: Fields | None = None,
        warehouse: Warehouse | None = None,
    ) -> None:
        """Listen in a thread, until `stop` or an error."""
        block = self.block()
        crm = block.get_crm()
        self.error = None
        self._listener = listener = Listener(
            Endpoint.read(self.address.endpoint, self.address.ca_file),
            Topic(topic, fields or Fields(block.events_id_field, block.events_email_field)),
            block.get_sessions()[1],
            EventIntake(warehouse or self.warehouse, crm, self.notified.set),
            self.pulse,
            patience,
        )

        def work() -> None:
            try:
                listener.run()
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.error = error
            finally:
                crm.close()

        self._thread = threading.Thread(target=work, name="listener-under-test")
        self._thread.start()

    def begin(self, topic: str = CHANGES, **options: Any) -> None:
        """Start, and wait until the listener has taken something in, after which no query is owed any more."""
        before = self.cursor(topic)
        self.start(topic, **options)
        self.wait(lambda: self.cursor(topic) != before)

    @contextmanager
    def client(self, session: Session | None = None) -> Iterator[PubSubClient]:
        """Give a client of its own, by default in a session that holds."""
        endpoint = Endpoint.read(self.address.endpoint, self.address.ca_file)
        client = PubSubClient(endpoint, session or self.block().get_sessions()[1].get())
        try:
            yield client
        finally:
            client.close()

    def stop(self) -> None:
        """Stop, and wait for the end."""
        if self._listener and self._thread:
            self._listener.stop()
            self._thread.join(DEADLINE_SECONDS)
            assert not self._thread.is_alive(), "the listener doesn't stop"

    def end(self) -> BaseException:
        """Wait for the error that ends the listener, and return it."""
        assert self._thread
        self._thread.join(DEADLINE_SECONDS)
        assert self.error, "the listener ended without an error, or didn't end"
        return self.error

    def create(self, number: int = 1, **values: Any) -> list[str]:
        """Create contacts as people do."""
        contacts = [{"LastName": f"L{n}", "Email": f"person{n}@example.com", **values} for n in range(number)]
        return list(self.org.create(contacts))

    def create_unseen(self, number: int = 1) -> list[str]:
        """Create contacts that no event announces."""
        self.box.configure(salesforce={"change_events": False, "creation_events": False})
        ids = self.create(number)
        self.box.configure(salesforce={"change_events": True, "creation_events": True})
        return ids

    def staged(self) -> dict[str, dict[str, Any]]:
        """Return the rows of the queue, by contact."""
        with self.warehouse._reading() as session:
            rows = session._connection.execute("SELECT * FROM enrichment_staging").fetchall()
        return {row["crm_id"]: dict(row) for row in rows}

    def wait_staged(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        """Wait until these contacts are in the queue, and return the queue."""
        self.wait(lambda: set(ids) <= self.staged().keys())
        return self.staged()

    def empty_queue(self) -> None:
        """Forget what was staged."""
        with self.warehouse._transaction() as session:
            session._connection.execute("DELETE FROM enrichment_staging")

    def end_contact(self, contact: str) -> None:
        """Let a run end a staged contact."""
        self.warehouse.open_run(RunStart("run-1", "a run", "zoominfo", "salesforce", ""), lease_seconds=600)
        options = {"origin": Origin("salesforce"), "lane": "", "limit": 1000, "lease_seconds": 600}
        claim = self.warehouse.claim("run-1", make_token=lambda: "token", **options)
        record = next(each for each in claim.records if each.crm_id == contact)
        self.warehouse.settle(claim, Origin("salesforce"), [Finished(record.record_id, Disposition.UNMATCHED)], [])
        self.empty_queue()

    def cursor(self, topic: str = CHANGES) -> str:
        """Return the position as it is stored; empty if there is none."""
        return self.warehouse.read_cursor(f"events:salesforce:{ORG_ID}:{topic}") or ""

    def wait_past(self) -> None:
        """Wait until everything that was published so far is behind the position."""
        mark = self.org.bus.mark()
        self.wait(lambda: int.from_bytes(read_position(self.cursor()).replay_id) > mark)

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if self.error:
                raise AssertionError("the listener ended") from self.error
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)
