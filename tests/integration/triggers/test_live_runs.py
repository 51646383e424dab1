"""A process that hears from Prefect's server when contacts are queued."""

import asyncio
import uuid
from typing import Self

import pytest
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from blocks.events import QUEUE_RESOURCE
from tasks.run_starts import ask_for_run
from triggers.live_runs import follow_queue
from triggers.pulse import Pulse

PATIENCE_SECONDS = 60


@pytest.fixture(autouse=True)
def own_queue(prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a queue of its own: the server sends a new subscriber the events of the last minute, too."""
    monkeypatch.setitem(QUEUE_RESOURCE, "prefect.resource.id", f"contact-enrichment.queue.{uuid.uuid4().hex}")
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", "resident")


class Follower:
    """Follows the queue, and counts how often something was reported."""

    def __init__(self) -> None:
        self.reports = asyncio.Semaphore(0)
        self.pulse = Pulse(PATIENCE_SECONDS)

    async def reported(self) -> None:
        """Wait for one more report."""
        await asyncio.wait_for(self.reports.acquire(), PATIENCE_SECONDS)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(follow_queue(self.reports.release, self.pulse, reconnect_seconds=0.05))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class Relay:
    """Stands between a process and the server, and can cut every connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/api"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End what goes through now."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer), return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


def test_a_connection_and_each_request_for_a_run_are_reported() -> None:
    """What was queued before it came is found by the first run, and what comes then leads to one each."""

    async def follow() -> None:
        async with Follower() as follower:
            await follower.reported()
            for _ in range(2):
                assert follower.reports.locked()  # there was no report without a reason
                await asyncio.to_thread(ask_for_run, 1)
                await follower.reported()
            assert follower.pulse.doing == "listening"

    asyncio.run(follow())


def test_a_lost_connection_is_made_again_and_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A new connection is reported as well, since contacts may have been queued without one."""

    async def follow() -> None:
        url = get_current_settings().api.url
        assert url
        relay = Relay(int(url.rsplit(":", 1)[1].split("/")[0]))
        async with relay as through:
            with temporary_settings({PREFECT_API_URL: through}):
                follower = Follower()
                await follower.__aenter__()
            await follower.reported()
            relay.cut()
            await follower.reported()
            await follower.__aexit__()

    asyncio.run(follow())
    assert "events_lost" in caplog.text


def test_a_server_that_does_not_answer_is_tried_again() -> None:
    """Nothing is reported meanwhile, and the health check says what the process is doing."""
    calls = asyncio.Semaphore(0)

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.release()
        writer.close()

    async def follow() -> None:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: url}):
            async with server, Follower() as follower:
                for _ in range(10):  # one try makes a few calls
                    await asyncio.wait_for(calls.acquire(), PATIENCE_SECONDS)
                assert follower.reports.locked()
                assert follower.pulse.doing == "connecting"

    asyncio.run(follow())
