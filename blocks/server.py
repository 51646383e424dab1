"""Whether Prefect's server answers, asked before anything relies on it: Prefect itself waits for minutes."""

import math
import time

import httpx
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, get_current_settings, temporary_settings

from enrichment.errors import TransientError

_ANSWER_SECONDS = 5.0
#: How long a server isn't asked again, by whether it answered: to ask takes a tenth of a second of computing.
_HOLDS_SECONDS = {True: 10.0, False: 60.0}
_last_answer: dict[str, tuple[bool, float]] = {}

SILENT_SERVER = (
    f"Prefect's server, which PREFECT_API_URL names, doesn't answer within {_ANSWER_SECONDS:g} seconds: start it with "
    "`prefect server start`, or correct the address"
)


def server_answers() -> bool:
    """
    Return whether Prefect's server answers within seconds; inside a run it is taken to.

    Prefect would wait a minute for each call and repeat it, and the command would say nothing meanwhile.
    """
    url = str(get_current_settings().api.url)
    if FlowRunContext.get() or TaskRunContext.get():
        return True
    answered, at = _last_answer.get(url, (False, -math.inf))
    if time.monotonic() - at < _HOLDS_SECONDS[answered]:
        return answered
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(sync_client=True, httpx_settings={"timeout": _ANSWER_SECONDS}) as client,
    ):
        error = client.api_healthcheck()
    answered = not isinstance(error, httpx.TransportError)
    _last_answer[url] = answered, time.monotonic()
    return answered


def require_server() -> None:
    """Raise a TransientError if a server is named and doesn't answer."""
    if get_current_settings().api.url and not server_answers():
        raise TransientError(SILENT_SERVER)
