"""The stand-ins, once for all cases."""

from collections.abc import Callable, Iterator

import pytest

from blocks.warehouses.base import Warehouse
from sandbox.server import Box, running
from tests.cases.chain import Chain


@pytest.fixture(scope="session")
def box() -> Iterator[Box]:
    """Start the stand-ins once; every chain begins a new world in them."""
    with running(contacts=1, seed=7) as started:
        yield started


@pytest.fixture
def chain(
    request: pytest.FixtureRequest,
    box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Chain:
    """Give a chain over a new world; the parameter is the warehouse, sqlite by default."""
    vendor = getattr(request, "param", "sqlite")
    return Chain(box, make_warehouse(vendor), monkeypatch.setenv, vendor)
