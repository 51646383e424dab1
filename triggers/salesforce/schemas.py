"""Avro schemas of events, each asked for once, and what they decode."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fastavro
from fastavro.types import Schema as ParsedSchema


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
