"""Texts of a provider aren't trusted: what stands for nothing is nothing, and the rest is freed of escapes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.fields import FIELDS
from enrichment.forms import cleaned, is_placeholder
from enrichment.identifiers import identifiers
from enrichment.records import Contact
from enrichment.values import canonical

PLACEHOLDERS = (
    *("N / A", "\\N", "Sin datos", "Nicht angegeben"),
    *("N/A", "n/a", "n.a.", "N.A", "-", "--", "\u2013", "?", "...", "null", "NULL", "(null)", "None", "nil", "NaN"),
    *("unknown", "Unknown", "UNDEFINED", "[object Object]", "#N/A", "#REF!", "#DIV/0!", "tbd", "TBA", "not available"),
    *("Not Specified", "no data", "-none-", "(blank)", "unbekannt", "k.A.", "&nbsp;", "\u200b", " ", "&#8203;"),
)


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_a_placeholder_fills_no_field(text: str) -> None:
    """Whichever field it stands in, alone or in a list, and not as what a person is looked up by either."""
    names = ["company_name", "industry", "title", "department", "state", "linkedin_url", "company_domain", "tech_stack"]
    assert [canonical(FIELDS[name], value) for name in names for value in (text, [text])] == [None] * 2 * len(names)
    assert identifiers(Contact("1", text, "Ada", "Byron", text)) == {"first_name": "Ada", "last_name": "Byron"}


#: By canonical field: what a provider gives, and what is made of it.
TEXTS: tuple[tuple[str, Any, Any], ...] = (
    ("company_name", "AT&amp;T", "AT&T"),
    ("company_name", "AT&amp;amp;T", "AT&T"),
    ("company_name", "O&#39;Reilly &#x26; Sons", "O'Reilly & Sons"),
    ("company_name", "R&D; Labs", "R&D; Labs"),
    ("company_name", "\u200bAcme\n Ltd\u00a0", "Acme Ltd"),
    ("company_name", "Yahoo!", "Yahoo!"),
    ("company_name", ["N/A", "Acme"], "Acme"),
    ("company_name", {"name": "Acme"}, None),
    ("last_name", "Null", "Null"),
    ("last_name", "null", None),
    ("last_name", "Na", "Na"),
    ("first_name", "Nan", "Nan"),
    ("city", "Nan", "Nan"),
    ("country", "NA", "NA"),
    ("country", "N/A", None),
    ("state", ["N/A", "US"], None),
    ("industry", ["Software"], "Software"),
    ("tech_stack", "Gmail", ["Gmail"]),
    ("tech_stack", ["N/A", "Gmail", "gmail &amp; co"], ["Gmail", "gmail & co"]),
    ("company_domain", "https://", None),
    ("company_domain", "https://N/A", None),
    ("company_domain", "//x.example", "x.example"),
    ("company_domain", "http://www.X.example:8080/a", "x.example"),
    ("company_domain", "https://m\u00fcnchen.example/", "xn--mnchen-3ya.example"),
    ("company_domain", "https://www.facebook.com/acme", None),
    ("company_domain", "https://www.facebook.com/", "facebook.com"),
    ("company_domain", "10.0.0.1", None),
    ("linkedin_url", "https://www.linkedin.com/in/", None),
    ("linkedin_url", "/in/", None),
    ("linkedin_url", "https://www.linkedin.com/in/N/A", None),
    ("linkedin_url", "linkedin.com/in/null", None),
    ("linkedin_url", "https://www.linkedin.com/company/acme", None),
    ("linkedin_url", "https://www.linkedin.com/feed/", None),
    ("linkedin_url", "//www.linkedin.com/in/ada", "https://www.linkedin.com/in/ada"),
    ("linkedin_url", "https://de.linkedin.com/in/ada/de?trk=x", "https://www.linkedin.com/in/ada"),
    ("linkedin_url", "https://www.linkedin.com/pub/ada/1/2/3", "https://www.linkedin.com/pub/ada/1/2/3"),
    ("company_linkedin_url", "https://www.linkedin.com/in/ada", None),
    ("company_linkedin_url", "https://www.linkedin.com/company/unavailable/", None),
    ("company_linkedin_url", "https://www.linkedin.com/company/acme/about", "https://www.linkedin.com/company/acme"),
)


@pytest.mark.parametrize(("field", "value", "expected"), TEXTS)
def test_a_text_is_freed_of_what_is_not_part_of_it(field: str, value: Any, expected: Any) -> None:
    """Escapes, blanks and hosts that are none; and a page of the other kind is none of this one."""
    assert canonical(FIELDS[field], value) == expected


@given(st.text() | st.from_regex(r"(&(amp|lt|nbsp|#39|#x200b);|[a-z/ .-]){0,8}", fullmatch=True))
def test_to_clean_a_text_twice_changes_nothing_more(text: str) -> None:
    """However often it was escaped; and what is left is not a placeholder."""
    once = cleaned(text)
    assert cleaned(once) == once
    assert once is None or not is_placeholder(once)
