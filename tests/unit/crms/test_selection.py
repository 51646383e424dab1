"""Which fields of a CRM a selection means."""

import pytest

from blocks.crms.selection import named_fields
from enrichment.errors import ConfigurationError
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

RULES = (
    FieldRule("mobilephone", "mobile_phone", Rule.FILL_BLANK),
    FieldRule("enr_mobile", "mobile_phone", Rule.ALWAYS),
)
KNOWN = {"industry": FieldDescription("string"), "hs_lead_status": FieldDescription("enumeration")}


def test_a_name_is_that_of_a_field_or_of_what_fills_it() -> None:
    """A canonical name stands for every field that the mapping fills from it."""
    assert named_fields("HubSpot", ("industry", "mobile_phone"), RULES, KNOWN) == (
        "industry",
        "mobilephone",
        "enr_mobile",
    )


@pytest.mark.parametrize(("name", "likely"), [("mobile_fone", "mobile_phone"), ("hs_lead_stat", "hs_lead_status")])
def test_a_name_that_is_neither_is_answered_with_the_nearest(name: str, likely: str) -> None:
    """A typing mistake in either kind of name leads to the right one."""
    with pytest.raises(ConfigurationError, match=f"no contact field '{name}'.*did you mean '{likely}'"):
        named_fields("HubSpot", (name,), RULES, KNOWN)


def test_a_name_like_none_is_answered_with_the_mapped_ones() -> None:
    """Without a near name, those that the mapping knows are listed."""
    with pytest.raises(ConfigurationError, match=r"or one of mobile_phone$"):
        named_fields("HubSpot", ("zzz",), RULES, KNOWN)
