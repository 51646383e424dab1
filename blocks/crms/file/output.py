"""The output of a list: written beside its place row by row, and put there whole."""

import csv
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from blocks.csv_files.layout import Layout
from enrichment.errors import TransientError
from enrichment.text import storable_text


def write_output(path: Path, layout: Layout, preamble: str, rows: Iterable[list[str]]) -> None:
    """
    Put rows in a file's place, so that a reader sees the old content or the new one.

    Args:
        path: of the file.
        layout: how it is written.
        preamble: text above the rows.
        rows: their cells, those of the header first; none for a blank line.

    Raises:
        TransientError: the folder or the disk doesn't take it; the old content is still there.
    """
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    encoding = layout.encoding.for_output
    try:
        with beside.open("xb") as file:
            file.write(encoding.mark + preamble.encode(encoding.codec))
        with beside.open("a", encoding=encoding.codec, newline="") as text:
            _Rows(text, layout).write(rows)
            text.flush()
            os.fsync(text.fileno())
        if path.exists():
            beside.chmod(path.stat().st_mode)
        beside.replace(path)
    except OSError as error:
        raise TransientError(f"{path} can't be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)


def clear_leftovers(path: Path) -> None:
    """Remove what a killed writer left beside the file; only its present writer may ask for that."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink(missing_ok=True)


class _Rows:
    """Writes rows with quotation marks where they are needed."""

    def __init__(self, text: Any, layout: Layout) -> None:
        form: Any = {"delimiter": layout.delimiter, "lineterminator": layout.newline}
        self._usual = csv.writer(text, **form)
        # Before Python 3.13 the other one puts no marks around a line end that isn't its own.
        self._marked = csv.writer(text, quoting=csv.QUOTE_ALL, **form)

    def write(self, rows: Iterable[list[str]]) -> None:
        for cells in rows:
            line = "".join(cells)
            writer = self._marked if "\r" in line or "\n" in line else self._usual
            writer.writerow(cells if line.isascii() and "\0" not in line else [storable_text(cell) for cell in cells])
