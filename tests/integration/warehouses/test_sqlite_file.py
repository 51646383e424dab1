"""The file of the embedded warehouse."""

import os
from pathlib import Path

from blocks.warehouses.sqlite import SqliteWarehouse


def test_the_file_is_readable_for_its_owner_only(tmp_path: Path) -> None:
    """So are the files that SQLite keeps beside it; one that was there keeps its permissions."""
    before = os.umask(0)
    try:
        warehouse = SqliteWarehouse(tmp_path / "new.db", 60)
        warehouse.migrate()
        files = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        assert {"new.db", "new.db-wal"} <= files.keys()
        assert set(files.values()) == {0o600}
        (tmp_path / "new.db").chmod(0o640)
        warehouse.migrate()
        warehouse.close()
        assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)
