"""The words that users read: one for everything that a contact's result may be."""

import pytest

from enrichment.records import Disposition
from enrichment.wording import RESULTS, totals


def test_every_result_has_a_label_of_its_own() -> None:
    """No two are called alike, and none is missing."""
    assert set(RESULTS) == set(Disposition)
    assert len(set(RESULTS.values())) == len(RESULTS)


@pytest.mark.parametrize(("match", "text"), [(True, "match"), (False, "DON'T MATCH")])
def test_totals_that_do_not_match_catch_the_eye(match: bool, text: str) -> None:
    """They are what fails a run."""
    assert totals(match=match) == text
