"""How a listener that answers no requests of its own says over HTTP whether it is well."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from enrichment.errors import ConfigurationError

_PATH = "/health"


class Pulse:
    """
    When something was last taken in, and what the listener is doing.

    Args:
        longest_seconds: it isn't well if nothing, not even an empty message, was taken in for longer.
    """

    def __init__(self, longest_seconds: float) -> None:
        self._longest_seconds = longest_seconds
        self._beaten_at = time.monotonic()
        self.doing = "starting"

    def beat(self, doing: str) -> None:
        """Note that something was taken in."""
        self._beaten_at = time.monotonic()
        self.doing = doing

    def is_well(self) -> bool:
        """Return whether that wasn't too long ago."""
        return self.quiet_seconds() <= self._longest_seconds

    def quiet_seconds(self) -> float:
        """Return how long ago something was taken in."""
        return time.monotonic() - self._beaten_at


@contextmanager
def told_over_http(pulse: Pulse, host: str, port: int) -> Iterator[int]:
    """
    Answer `GET /health` with 200 if the listener is well, else with 503; give the port.

    Raises:
        ConfigurationError: the port is taken, or the host isn't ours.
    """
    try:
        server = _Server((host, port), _Handler)
    except OSError as error:
        raise ConfigurationError(
            f"the health check can't listen on {host}:{port} ({error.strerror}): choose another `--health-port`"
        ) from None
    server.pulse = pulse
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    pulse: Pulse


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def do_GET(self) -> None:
        """Answer; the name is given by the library."""
        pulse = self.server.pulse
        if self.path != _PATH:
            self.send_error(404)
            return
        body = json.dumps({"doing": pulse.doing, "quiet_seconds": round(pulse.quiet_seconds(), 1)}).encode()
        self.send_response(200 if pulse.is_well() else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a line for every check would bury the others."""
