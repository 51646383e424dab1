"""The flows as a command without a Prefect server calls them, for tests that are about what a run does to contacts."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from prefect.flows import Flow

from flows import enrich_contacts as enriching
from flows import erase_contact as erasing
from flows import estimate_backfill as estimating
from flows import ingest_contacts as ingesting
from flows import preview_contacts as previewing
from flows.local import run_flow

P = ParamSpec("P")
R = TypeVar("R")


def _here(flow: Flow[P, R]) -> Callable[P, R]:
    @wraps(flow.fn)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return run_flow(flow, *args, **kwargs)

    return call


enrich_contacts = _here(enriching.enrich_contacts)
erase_contact = _here(erasing.erase_contact)
estimate_backfill = _here(estimating.estimate_backfill)
ingest_contacts = _here(ingesting.ingest_contacts)
preview_contacts = _here(previewing.preview_contacts)
