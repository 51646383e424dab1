"""The control of a running sandbox over HTTP: the requests that it got, and how it is to behave."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

import orjson

from sandbox.exchange import Reply, Request, json_reply
from sandbox.world import World

LINES_AT_ONCE = 500


class Controlled(Protocol):
    """Something that has a world, and can make another one."""

    @property
    def world(self) -> World:
        """Return the present world."""

    def reset(self, **changes: Any) -> World:
        """Make a new world, and return it."""


class Control:
    """
    Answers below /control, without authorisation: it can be reached from this machine only.

    Args:
        box: what is controlled.
    """

    def __init__(self, box: Controlled) -> None:
        self._box = box
        self._calls: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/health"): lambda _: json_reply({"status": "ok"}),
            ("GET", "/ledger"): lambda _: json_reply(_with_text_keys(self._box.world.summary())),
            ("GET", "/requests"): self._requests,
            ("GET", "/messages"): lambda _: self._messages(),
            ("GET", "/hubspot/contacts"): lambda _: self._contacts(self._box.world.hubspot.contacts),
            ("GET", "/salesforce/contacts"): lambda _: self._contacts(self._box.world.salesforce.contacts),
            ("POST", "/hubspot/contacts"): self._create_contacts,
            ("POST", "/hubspot/edit"): lambda request: self._change("edit", request),
            ("POST", "/hubspot/archive"): lambda request: self._change("archive", request),
            ("POST", "/hubspot/restore"): lambda request: self._change("restore", request),
            ("POST", "/hubspot/erase"): lambda request: self._change("erase", request),
            ("POST", "/hubspot/merge"): lambda request: self._change("merge", request),
            ("POST", "/salesforce/contacts"): self._create_salesforce_contacts,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): lambda _: self._clear_faults(),
            ("POST", "/settings"): self._configure,
            ("POST", "/clock"): self._advance_clock,
            ("POST", "/reset"): self._reset,
        }

    def answer(self, request: Request) -> Reply:
        """Answer a call."""
        call = self._calls.get((request.method, request.path))
        if call is None:
            return json_reply({"error": f"no such call; there are {sorted(self._calls)}"}, 404)
        try:
            return call(request)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return json_reply({"error": str(error)}, 400)

    def _requests(self, request: Request) -> Reply:
        """Return the latest requests of the service that the query names, oldest first."""
        (name,) = request.query().get("service", [""])
        return json_reply([asdict(record) for record in self._box.world.services[name].requests])

    def _messages(self) -> Reply:
        world = self._box.world
        slack = [asdict(message) for message in world.slack.messages]
        return json_reply({"slack": slack, "mail": [asdict(message) for message in world.mail.messages]})

    def _contacts(self, contacts: Mapping[str, Mapping[str, Any]]) -> Reply:
        # A list, because contacts may be created meanwhile.
        return Reply(content_type="application/x-ndjson", stream=_lines(list(contacts.items())))

    def _create_contacts(self, request: Request) -> Reply:
        return json_reply(self._box.world.hubspot.create(request.json()), 201)

    def _change(self, what: str, request: Request) -> Reply:
        """Do something to a contact of HubSpot's as people do it; the body has the call's arguments by name."""
        getattr(self._box.world.hubspot, what)(**request.json())
        return json_reply({})

    def _create_salesforce_contacts(self, request: Request) -> Reply:
        return json_reply(self._box.world.salesforce.create(request.json()), 201)

    def _add_fault(self, request: Request) -> Reply:
        script = request.json()
        for each in script if isinstance(script, list) else [script]:
            self._box.world.faults.add(**each)
        return json_reply([asdict(fault) for fault in self._box.world.faults.pending()], 201)

    def _clear_faults(self) -> Reply:
        self._box.world.faults.clear()
        return json_reply([])

    def _configure(self, request: Request) -> Reply:
        self._box.world.configure(request.json())
        return json_reply({})

    def _advance_clock(self, request: Request) -> Reply:
        clock = self._box.world.clock
        clock.advance(float(request.json()["seconds"]))
        return json_reply({"now": clock.now().isoformat()})

    def _reset(self, request: Request) -> Reply:
        changes = request.json() if request.body else {}
        if "now" in changes:
            changes["now"] = datetime.fromisoformat(changes["now"])
        self._box.reset(**changes)
        return json_reply({})


def _lines(contacts: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    for start in range(0, len(contacts), LINES_AT_ONCE):
        some = contacts[start : start + LINES_AT_ONCE]
        yield b"".join(orjson.dumps({"id": i, "properties": values}) + b"\n" for i, values in some)


def _with_text_keys(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary as JSON can write it, where the statuses are names."""
    loaded: dict[str, Any] = orjson.loads(orjson.dumps(summary, option=orjson.OPT_NON_STR_KEYS))
    return loaded
