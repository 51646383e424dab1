"""HTTP without sockets: what the client libraries send is answered by the stand-ins' services in the same thread."""

import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import ProtocolError

from sandbox.exchange import Cut, Reply, Request

#: Where the pipeline believes the services to be.
URL = "http://localhost"

Send = Callable[[str, Request], Reply]


class _Half(httpx.AsyncByteStream):
    """A body whose connection ends in the middle."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: len(self._body) // 2]
        raise httpx.ReadError("the connection was lost")


@contextmanager
def connected(send: Send, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Let every request of httpx and urllib3 in this process go to `send`, with the service's name.

    Args:
        send: returns what is answered.
        patch: undoes it.
    """

    def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in headers.items()}
        return send(parts.path.split("/", 2)[1], Request(method, parts.path, parts.query, lower, body))

    async def answer_async(_: Any, request: httpx.Request) -> httpx.Response:
        reply = exchange(request.method, str(request.url), request.headers, await request.aread())
        if reply.cut is Cut.EVERYTHING:
            raise httpx.ReadError("the connection was lost")
        stream = _Half(reply.body) if reply.cut is Cut.HALF else httpx.ByteStream(reply.body)
        return httpx.Response(reply.status, headers=_headers(reply), stream=stream)

    def answer(_: Any, request: httpx.Request) -> httpx.Response:
        reply = exchange(request.method, str(request.url), request.headers, request.read())
        if reply.cut is not Cut.NONE:
            raise httpx.ReadError("the connection was lost")
        return httpx.Response(reply.status, headers=_headers(reply), content=reply.body)

    def urlopen(_: Any, method: str, url: str, body: Any = None, headers: Any = None, **__: Any) -> HTTPResponse:
        content = body.encode() if isinstance(body, str) else body or b""
        reply = exchange(method, url, headers or {}, content)
        if reply.cut is not Cut.NONE:
            raise ProtocolError("Connection aborted.")
        return HTTPResponse(io.BytesIO(reply.body), _headers(reply), reply.status, preload_content=False)

    patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer_async)
    patch.setattr(httpx.HTTPTransport, "handle_request", answer)
    patch.setattr(HTTPConnectionPool, "urlopen", urlopen)
    yield


def _headers(reply: Reply) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **reply.headers}
