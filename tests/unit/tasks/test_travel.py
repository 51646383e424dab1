"""What goes to a worker in another process arrives there as it was."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
from dataclasses import replace
from inspect import signature
from string import Formatter

import cloudpickle
import pytest

import tasks
from enrichment import errors
from enrichment.books import Books
from enrichment.errors import EnrichmentError, PostponedError, UnexpectedError
from enrichment.plan import RunPlan
from enrichment.records import (
    Chunk,
    ChunkSummary,
    Claim,
    Disposition,
    Enrichment,
    Finished,
    Found,
    OpenWrite,
    Outcome,
    Returned,
    StagedRecord,
    State,
    Stop,
    Unmatched,
)
from enrichment.wire import FieldDescription
from flows.enrich_contacts import enrich_contacts
from sandbox.place import ROOT
from tasks.chunk import look_up
from tasks.steps import Parcel, Step

RECORD = StagedRecord("r-1", "hubspot", "501", "a@b.example", State.CLAIMED, 1)
CLAIM = Claim("token", "run-1", (RECORD,))
ENRICHMENT = Enrichment("zoominfo", "77", 95.0, {"tech_stack": ["a"], "employee_count": 12}, "2026-11-01T00:00:00Z")
CARGO = {
    "plan": RunPlan(
        "run-1", "zoominfo", "hubspot", "sqlite", descriptions={"city": FieldDescription("city", "string")}
    ),
    "chunk": Chunk(
        CLAIM,
        (Found(RECORD, ENRICHMENT, "key"),),
        (Unmatched("r-1", "501", None, "NO_MATCH"),),
        (Finished("r-1", Disposition.UNMATCHED), Returned("r-1", "throttled", 3.0)),
        (OpenWrite("501", "city", "Ulm", "run-1"),),
        Stop("quota_exhausted", "zoominfo: none left"),
    ),
    "summary": ChunkSummary({Disposition.WRITTEN: 3}, 1, 0),
    "books": Books(3, 1, {Disposition.WRITTEN: 2}),
    "outcome": Outcome.MATCHED,
}


def steps() -> list[Step[..., object]]:
    """Return every step of the project."""
    modules = [importlib.import_module(f"tasks.{module.name}") for module in pkgutil.iter_modules(tasks.__path__)]
    return [value for module in modules for value in vars(module).values() if isinstance(value, Step)]


@pytest.mark.parametrize("name", CARGO)
@pytest.mark.parametrize("pickler", [pickle, cloudpickle])
def test_what_tasks_are_given_and_return_is_carried_whole(name: str, pickler: object) -> None:
    """Plans, chunks and summaries are equal after the way, and so is what a parcel holds."""
    cargo = CARGO[name]
    assert pickle.loads(pickler.dumps(cargo)) == cargo
    assert pickle.loads(pickler.dumps(Parcel(cargo))).contents == cargo


def test_a_step_travels_by_its_name() -> None:
    """The other side takes its own copy of a step, so that locks of the module stay where they are."""
    assert look_up in steps()
    for one in steps():
        sent = cloudpickle.dumps(one)
        assert pickle.loads(sent) is one
        assert len(sent) < 100


def test_a_step_is_named_in_words_by_what_it_is_given() -> None:
    """Prefect shows no function's name; what a name refers to is a parameter, since a task that has no name fails."""
    for one in steps():
        name = str(one.task_run_name)
        assert "-" not in name
        fields = {field.partition(".")[0] for _, field, _, _ in Formatter().parse(name) if field}
        assert fields <= set(signature(one.fn).parameters)
    named = str(look_up.task_run_name).format(claimed=Parcel(replace(CLAIM, number=3)), plan=CARGO["plan"])
    assert named == "look up batch 3 (1 contact) with zoominfo"
    assert Chunk(Claim("token", "run-1", (RECORD,) * 1200, 1)).label == "batch 1 (1,200 contacts)"


def test_the_flow_travels_without_what_its_modules_hold() -> None:
    """Prefect sends the flow with every task; another process can take it from there."""
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).name)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps(enrich_contacts),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().strip() == "enrich-contacts"


def test_errors_come_back_as_they_were() -> None:
    """Class, message and further attributes survive, whatever a class is made from."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EnrichmentError)]
    for kind in [*kinds, UnexpectedError]:
        error = PostponedError("later", 90.0) if kind is PostponedError else kind("what to do")
        error.detail = "more"
        arrived = pickle.loads(cloudpickle.dumps(error))
        assert (type(arrived), str(arrived), vars(arrived)) == (kind, str(error), vars(error))
