"""What the stand-in of a warehouse offers: a server, and any number of empty warehouses on it."""

import importlib
import socket
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from blocks.base import module_names, variable_prefix
from blocks.warehouses.base import Warehouse, WarehouseBlock


class StandIn(Protocol):
    """A module of this package."""

    def serve(self, folder: Path) -> AbstractContextManager[dict[str, str]]:
        """Run the engine, whose files and logs go to the folder, and give the settings that lead to it."""

    def apart(self, settings: dict[str, str], name: str) -> dict[str, str]:
        """Return the settings of a separate warehouse on the same engine; the name is a lower-case word."""


def stand_in_names() -> tuple[str, ...]:
    """Return the warehouses that have a stand-in."""
    return module_names(__package__)


def load_stand_in(vendor: str) -> StandIn:
    """Return a warehouse's stand-in; what it needs must be installed."""
    return cast("StandIn", importlib.import_module(f"{__package__}.{vendor}"))


def open_stand_in(vendor: str, block: type[WarehouseBlock], settings: dict[str, str]) -> Warehouse:
    """Return the adapter by settings alone, without this process's own environment and Prefect profile."""
    prefix = variable_prefix(vendor)
    values: dict[str, Any] = {
        name.removeprefix(prefix).lower(): value for name, value in settings.items() if name.startswith(prefix)
    }
    return block(**values).get_warehouse()


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
