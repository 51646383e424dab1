"""What may be selected, and what a form shows of it."""

from datetime import UTC, datetime

import pytest

from enrichment.errors import ConfigurationError
from enrichment.intake import NO_SELECTION, Selection, select_by

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_empty_selection_selects_no_contact() -> None:
    """A run without a selection works off what waits, and puts no contact into the queue."""
    assert NO_SELECTION.is_empty
    assert select_by(missing=[""], owner=" ").is_empty
    assert not Selection(everything=True).is_empty
    assert not Selection(csv_path="x.csv").is_empty


def test_only_what_the_crm_must_judge_is_a_condition() -> None:
    """A file of ids alone asks the CRM nothing."""
    assert Selection(csv_path="x.csv").conditions == frozenset()
    chosen = Selection(csv_path="x.csv", missing=["industry", "industry"], created_from=JANUARY)
    assert chosen.conditions == {"missing", "created_from"}
    assert chosen.missing == ("industry",)


def test_a_moment_without_a_zone_is_utc() -> None:
    """As the command line and the form give it."""
    assert Selection(created_from=datetime(2026, 1, 1)).created_from == JANUARY  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"everything": True, "owner": "7"}, "everything"),
        ({"everything": True, "csv_path": "x.csv"}, "everything"),
        ({"created_from": JANUARY, "created_until": JANUARY}, "created_until"),
        ({"shoe_size": 44}, "shoe_size"),
    ],
)
def test_what_makes_no_sense_is_refused(conditions: dict[str, object], words: str) -> None:
    """The message names the condition."""
    with pytest.raises(ConfigurationError, match=words):
        select_by(**conditions)


def test_equal_selections_share_a_fingerprint_that_shows_nothing() -> None:
    """By it a crashed backfill is known again; a value in it would be in every log."""
    one = Selection(owner="7", created_from=JANUARY)
    assert one.fingerprint == Selection(created_from=datetime(2026, 1, 1), owner=" 7 ").fingerprint  # noqa: DTZ001
    assert one.fingerprint != Selection(owner="8", created_from=JANUARY).fingerprint
    assert len(one.fingerprint) == 16


def test_every_condition_is_described_for_the_form() -> None:
    """Prefect's form shows the descriptions, which are sentences."""
    properties = Selection.model_json_schema()["properties"]
    assert [name for name, shown in properties.items() if not shown["description"].endswith(".")] == []
