"""Which run code is a part of."""

import uuid

from prefect.client.schemas.objects import FlowRun

from tasks.failed_runs import _plan_of
from tasks.present_run import attempt_id

FLOW_RUN = str(uuid.UUID(int=7))


def test_a_flow_run_that_is_repeated_has_totals_of_its_own_each_time() -> None:
    """Those of the first time have its contacts, which the second one never locked; the same id comes out anywhere."""
    assert (attempt_id(FLOW_RUN, 0), attempt_id(FLOW_RUN, 1), attempt_id("", 2)) == (FLOW_RUN, FLOW_RUN, "")
    assert len({attempt_id(FLOW_RUN, number) for number in range(1, 5)}) == 4
    assert attempt_id(FLOW_RUN, 2) == attempt_id(FLOW_RUN, 2)


def test_the_totals_that_are_closed_for_a_run_that_died_are_those_of_its_last_attempt() -> None:
    """Not those of the first one, which are closed."""
    run = FlowRun(id=FLOW_RUN, flow_id=uuid.uuid4(), run_count=2)
    assert _plan_of(run).run_id == attempt_id(FLOW_RUN, 2)
