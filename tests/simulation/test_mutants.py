"""The list of mutants is true to the code; `make mutants` tries them."""

import ast

import pytest

from sandbox.environments import ROOT
from tests.simulation.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_the_code(mutant: Mutant) -> None:
    """What it takes out stands in the file, and Python can still read what is left."""
    for cut in mutant.cuts:
        code = (ROOT / cut.file).read_text()
        assert cut.old in code
        if cut.file.endswith(".py"):
            ast.parse(code.replace(cut.old, cut.new))
