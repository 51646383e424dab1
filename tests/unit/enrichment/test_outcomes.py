"""The groups of outcomes fit together."""

import pytest

from enrichment.records import CONCLUSIVE, DISPOSITION_OF_OUTCOME, ENRICHED, STOPS_RUN, Outcome


def test_a_conclusive_outcome_is_written_back_or_ends_the_record() -> None:
    """Once a provider has spoken, there is something to write or a disposition, never both or neither."""
    assert set(DISPOSITION_OF_OUTCOME) == CONCLUSIVE - ENRICHED
    assert ENRICHED < CONCLUSIVE


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.RETRYABLE, *sorted(STOPS_RUN)])
def test_an_outcome_that_may_change_is_not_conclusive(outcome: Outcome) -> None:
    """The journal never answers with a trouble of yesterday."""
    assert outcome not in CONCLUSIVE


def test_every_outcome_is_conclusive_or_not() -> None:
    """A new outcome must be put into a group before it can be used."""
    assert set(Outcome) == CONCLUSIVE | STOPS_RUN | {Outcome.PENDING, Outcome.RETRYABLE}
