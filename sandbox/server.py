"""The sandbox as a running server: one thread with one event loop for HTTP and SMTP alike."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from aiosmtpd.smtp import Envelope
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.accounts import ACCOUNTS
from sandbox.app import App
from sandbox.control import Control
from sandbox.mail import smtp_protocol
from sandbox.settings import Settings
from sandbox.slack import WEBHOOK_PATH
from sandbox.world import World, adjusted

HOST = "127.0.0.1"
START_SECONDS = 30
STOP_SECONDS = 10
#: Longer than clients keep idle connections, so that the sandbox never closes one unasked.
KEEP_ALIVE_SECONDS = 600


class Box:
    """A running sandbox: its addresses, and its present world."""

    def __init__(self, settings: Settings, port: int, smtp_port: int) -> None:
        self._settings = settings
        self.world = World(settings)
        self.url = f"http://{HOST}:{port}"
        self.zoominfo_url = self.url + ACCOUNTS["zoominfo"].path
        self.zoominfo_legacy_url = self.url + ACCOUNTS["zoominfo_legacy"].path
        self.clearbit_url = self.url + ACCOUNTS["clearbit"].path
        self.peopledatalabs_url = self.url + ACCOUNTS["peopledatalabs"].path
        self.apollo_url = self.url + ACCOUNTS["apollo"].path
        self.hunter_url = self.url + ACCOUNTS["hunter"].path
        self.hubspot_url = self.url + ACCOUNTS["hubspot"].path
        self.salesforce_url = self.url + ACCOUNTS["salesforce"].path
        self.slack_url = f"{self.url}/slack{WEBHOOK_PATH}"
        self.smtp_port = smtp_port

    def reset(self, **changes: Any) -> World:
        """Make a new world at the same addresses, as at the start but for these changes."""
        self.world.close()
        self.world = World(adjusted(self._settings, changes))
        return self.world

    def configure(self, **changes: Any) -> None:
        """Change settings of the present world, such as `zoominfo={"credits_left": 10}`."""
        self.world.configure(changes)

    def address(self) -> dict[str, Any]:
        """Return where it is, for the process that started it."""
        return {"url": self.url, "smtp_port": self.smtp_port, "pid": os.getpid()}

    # The name is given by aiosmtpd.
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Deliver a message."""
        mail = self.world.mail
        await asyncio.sleep(mail.settings.latency_ms / 1000)
        return mail.deliver(envelope)


class _Protocol(H11Protocol):
    """Lets the application get at the connection, which it drops when a fault says so."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """Serves HTTP and SMTP on given sockets, and says when it does."""

    def __init__(self, box: Box, smtp_socket: socket.socket) -> None:
        config = uvicorn.Config(
            App(box, Control(box)),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._box = box
        self._smtp_socket = smtp_socket
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        await loop.create_server(lambda: smtp_protocol(self._box), sock=self._smtp_socket)
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def running(*, port: int = 0, smtp_port: int = 0, **settings: Any) -> Iterator[Box]:
    """
    Run a sandbox in a separate thread.

    Args:
        port: of HTTP; 0 for any.
        smtp_port: of SMTP; 0 for any.
        settings: of `Settings`; a service's as a mapping, such as `hubspot={"tier": "starter"}`.

    Raises:
        OSError: a port is taken.
        TimeoutError: it didn't start, or didn't end.
    """
    with _bound(port) as http_socket, _bound(smtp_port) as smtp_socket:
        box = Box(
            adjusted(Settings(), settings),
            http_socket.getsockname()[1],
            smtp_socket.getsockname()[1],
        )
        server = _Server(box, smtp_socket)
        thread = threading.Thread(target=server.run, args=([http_socket],), name="sandbox", daemon=True)
        thread.start()
        try:
            if not server.ready.wait(START_SECONDS):
                raise TimeoutError("the sandbox didn't start")
            yield box
        finally:
            box.world.close()
            server.should_exit = True
            thread.join(STOP_SECONDS)
            server.force_exit = True  # a client holds a connection open
            thread.join(STOP_SECONDS)
            if thread.is_alive():
                raise TimeoutError("the sandbox didn't end")


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
