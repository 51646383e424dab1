"""Which tests run in one worker: those that share what is slow to start, or one world."""

import re

from xdist.scheduler import LoadScopeScheduling

#: The slowest begins first, so that nothing long is left at the end.
GROUPS = {
    "deployments": r"tests/e2e/test_(bench|cancelled_run|dask|deployment|left_behind|new_contacts|workers)\.py",
    "processes": r"tests/(e2e|faults)/",
    "prefect": r"tests/integration/(triggers/)?test_("
    r"cleanup|cloud_secrets|doctor_prefect|events_to_runs|idle|least_privilege|live_runs|pipeline|run_starts"
    r"|weekly_review)\.py|tests/integration/test_changes\.py::test_a_(deployed_run|run_that_is_retried)"
    r"|tests/cases/test_alerts|tests/contract/test_notifiers|tests/unit/blocks/test_saved",
    "containers": r"tests/containers/",
    "histories": r"tests/simulation/test_histories\.py",
    "libraries": r"tests/(unit/blocks/test_(base|statements)|contract/test_blocks|unit/test_(extras|generated_pages))",
    "bigquery": r"tests/.*(\[|-)bigquery\b|tests/integration/warehouses/test_bigquery",
    "snowflake": r"tests/.*(\[|-)snowflake\b|tests/integration/warehouses/test_snowflake",
}


def group_of(nodeid: str) -> str:
    """Return the group of a test; by default that is its module."""
    return next((name for name, tests in GROUPS.items() if re.match(tests, nodeid)), nodeid.partition("::")[0])


def rank(nodeid: str) -> int:
    """Return the place of a test's group in the order in which they begin."""
    return [*GROUPS, group_of(nodeid)].index(group_of(nodeid))


class GroupScheduling(LoadScopeScheduling):
    """
    Gives each group to one worker.

    `--dist loadgroup` and its marks would do, but pytest-xdist 3.8 writes them into the tests' ids, which pytest 9.2
    no longer lets it change: there it groups nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
