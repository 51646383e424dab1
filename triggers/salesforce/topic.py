"""A topic as it is subscribed to: whether we may, its schemas, what its events mean, and the place in it."""

import io
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import fastavro
from fastavro.types import Schema as ParsedSchema

from blocks.crms.salesforce.session import CLIENT_NAME
from enrichment.errors import ConfigurationError, where
from triggers.salesforce.client import PubSubClient, StreamFailedError, judge
from triggers.salesforce.events import Meaning, read_change, read_platform_event
from triggers.salesforce.pubsub_pb2 import ConsumerEvent


@dataclass(frozen=True, slots=True)
class Position:
    """
    A place in a topic.

    Args:
        replay_id: Salesforce's name for it: opaque bytes, empty if what was stored can't be read.
        reached_at: what was committed before this moment is staged; None if that isn't known.
    """

    replay_id: bytes
    reached_at: datetime | None

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps(
            {"replay_id": self.replay_id.hex(), "reached_at": self.reached_at.isoformat() if self.reached_at else None}
        )


def read_position(text: str) -> Position:
    """Return what was stored."""
    try:
        stored = json.loads(text)
        reached_at = stored["reached_at"]
        return Position(bytes.fromhex(stored["replay_id"]), datetime.fromisoformat(reached_at) if reached_at else None)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Position(b"", None)


@dataclass(frozen=True, slots=True)
class EventSchema:
    """A schema, and the names of its fields in order."""

    parsed: ParsedSchema
    fields: tuple[str, ...]

    def decode(self, payload: bytes) -> dict[str, Any]:
        """
        Return an event's values by field; nested records are dictionaries, and an empty union is None.

        Raises:
            Exception: of many kinds, if the payload isn't of this schema.
        """
        decoded: Any = fastavro.schemaless_reader(io.BytesIO(payload), self.parsed, None)
        return dict(decoded)


class Schemas:
    """The schemas that were met, by their id; a topic gets a new one whenever its fields change."""

    def __init__(self) -> None:
        self._known: dict[str, EventSchema] = {}

    def get(self, schema_id: str, ask: Callable[[str], str]) -> EventSchema:
        """Return a schema; it is asked for only if it is new, since the answer takes a second."""
        if schema_id not in self._known:
            self._known[schema_id] = _parse(ask(schema_id))
        return self._known[schema_id]


def _parse(text: str) -> EventSchema:
    schema = json.loads(text)
    return EventSchema(fastavro.parse_schema(schema), tuple(field["name"] for field in schema["fields"]))


logger = logging.getLogger(__name__)

_PLATFORM_EVENT = "/event/"


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a platform event has the contact's id and e-mail address; dots lead into nested fields."""

    contact_id: str
    email: str


class Topic:
    """
    Reads the events of one topic.

    Args:
        name: such as `/data/ContactChangeEvent`.
        fields: of a platform event.
    """

    def __init__(self, name: str, fields: Fields) -> None:
        self.name = name
        self._fields = fields
        self._schemas = Schemas()

    def check(self, client: PubSubClient) -> None:
        """
        Make sure that we may subscribe, and that a platform event has the field of the id.

        Raises:
            StreamFailedError: we may not, or the API can't say.
            ConfigurationError: the field is missing.
        """
        info = client.topic(self.name)
        if not info.can_subscribe:
            raise StreamFailedError(judge("PERMISSION_DENIED", "subscription.topic.cannot.subscribe"))
        if self.name.startswith(_PLATFORM_EVENT) and info.schema_id:
            self._check_fields(self._schemas.get(info.schema_id, client.schema))

    def read(self, client: PubSubClient, events: Sequence[ConsumerEvent]) -> list[Meaning]:
        """
        Return what events mean, in their order.

        Raises:
            StreamFailedError: a schema can't be had now.
        """
        return [self._read(client, event) for event in events]

    def _read(self, client: PubSubClient, event: ConsumerEvent) -> Meaning:
        schema = self._schemas.get(event.event.schema_id, client.schema)
        try:
            return self._meaning(schema, schema.decode(event.event.payload))
        except Exception as error:  # noqa: BLE001 - one event that can't be read must not hold up all others
            logger.error("salesforce_event_unreadable error=%s", where(error))  # noqa: TRY400 - the text may quote it
            return Meaning(query_needed=True)

    def _meaning(self, schema: EventSchema, event: dict[str, Any]) -> Meaning:
        if self.name.startswith(_PLATFORM_EVENT):
            return read_platform_event(event, self._fields.contact_id, self._fields.email)
        return read_change(event, schema.fields, CLIENT_NAME)

    def _check_fields(self, schema: EventSchema) -> None:
        if self._fields.contact_id.partition(".")[0] not in schema.fields:
            there = ", ".join(name for name in schema.fields if name.endswith("__c")) or "none"
            raise ConfigurationError(
                f"{self.name} has no field {self._fields.contact_id} (its own fields: {there}): "
                "set ENRICHMENT_SALESFORCE_EVENTS_ID_FIELD to the one that holds the contact's id"
            )
