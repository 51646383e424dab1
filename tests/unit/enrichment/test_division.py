"""Groups that fail as a whole are divided until each bad record stands alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.division import divide
from enrichment.errors import (
    ConfigurationError,
    EnrichmentError,
    QuotaExhaustedError,
    RecordRefusedError,
    ServerFailedError,
    TransientError,
    UnexpectedError,
    cause,
)
from enrichment.records import Disposition
from enrichment.retry import refused_record


@given(st.sets(st.integers(0, 40)), st.integers(0, 40), st.sampled_from([RecordRefusedError, ValueError]))
def test_exactly_the_bad_ones_are_left(bad: set[int], size: int, kind: type[Exception]) -> None:
    """Every other record is in exactly one part that passed, in order, whatever the error is."""
    items = list(range(size))
    bad &= set(items)
    if kind is ValueError:
        bad.discard(0)
        bad = set(sorted(bad)[:7])

    def act(part: Sequence[int]) -> list[int]:
        if bad.intersection(part):
            raise kind("no")
        return list(part)

    done = divide(items, act)
    assert [one for part in done.results for one in part] == [one for one in items if one not in bad]
    assert [one for one, _ in done.refused] == sorted(bad)
    assert all(isinstance(error, kind) for _, error in done.refused)


@pytest.mark.parametrize("error", [TransientError("x"), ConfigurationError("x"), QuotaExhaustedError("x")])
def test_what_is_not_a_record_s_fault_is_raised(error: Exception) -> None:
    """The whole is repeated later, or the run ends."""

    def act(part: Sequence[int]) -> None:
        if 3 in part:
            raise error

    with pytest.raises(type(error)):
        divide(list(range(5)), act)


def test_a_record_at_which_a_service_fails_stands_alone_and_an_outage_is_raised() -> None:
    """One that is the only one tries again later too; if nothing passes, it is the service."""

    def act(part: Sequence[int]) -> Sequence[int]:
        if 3 in part:
            raise ServerFailedError("status 500")
        return part

    assert [one for one, _ in divide(list(range(9)), act).refused] == [3]
    assert [one for one, _ in divide([3], act).refused] == [3]
    with pytest.raises(ServerFailedError):
        divide([3] * 30, act)


@pytest.mark.parametrize(("size", "calls"), [(1, 1), (2, 3), (1000, 22)])
def test_an_unknown_error_of_every_record_is_our_own(size: int, calls: int) -> None:
    """A bug makes no dead letter of anyone: it is raised after a few records."""
    seen: list[int] = []

    def act(part: Sequence[int]) -> None:
        seen.append(len(part))
        raise KeyError("bug")

    with pytest.raises(KeyError):
        divide(list(range(size)), act)
    assert len(seen) == calls


def test_nothing_that_fails_has_no_record_to_blame() -> None:
    """An empty group's error is raised."""

    def act(_: Sequence[int]) -> None:
        raise RecordRefusedError("no")

    with pytest.raises(RecordRefusedError):
        divide([], act)


def test_a_record_that_no_engine_takes_ends_at_once() -> None:
    """Another attempt would end the same way; the dead letter says which column, and not what stands there."""
    end = refused_record(
        "r1", "store", RecordRefusedError("PostgreSQL can't store a value in the column title (22003)")
    )
    assert (end.disposition, end.reason, end.step) == (Disposition.FAILED, "value_not_storable", "store")
    assert "column title" in end.detail


def test_a_cause_quotes_no_foreign_error() -> None:
    """Our own messages name columns; a driver's may quote the value."""
    assert cause(RecordRefusedError("SQLite can't store a value")) == "SQLite can't store a value"
    assert cause(UnexpectedError("ValueError at x.py:1")) == "ValueError at x.py:1"
    assert "Ada" not in cause(ValueError("Ada"))
    assert issubclass(RecordRefusedError, EnrichmentError)
    assert not issubclass(RecordRefusedError, TransientError)
