"""Specs and answers that several tests of providers share."""

from pathlib import Path
from typing import Any

from blocks.calls.messages import Answer
from blocks.providers.base import Request
from blocks.providers.spec.model import load_spec, parse_spec

_SPECS = Path(__file__).parents[2] / "integration" / "providers" / "specs"

ZOOMINFO = load_spec("zoominfo")
CARDFILE = parse_spec((_SPECS / "cardfile.yaml").read_text("utf-8"), "cardfile.yaml")


def request(email: str) -> Request:
    """Return a request by e-mail address; its key is the address, as the tests like to see it."""
    return Request(email, {"email": email})


def answer(status: int = 200, body: Any = None, **headers: str) -> Answer:
    """Return an answer with headers, written with underscores."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def item(email: str | None, status: str = "FULL_MATCH", **attributes: Any) -> dict[str, Any]:
    """Return an item of ZoomInfo's answer; without an address it has no echo."""
    echo = {} if email is None else {"input": {"emailAddress": email}}
    meta = {"matchStatus": status, **echo}
    if status.endswith("_MATCH") and not status.startswith("NO"):
        return {"id": f"id-{email}", "type": "Contact", "attributes": {"jobTitle": "Clerk", **attributes}, "meta": meta}
    return {"id": "0", "type": "NoMatch", "meta": meta}
