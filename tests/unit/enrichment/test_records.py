"""How staged records may move and end."""

import re
from itertools import product
from pathlib import Path

import pytest

from enrichment.errors import IllegalMoveError
from enrichment.records import (
    DISPOSITION_OF_OUTCOME,
    ENDINGS,
    MOVES,
    Chunk,
    Claim,
    Disposition,
    Finished,
    Returned,
    StagedRecord,
    State,
    check_ending,
    check_endings,
)

STATES_PAGE = Path(__file__).parents[3] / "docs" / "states.md"

#: By disposition: w(aiting), c(laimed), e(nriched).
MAY_END = {
    Disposition.WRITTEN: "e",
    Disposition.UNCHANGED: "e",
    Disposition.UNMATCHED: "c",
    Disposition.SUPPRESSED: "ce",
    Disposition.INVALID: "ce",
    Disposition.SKIPPED_FRESH: "c",
    Disposition.FAILED: "ce",
}


@pytest.mark.parametrize(("state", "disposition"), list(product(State, Disposition)))
def test_a_record_ends_only_as_its_state_permits(state: State, disposition: Disposition) -> None:
    """Nothing is written before it is stored, nothing unmatched after it was found, and nothing ends unclaimed."""
    if state[0] in MAY_END[disposition]:
        check_ending(state, disposition)
    else:
        with pytest.raises(IllegalMoveError, match=f"{state} can't end as {disposition}"):
            check_ending(state, disposition)


@pytest.mark.parametrize("disposition", Disposition)
def test_every_disposition_is_reachable(disposition: Disposition) -> None:
    """No disposition exists that no record could ever get."""
    assert any(disposition in endings for endings in ENDINGS.values())


def test_the_tables_name_every_state() -> None:
    """A new state must say how it is left."""
    assert set(ENDINGS) == set(MOVES) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_from_the_queue_and_left_again(state: State) -> None:
    """From waiting every state can be reached, and from every state some disposition can."""

    def reachable(start: State) -> set[State]:
        found, open_states = {start}, [start]
        while open_states:
            new = MOVES[open_states.pop()] - found
            found |= new
            open_states += new
        return found

    assert state in reachable(State.WAITING)
    assert any(ENDINGS[later] for later in reachable(state))


def test_no_record_leaves_the_enriched_state_for_the_queue_s_beginning() -> None:
    """A result that is stored is not looked up again: only its write-back is repeated."""
    assert not MOVES[State.ENRICHED]
    assert State.CLAIMED not in MOVES[State.CLAIMED]


def test_an_outcome_that_ends_the_matter_ends_a_claimed_record() -> None:
    """What a reply decides by itself is a legal ending of the step that reads it."""
    assert set(DISPOSITION_OF_OUTCOME.values()) <= ENDINGS[State.CLAIMED]


def test_the_page_of_states_is_true() -> None:
    """The table in docs/states.md is the one that the code obeys."""
    rows = re.findall(r"^\| (\w+) \|(.*)\|$", STATES_PAGE.read_text(), re.MULTILINE)
    shown = {state: {name.strip() for name in names.split(",")} - {""} for state, names in rows if state != "from"}
    assert shown == {str(state): {str(one) for one in endings} for state, endings in ENDINGS.items()}


@pytest.mark.parametrize("state", [State.CLAIMED, State.ENRICHED])
@pytest.mark.parametrize(
    ("step", "disposition", "legal"),
    [
        ("look_up", Disposition.UNMATCHED, True),
        ("look_up", Disposition.WRITTEN, False),
        ("write_back", Disposition.WRITTEN, True),
        ("write_back", Disposition.UNMATCHED, False),
    ],
)
def test_a_chunk_is_not_settled_with_an_impossible_ending(
    step: str, disposition: Disposition, state: State, *, legal: bool
) -> None:
    """A record that was only looked up can't have been written, and one that was to be written can't be unmatched."""
    record = StagedRecord("r", "hubspot", "1", None, state, 1)
    settlements = (Finished("r", disposition, step=step), Returned("other", "throttled"))
    chunk = Chunk(Claim("token", "run", (record,)), settlements=settlements)
    if legal:
        check_endings(chunk)
    else:
        with pytest.raises(IllegalMoveError):
            check_endings(chunk)


@pytest.mark.parametrize(
    ("records", "label"), [(0, "batch 2 (0 contacts)"), (1, "batch 2 (1 contact)"), (1200, "batch 2 (1,200 contacts)")]
)
def test_a_batch_is_named_by_its_number_and_size(records: int, label: str) -> None:
    """In the names of task runs, whichever step of the chain has it."""
    record = StagedRecord.as_if_claimed("hubspot", "1", None, "manual")
    claim = Claim("token", "run", (record,) * records, 2)
    assert claim.label == Chunk(claim).label == label
