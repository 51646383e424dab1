"""The calls that write contacts: create and update, one or many, and delete."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sandbox.clock import Clock, iso_of
from sandbox.exchange import Reply, Request, json_reply
from sandbox.hubspot.catalog import PropertyCatalog
from sandbox.hubspot.errors import CONFLICT, HubSpotError, invalid, invalid_values, not_found
from sandbox.hubspot.inputs import (
    WriteInput,
    batch_inputs,
    json_object,
    numeric_id,
    property_values,
    value_flaws,
    write_inputs,
)
from sandbox.hubspot.rendering import View, view_of
from sandbox.hubspot.store import ContactStore, Record
from sandbox.hubspot.values import stored

SOURCE = "INTEGRATION"


class Write(NamedTuple):
    """An update that was accepted; the time is in seconds since the epoch."""

    contact_id: str
    properties: dict[str, str]
    at: float


class ContactWrites:
    """Answers the calls, and keeps what was written."""

    def __init__(self, store: ContactStore, catalog: PropertyCatalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self.writes: list[Write] = []
        self.updates_by_contact: Counter[str] = Counter()
        self._views: dict[tuple[str, ...], View] = {}

    def update_one(self, request: Request, record_id: str) -> Reply:
        """Update a contact; the id of one that was merged away means its survivor."""
        values = self._accepted_values(request)
        record = self._store.surviving(record_id)
        if record is None or record.archived:
            raise not_found(record_id)
        return json_reply(self._update(record, values), inputs=1)

    def create_one(self, request: Request) -> Reply:
        """Create a contact."""
        values = self._accepted_values(request)
        self._check_email(values)
        return json_reply(self._create(values), 201, inputs=1)

    def delete_one(self, record_id: str, source: str = SOURCE) -> Reply:
        """Put a contact into the recycling bin, if it is there."""
        record = self._store.get(record_id)
        if record:
            self._store.archive(record, source)
        return Reply(204, inputs=1)

    def delete_many(self, request: Request) -> Reply:
        """Put contacts into the recycling bin."""
        inputs = batch_inputs(json_object(request))
        for each in inputs:
            self.delete_one(numeric_id(each.get("id")))
        return Reply(204, inputs=len(inputs))

    def erase(self, request: Request) -> Reply:
        """Delete a contact for good."""
        body = json_object(request)
        wanted = str(body.get("objectId") or "")
        record = self._store.with_email(wanted) if body.get("idProperty") == "email" else self._store.get(wanted)
        if record:
            self._store.erase(record, SOURCE)
        return Reply(204, inputs=1)

    def update_many(self, request: Request, *, trace_ids_cover_validation: bool) -> Reply:
        """
        Update up to a hundred contacts.

        One bad input fails them all, unless every input has a trace id: then a contact that
        doesn't exist fails alone. An id that was merged away is passed over without a word.
        """
        inputs = write_inputs(json_object(request), with_ids=True)
        traced = all(each.trace_id for each in inputs)
        flaws = value_flaws([each.values for each in inputs], self._catalog.definitions)
        if flaws and not (traced and trace_ids_cover_validation):
            raise invalid_values([flaw for some in flaws.values() for flaw in some])
        errors = self._absences(inputs) | {place: invalid_values(f) for place, f in flaws.items()}
        if errors and not traced:
            raise invalid("; ".join(map(str, errors.values())))
        results = [self._update_input(each) for place, each in enumerate(inputs) if place not in errors]
        return self._batch_reply([each for each in results if each], errors, inputs, 200)

    def create_many(self, request: Request) -> Reply:
        """Create up to a hundred contacts; trace ids let the others through if some can't be."""
        inputs = write_inputs(json_object(request), with_ids=False)
        flaws = value_flaws([each.values for each in inputs], self._catalog.definitions)
        errors = self._conflicts(inputs) | {place: invalid_values(f) for place, f in flaws.items()}
        if errors and not all(each.trace_id for each in inputs):
            raise next(iter(errors.values()))
        results = [_traced(self._create(e.values), e) for place, e in enumerate(inputs) if place not in errors]
        return self._batch_reply(results, errors, inputs, 201)

    def _accepted_values(self, request: Request) -> dict[str, str]:
        values = property_values(json_object(request).get("properties"))
        flaws = value_flaws([values], self._catalog.definitions)
        if flaws:
            raise invalid_values(flaws[0])
        return values

    def _absences(self, inputs: Sequence[WriteInput]) -> dict[int, HubSpotError]:
        return {place: not_found(each.id) for place, each in enumerate(inputs) if not self._exists(each.id)}

    def _exists(self, record_id: str) -> bool:
        record = self._store.surviving(record_id)
        return record is not None and not record.archived

    def _conflicts(self, inputs: Sequence[WriteInput]) -> dict[int, HubSpotError]:
        errors: dict[int, HubSpotError] = {}
        for place, each in enumerate(inputs):
            try:
                self._check_email(each.values)
            except HubSpotError as error:
                errors[place] = error
        return errors

    def _check_email(self, values: Mapping[str, str]) -> None:
        existing = self._store.with_email(values["email"]) if values.get("email") else None
        if existing:
            raise HubSpotError(409, CONFLICT, f"Contact already exists. Existing ID: {existing.id}")

    def _update_input(self, each: WriteInput) -> dict[str, Any] | None:
        if self._store.is_merged_away(each.id):
            return None
        record = self._store.get(each.id)
        return _traced(self._update(record, each.values), each) if record else None

    def _update(self, record: Record, values: Mapping[str, str]) -> dict[str, Any]:
        self._store.change(record, self._stored(values), SOURCE)
        self.writes.append(Write(record.id, dict(values), self._clock.seconds()))
        self.updates_by_contact[record.id] += 1
        return self._written_view(values).render(record)

    def _create(self, values: Mapping[str, str]) -> dict[str, Any]:
        return self._written_view(values).render(self._store.create(self._stored(values), SOURCE))

    def _stored(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: stored(value, self._catalog.definitions[name]) for name, value in values.items()}

    def _written_view(self, values: Mapping[str, str]) -> View:
        """Return the view of an answer to a write: what was written, not the whole record."""
        names = tuple(values)
        if names not in self._views:
            self._views[names] = view_of(self._catalog.definitions, names)
        return self._views[names]

    def _batch_reply(
        self,
        results: Sequence[Mapping[str, Any]],
        errors: Mapping[int, HubSpotError],
        inputs: Sequence[WriteInput],
        status: int,
    ) -> Reply:
        now = iso_of(self._clock.milliseconds())
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": now,
            "completedAt": now,
        }
        if errors:
            items = [error.as_item(_context(inputs[place])) for place, error in errors.items()]
            body |= {"numErrors": len(items), "errors": items}
        return json_reply(body, 207 if errors else status, inputs=len(inputs))


def _context(each: WriteInput) -> dict[str, list[str]]:
    ids = {"ids": [each.id]} if each.id else {}
    return {**ids, "objectWriteTraceId": [each.trace_id]}


def _traced(result: dict[str, Any], each: WriteInput) -> dict[str, Any]:
    return {**result, "objectWriteTraceId": each.trace_id} if each.trace_id else result
