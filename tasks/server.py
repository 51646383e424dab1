"""Prefect's server: the one that is set, or a temporary one for this process."""

import httpx
from prefect.settings import get_current_settings

from enrichment.errors import TransientError


def ensure_server() -> None:
    """
    Start a temporary server if none is set; each process has at most one, which ends with it.

    Raises:
        TransientError: it isn't up in time; the message says what to do instead.
    """
    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - takes seconds to import

    try:
        SubprocessASGIServer().start()
    except (RuntimeError, httpx.HTTPError):
        seconds = settings.server.ephemeral.startup_timeout_seconds
        raise TransientError(
            f"Prefect's temporary server did not start within {seconds} seconds. Start a server of your own with "
            "`prefect server start`, set PREFECT_API_URL=http://127.0.0.1:4200/api, and run this command again; "
            "or allow more time with PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
        ) from None
