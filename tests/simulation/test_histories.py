"""Whatever happens to a few runs on one queue, the promises hold; `make simulate` plays more of the same."""

import pytest

from tests.simulation.campaign import play

SEEDS, PART = 200, 50


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_the_promises_hold_in_every_history(first: int) -> None:
    """Nothing is lost, counted twice or paid for twice, and everything ends within two further runs."""
    findings = play(range(first, first + PART))
    assert [(one.seed, one.violations, one.events) for one in findings.failed] == []
    assert findings.happenings.total() > PART  # things did happen
