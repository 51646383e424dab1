"""The calls about properties and their groups."""

from collections.abc import Callable
from typing import Any

from sandbox.clock import Clock, iso_of
from sandbox.exchange import Reply, Request, json_reply
from sandbox.hubspot.catalog import PropertyCatalog
from sandbox.hubspot.errors import OBJECT_NOT_FOUND, HubSpotError, unknown_path
from sandbox.hubspot.inputs import batch_inputs, json_object


class PropertyCalls:
    """Answers the calls."""

    def __init__(self, catalog: PropertyCatalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._calls: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", ""): lambda _: _listed(self._catalog.definitions),
            ("POST", ""): lambda request: json_reply(self._catalog.create(json_object(request)), 201),
            ("POST", "/batch/create"): self._create_many,
            ("GET", "/groups"): lambda _: _listed(self._catalog.groups),
            ("POST", "/groups"): lambda request: json_reply(self._catalog.create_group(json_object(request)), 201),
        }

    def answer(self, request: Request) -> Reply:
        """Answer a call; the path is what follows the type of objects."""
        path = request.path.rstrip("/")
        call = self._calls.get((request.method, path))
        if call:
            return call(request)
        if request.method == "GET" and path.startswith("/groups/"):
            return _found(self._catalog.groups, path.removeprefix("/groups/"))
        if request.method == "GET":
            return _found(self._catalog.definitions, path.removeprefix("/"))
        raise unknown_path()

    def _create_many(self, request: Request) -> Reply:
        inputs = batch_inputs(json_object(request))
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for each in inputs:
            try:
                results.append(self._catalog.create(each))
            except HubSpotError as error:
                if error.status != 409:
                    raise
                errors.append(error.as_item({"name": [each["name"]]}))
        now = iso_of(self._clock.milliseconds())
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": now,
            "completedAt": now,
        }
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return json_reply(body, 207 if errors else 201, inputs=len(inputs))


def _listed(known: dict[str, dict[str, Any]]) -> Reply:
    return json_reply({"results": list(known.values())})


def _found(known: dict[str, dict[str, Any]], name: str) -> Reply:
    if name not in known:
        raise HubSpotError(404, OBJECT_NOT_FOUND, f"There is no '{name}'")
    return json_reply(known[name])
