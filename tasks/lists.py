"""What people list: read from the warehouse, with the address of each contact's page."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.errors import ConfigurationError, sealed
from enrichment.lists import ALL, ListFilter, failed_rows, queued_rows, refused_rows, unmatched_rows
from enrichment.unmatched import KnownDomains, UnmatchedItem, suggestions_of
from tasks.contact_pages import page_of


@sealed
def check_run(warehouse: str, run_id: str) -> None:
    """Raise a ConfigurationError if a run is named that doesn't exist."""
    with open_warehouse(warehouse) as target:
        if run_id and target.find_run(run_id) is None:
            raise ConfigurationError(
                f"no run has the id '{run_id}': take the id, not the name, from the alert or from the run's page in "
                "Prefect"
            )


class _Listed(Protocol):
    @property
    def crm(self) -> str: ...


T = TypeVar("T", bound=_Listed)
Rows = list[dict[str, Any]]


@sealed
def read_failed(wanted: ListFilter, warehouse: str = "") -> Rows:
    """Return the failed contacts that wait for a retry, as rows; raise ConfigurationError if there is no such run."""
    return _read(wanted, lambda source: source.list_failed(wanted), failed_rows, warehouse)


@sealed
def read_refused(wanted: ListFilter, warehouse: str = "") -> Rows:
    """Return the fields that were not written and still aren't, as rows; raise as `read_failed` does."""
    return _read(wanted, lambda source: source.list_refused(wanted), refused_rows, warehouse)


@sealed
def read_unmatched(wanted: ListFilter) -> Rows:
    """
    Return the unmatched contacts that aren't reviewed yet, as rows; raise as `read_failed` does.

    The reason that is wanted may be the provider's, or the cause that the address shows.
    """
    every = replace(wanted, reason="", limit=ALL) if wanted.reason else wanted
    with open_warehouse(load_settings().warehouse) as source:
        domains = KnownDomains(source.matched_domains())

    def rows_of(items: Iterable[UnmatchedItem], pages: Mapping[str, str]) -> Rows:
        found = suggestions_of(items, domains)
        kept = [(one, each) for one, each in found if wanted.reason in {"", one.reason, each.cause}]
        return unmatched_rows(kept[: wanted.limit], pages)

    return _read(every, lambda source: source.list_unmatched(every), rows_of)


@sealed
def read_queue(wanted: ListFilter) -> Rows:
    """Return the queued contacts in the order in which runs take them, as rows; raise as `read_failed` does."""
    with open_warehouse(load_settings().warehouse) as source:
        now = source.now()
    return _read(wanted, lambda source: source.list_queued(wanted), lambda items, pages: queued_rows(items, pages, now))


def _read(
    wanted: ListFilter,
    read: Callable[[Warehouse], list[T]],
    rows_of: Callable[[Iterable[T], Mapping[str, str]], Rows],
    warehouse: str = "",
) -> Rows:
    reference = warehouse or load_settings().warehouse
    check_run(reference, wanted.run_id)
    with open_warehouse(reference) as source:
        items = read(source)
        pages = {crm: page_of(source, crm) for crm in {one.crm for one in items}}
    return rows_of(items, pages)
