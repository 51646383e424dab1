"""SQLite needs no stand-in: it is the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Give the settings of a file in the folder, which stays there."""
    yield {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db")}


def apart(settings: dict[str, str], name: str) -> dict[str, str]:
    """Return the settings of another file."""
    return {"ENRICHMENT_SQLITE_PATH": str(Path(settings["ENRICHMENT_SQLITE_PATH"]).with_name(f"{name}.db"))}
