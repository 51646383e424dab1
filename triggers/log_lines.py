"""What a listener says on its standard error: its own events, and of libraries what is a warning at least."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from blocks.log import PACKAGES


@contextmanager
def shown_on_stderr() -> Iterator[None]:
    """Show one line for each event, as long as this is open; the libraries' own lines may hold addresses of calls."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    for name in PACKAGES:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
