"""What a run was asked to do travels as names and numbers."""

import pickle

import pytest

from enrichment.errors import ConfigurationError
from enrichment.plan import RunPlan, check_lease
from enrichment.wire import FieldDescription


@pytest.mark.parametrize(
    ("reference", "name"), [("hubspot", "hubspot"), ("hubspot/emea", "hubspot"), ("file/a/b", "file"), ("", "")]
)
def test_names_are_references_without_the_block(reference: str, name: str) -> None:
    """Contacts and replies are kept under the vendor's name, whichever of its blocks is used."""
    plan = RunPlan("r1", reference, reference, "sqlite")
    assert (plan.crm_name, plan.provider_names) == (name, name)


def test_a_plan_travels_to_another_process() -> None:
    """A plan can be pickled, as Dask and Ray ask, and comes out equal."""
    plan = RunPlan("r1", "zoominfo", "hubspot", "sqlite", descriptions={"industry": FieldDescription("string")})
    assert pickle.loads(pickle.dumps(plan)) == plan


@pytest.mark.parametrize(
    ("lane", "lanes"), [("", {"live", "backfill"}), ("live", {"live"}), ("backfill", {"backfill"})]
)
def test_a_run_without_a_lane_takes_from_both(lane: str, lanes: set[str]) -> None:
    """A lane that is named is the only one."""
    assert RunPlan("r1", "zoominfo", "hubspot", "sqlite", lane=lane).lanes == lanes


def test_a_lock_outlasts_the_slowest_call() -> None:
    """Three times: one call begins up to half a lease after a renewal, and its answer is to be saved."""
    check_lease(180, "zoominfo", 60.0)
    with pytest.raises(
        ConfigurationError, match=r"ENRICHMENT_LEASE_SECONDS is 179: .* zoominfo, .* 60 s.* 180 or more"
    ):
        check_lease(179, "zoominfo", 60.0)
