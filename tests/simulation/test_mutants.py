"""The list of mutants is true to the code; `make mutants` tries them."""

import pytest

from sandbox.environments import ROOT
from tests.simulation.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_the_code(mutant: Mutant) -> None:
    """What it takes out stands in the file."""
    assert all(cut.old in (ROOT / cut.file).read_text() for cut in mutant.cuts)
