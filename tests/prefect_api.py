"""How tests ask a Prefect server that runs in another process."""

from http import HTTPStatus
from typing import Any

import httpx
import tenacity

from blocks.calls.tls import tls


def _busy(error: BaseException) -> bool:
    locked = isinstance(error, httpx.HTTPStatusError) and error.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    return locked or isinstance(error, httpx.TimeoutException)


@tenacity.retry(
    retry=tenacity.retry_if_exception(_busy),
    wait=tenacity.wait_fixed(0.3),
    stop=tenacity.stop_after_delay(200),
    reraise=True,
)
def ask_prefect(api: str, method: str, path: str, body: Any = None) -> Any:
    """
    Return what a server answers; a busy one, whose SQLite is locked, is asked again, as Prefect's own client does.

    Args:
        api: the server's address, as in PREFECT_API_URL.
        method: of the request; a POST that must not be repeated carries an idempotency key.
        path: below the address.
        body: of the request, as JSON.
    """
    answer = httpx.request(method, f"{api}/{path}", json=body, timeout=60, verify=tls()).raise_for_status()
    return answer.json() if answer.content else None
