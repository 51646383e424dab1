"""The books of a run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.books import Books, check_books
from enrichment.errors import BooksUnbalancedError
from enrichment.records import Disposition

ENDED = st.dictionaries(st.sampled_from(Disposition), st.integers(0, 10**6))


@given(ENDED, st.integers(0, 10**6))
def test_books_balance_if_every_claim_is_accounted_for(ended: dict[Disposition, int], returned: int) -> None:
    """Claimed is what ended plus what went back, and such books pass."""
    books = Books(sum(ended.values()) + returned, returned, ended)
    assert books.balanced
    assert books.finished == sum(ended.values())
    check_books(books)


@given(ENDED, st.integers(0, 10**6), st.integers(-1000, 1000).filter(bool))
def test_books_that_miss_a_record_fail_the_run(ended: dict[Disposition, int], returned: int, off: int) -> None:
    """One record too many or too few is enough, and the message names all three counts."""
    books = Books(sum(ended.values()) + returned + off, returned, ended)
    assert not books.balanced
    with pytest.raises(BooksUnbalancedError) as caught:
        check_books(books)
    for count in (books.claimed, books.finished, books.returned):
        assert str(count) in str(caught.value)


@given(ENDED, st.integers(0, 10**6))
def test_the_failure_rate_is_a_share_of_the_claims(ended: dict[Disposition, int], returned: int) -> None:
    """Only dead letters count as failures, and the rate stays between 0 and 1."""
    books = Books(sum(ended.values()) + returned, returned, ended)
    assert 0 <= books.failure_rate <= 1
    assert (books.failure_rate == 0) == (ended.get(Disposition.FAILED, 0) == 0)


@pytest.mark.parametrize(
    ("books", "rate"),
    [
        (Books(), 0.0),
        (Books(0, 0, {Disposition.FAILED: 0}), 0.0),
        (Books(100, 0, {Disposition.FAILED: 1, Disposition.WRITTEN: 99}), 0.01),
        (Books(100, 50, {Disposition.FAILED: 50}), 0.5),
        (Books(4, 0, {Disposition.FAILED: 4}), 1.0),
        (Books(3, 0, {Disposition.UNMATCHED: 1, Disposition.SUPPRESSED: 1, Disposition.INVALID: 1}), 0.0),
    ],
)
def test_unmatched_suppressed_and_invalid_contacts_are_not_failures(books: Books, rate: float) -> None:
    """The failure rate is dead letters over claims, and 0 of a run that claimed nothing."""
    assert books.failure_rate == rate


@pytest.mark.parametrize("disposition", Disposition)
def test_a_disposition_is_counted_by_its_name(disposition: Disposition) -> None:
    """Counts that a warehouse gives under plain names are found; an absent one is 0."""
    assert Books(2, 0, {disposition.value: 2}).count(disposition) == 2  # type: ignore[dict-item]
    assert Books().count(disposition) == 0
