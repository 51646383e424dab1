"""One HTTP request and its reply, as the services see them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Self
from urllib.parse import parse_qs

import orjson


class Cut(Enum):
    """How much of a reply reaches the caller."""

    NONE = "none"
    EVERYTHING = "everything"
    HALF = "half"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received; header names are in lower case."""

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """
        Return the body's JSON.

        Raises:
            ValueError: the body isn't valid JSON.
        """
        return orjson.loads(self.body)

    def query(self) -> dict[str, list[str]]:
        """Return the values of each query parameter."""
        return parse_qs(self.query_string, keep_blank_values=True)

    def below(self, prefix: str) -> Self:
        """Return the request as it looks to the service of the paths below the prefix."""
        return replace(self, path=self.path.removeprefix(prefix))


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What is answered.

    Args:
        status: of HTTP.
        body: as sent.
        headers: beside content type and length.
        content_type: of the body.
        inputs: how many records the request concerned, for the ledger.
        delay_seconds: before it is sent.
        is_held: returns whether it must still wait.
        cut: what the network swallows.
        stream: sent instead of the body, piece by piece.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    inputs: int = 0
    delay_seconds: float = 0.0
    is_held: Callable[[], bool] = lambda: False
    cut: Cut = Cut.NONE
    stream: Iterable[bytes] | None = None

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the reply with more headers; those that it has already stay."""
        return replace(self, headers={**headers, **self.headers})


def json_reply(value: Any, status: int = 200, *, inputs: int = 0, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a reply of JSON."""
    return Reply(status, orjson.dumps(value), headers or {}, inputs=inputs)


def text_reply(text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8") -> Reply:
    """Return a reply of text."""
    return Reply(status, text.encode(), content_type=content_type)
