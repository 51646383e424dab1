"""HTTP as the receiver speaks it: uvicorn's, with an end to the patience with clients that send slowly."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Longer than proxies keep idle connections, so that the receiver never closes one that a request is on its way over.
_KEEP_ALIVE_SECONDS = 75
#: Longer than an answer may take, and short enough for the process that sent SIGTERM.
_GRACE_SECONDS = 20
#: Below the number of files that a process may usually open; further ones get 503.
_MOST_CONNECTIONS = 500


class PatientProtocol(H11Protocol):
    """
    Closes a connection over which the head of a request takes too long; uvicorn itself would wait for ever.

    For the body there is the time that a request may take. A head has at most 64 KiB.
    """

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Wait on if the head isn't whole; the first bytes of a later one begin a wait of its own."""
        super().data_received(data)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def server_config(app: FastAPI, protocol: type[PatientProtocol] = PatientProtocol) -> uvicorn.Config:
    """Return how an application is served."""
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing depends on who called
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
