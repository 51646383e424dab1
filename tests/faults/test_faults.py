"""Real processes are killed, interrupted and robbed at their steps; `make faults` plays more of the same."""

from tests.faults.__main__ import play

#: On both warehouses, and with each kind of end among them.
SEEDS = range(6)


def test_the_promises_hold_whatever_happens_to_processes() -> None:
    """Two further runs end everything, and nothing that was saved is paid for again."""
    assert [(seed, one.violations) for seed, one in play(SEEDS) if one.violations] == []
