"""The ASGI application: finds the service, and delivers its reply or a part of it."""

import asyncio
from typing import Protocol

from starlette.types import Receive, Scope, Send

from sandbox.control import Control
from sandbox.exchange import Cut, Reply, Request, text_reply
from sandbox.world import World

_LOOK_AGAIN_SECONDS = 0.01


class WorldHolder(Protocol):
    """Something that has the present world."""

    @property
    def world(self) -> World:
        """Return it."""


class App:
    """
    Answers HTTP requests.

    Args:
        holder: has the world, and may get another one.
        control: answers below /control.
    """

    def __init__(self, holder: WorldHolder, control: Control) -> None:
        self._holder = holder
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        reply = self._answer(request)
        if reply.delay_seconds:
            await asyncio.sleep(reply.delay_seconds)
        while reply.is_held():  # noqa: ASYNC110  - it is released in another thread
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await _deliver(reply, send)
        if reply.cut is not Cut.NONE:
            await _hang_up(reply.cut, scope["state"]["transport"], receive)

    def _answer(self, request: Request) -> Reply:
        name = request.path.split("/", 2)[1]
        if name == "control":
            return self._control.answer(request.below("/control"))
        world = self._holder.world
        with world.lock:
            service = world.services.get(name)
            return service.answer(request) if service else text_reply("no such service", 404)


async def _read(scope: Scope, receive: Receive) -> Request:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return Request(
        method=scope["method"],
        path=scope["path"],
        query_string=scope["query_string"].decode("latin-1"),
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        body=b"".join(parts),
    )


async def _deliver(reply: Reply, send: Send) -> None:
    if reply.cut is Cut.EVERYTHING:
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": _head(reply)})
    for piece in reply.stream or ():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    halved = reply.cut is Cut.HALF
    body = reply.body[: len(reply.body) // 2] if halved else reply.body
    await send({"type": "http.response.body", "body": body, "more_body": halved})


def _head(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = {"Content-Type": reply.content_type, **reply.headers}
    if reply.stream is None:
        headers["Content-Length"] = str(len(reply.body))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def _hang_up(cut: Cut, transport: asyncio.Transport, receive: Receive) -> None:
    # `close` sends what is still buffered, `abort` doesn't.
    if cut is Cut.HALF:
        transport.close()
    else:
        transport.abort()
    # Until the server has noticed, it would answer 500 in our name.
    while (await receive())["type"] != "http.disconnect":
        pass
