"""A topic as it is subscribed to: whether we may, and what its events mean."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blocks.crms.salesforce.transport import CLIENT_NAME
from enrichment.errors import ConfigurationError
from enrichment.sealing import where
from triggers.salesforce.client import PubSubClient
from triggers.salesforce.events import Meaning, read_change, read_platform_event
from triggers.salesforce.failures import StreamFailedError, judge
from triggers.salesforce.pubsub_pb2 import ConsumerEvent
from triggers.salesforce.schemas import EventSchema, Schemas

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
        except Exception as error:  # noqa: BLE001 - one event that nobody can read must not hold up all others
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
