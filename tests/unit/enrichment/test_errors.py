"""Errors that say what to do arrive from other processes as they were."""

import pickle

import pytest

from enrichment.errors import EnrichmentError


class CostlyError(EnrichmentError):
    """An error that is made from other things than its text, as errors of subclasses may be."""

    def __init__(self, text: str, *, credits_used: int) -> None:
        super().__init__(text)
        self.credits_used = credits_used


@pytest.mark.parametrize("error", [EnrichmentError("set it"), CostlyError("set it", credits_used=3)])
def test_an_error_arrives_from_another_process_as_it_was(error: EnrichmentError) -> None:
    """Class, text and what else it holds are the same after it was pickled."""
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), arrived.args, vars(arrived)) == (type(error), error.args, vars(error))
