"""The vocabulary: its fields, and what is said of a name that isn't among them."""

import pytest

from enrichment.fields import CONVERSIONS, FIELDS, RESULT_FIELDS, SOURCES, Field, nearest, unknown_field


@pytest.mark.parametrize(("name", "field"), SOURCES.items())
def test_a_field_is_described(name: str, field: Field) -> None:
    """Each has its name, a label, whose it is, and a sentence that says what it means."""
    assert field.name == name
    assert field.label
    assert field.description.endswith(".")
    assert (field.about == "result") == (name in RESULT_FIELDS)
    assert not field.options or field.type == "text"
    assert (field.least is None and field.most is None) or field.type in {"integer", "number"}


def test_a_name_means_one_thing() -> None:
    """What is known of a contact and what is known of the reply don't share a name."""
    assert not FIELDS.keys() & RESULT_FIELDS.keys()


@pytest.mark.parametrize("units", CONVERSIONS.items())
def test_a_unit_is_what_its_conversions_lead_to(units: tuple[str, dict[str, float]]) -> None:
    """Each unit with conversions is that of some field, and converts to itself."""
    unit, factors = units
    assert unit in {field.unit for field in SOURCES.values()}
    assert factors[unit] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [("industri", "industry"), ("revenue", "annual_revenue"), ("Company Name", "company_name"), ("zzz", "")],
)
def test_the_nearest_name_is_found(name: str, expected: str) -> None:
    """A typing mistake leads to the right name; what resembles none leads to none."""
    assert nearest(name, FIELDS) == expected


def test_an_unknown_name_is_answered_with_what_helps() -> None:
    """The nearest name, or all of them if none is near."""
    assert unknown_field("mobile_fone") == "unknown field 'mobile_fone': did you mean 'mobile_phone'?"
    assert unknown_field("zzz", RESULT_FIELDS) == (
        "unknown field 'zzz': choose one of provider, confidence, received_at"
    )
