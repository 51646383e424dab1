"""What an intake stages: each kind with just the options that make sense for it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from enrichment.intake import (
    INTAKE_LABELS,
    EveryContact,
    FailedContacts,
    Intake,
    ListedContacts,
    MissedContacts,
    NewContacts,
    SelectedContacts,
    Selection,
    intake_kind,
)

INTAKE: TypeAdapter[Intake] = TypeAdapter(Intake)
NINE = datetime(2026, 11, 2, 9)  # noqa: DTZ001 - as a person types it
BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, NewContacts()),
        ({"what": "new", "since": NINE.isoformat()}, NewContacts(since=NINE.replace(tzinfo=UTC))),
        ({"what": "missed", "days": 7}, MissedContacts(days=7)),
        ({"what": "everything"}, EveryContact()),
        ({"what": "listed", "crm_ids": ["1", "2"]}, ListedContacts(crm_ids=["1", "2"])),
        ({"what": "listed", "csv_path": "ids.csv"}, ListedContacts(csv_path="ids.csv")),
        ({"what": "selected", "select": {"list_id": "7"}}, SelectedContacts(select=Selection(list_id="7"))),
        ({"what": "failed", "run_id": "run"}, FailedContacts(run_id="run")),
    ],
)
def test_each_kind_is_known_by_its_name(given: dict[str, Any], expected: Intake) -> None:
    """As Prefect hands the form's values over; the kind is what a run's name says, of these values, too."""
    assert INTAKE.validate_python(given) == expected
    assert intake_kind(given) == intake_kind(expected)
    assert intake_kind(expected) in INTAKE_LABELS


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"what": "listed"}, "give either `crm_ids` or `csv_path`"),
        ({"what": "listed", "crm_ids": ["1"], "csv_path": "ids.csv"}, "give either `crm_ids` or `csv_path`"),
        ({"what": "selected", "select": {}}, "set at least one condition"),
        ({"what": "missed", "days": 0}, "greater than or equal to 1"),
        ({"what": "failed", "days": 3}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], complaint: str) -> None:
    """The message names what is wrong."""
    with pytest.raises(ValidationError, match=complaint):
        INTAKE.validate_python(given)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, None),
        (NINE, NINE.replace(tzinfo=UTC)),
        (NINE.replace(tzinfo=BERLIN), NINE.replace(tzinfo=BERLIN)),
    ],
)
def test_a_moment_without_a_zone_is_utc(since: datetime | None, expected: datetime | None) -> None:
    """One that names a zone keeps it."""
    assert NewContacts(since=since).since == expected


@pytest.mark.parametrize("value", [None, "new", NewContacts()])
def test_what_says_nothing_is_the_intake_of_new_contacts(value: object) -> None:
    """That is what a flow run without parameters does."""
    assert intake_kind(value) == "new"


@pytest.mark.parametrize(
    ("selection", "source"),
    [
        (Selection(csv_path="ids.csv"), "manual"),
        (Selection(csv_path="ids.csv", list_id="7"), "backfill"),
        (Selection(everything=True), "backfill"),
    ],
)
def test_a_mere_list_names_ids_that_the_crm_has_not_confirmed(selection: Selection, source: str) -> None:
    """They are looked for in the CRM before anything is paid for them; what the CRM selects is there."""
    assert selection.source == source
