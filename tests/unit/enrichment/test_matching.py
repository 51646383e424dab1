"""Whether an answer is about the person who was asked for: only clear contradictions count."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.matching import doubt
from enrichment.records import Contact

ADA = {"first_name": "Ada", "last_name": "Byron", "company_name": "Analytical Engines"}
ADDRESS = {"email": "ada@analytical.example"}
HOPPER = {"first_name": "Grace", "last_name": "Hopper"}
NAVY = {"company_name": "US Navy", "company_domain": "navy.example"}
FIELDS = st.dictionaries(
    st.sampled_from(["first_name", "last_name", "company_name", "company_domain"]), st.text(max_size=20)
)


@pytest.mark.parametrize(
    ("last_name", "answered", "reason"),
    [
        ("Byron", {"last_name": "Hopper"}, "doubtful_name"),
        ("Byron", {"last_name": "Hopper", "first_name": "Ada"}, "doubtful_name"),
        ("Byron", {}, ""),
        ("Byron", {"last_name": "King-Byron"}, ""),
        ("Byron", {"last_name": "BYRON"}, ""),
        ("Byron", {"last_name": "B."}, ""),
        ("Byron", {"first_name": "Byron", "last_name": "Ada"}, ""),
        ("Müller", {"last_name": "Mueller"}, ""),
        ("Strauß", {"last_name": "Strauss"}, ""),
        ("O'Brien", {"last_name": "OBrien"}, ""),
        ("van der Berg", {"last_name": "Berg"}, ""),
        ("van der Berg", {"last_name": "van der Meer"}, "doubtful_name"),
        ("Al-Rashid", {"last_name": "Alrasheed"}, ""),
        ("Alhaddad", {"last_name": "Al-Rashid"}, "doubtful_name"),
        ("Park", {"last_name": "Bak", "first_name": "Ada"}, ""),
        ("Park", {"last_name": "Bak", "first_name": "Min"}, "doubtful_name"),
        ("Park", {"last_name": "Bak"}, "doubtful_name"),
        ("Xu", {"last_name": "Hsu", "first_name": "ADA"}, ""),
        ("Li", {"last_name": "Chen", "first_name": "Ada"}, "doubtful_name"),
        ("Schmidt", {"last_name": "Schmitt"}, ""),
        ("Lee", {"last_name": "Li"}, ""),
        ("Иванов", {"last_name": "Ivanov"}, ""),
        ("Иванов", {"last_name": "Иванова"}, ""),
        ("Петров", {"last_name": "Кузнецов"}, "doubtful_name"),
        ("Παπαδόπουλος", {"last_name": "Παπαδοπούλου"}, ""),
        ("김", {"last_name": "이", "first_name": "민준"}, "doubtful_name"),
        ("王", {"last_name": "張"}, ""),
        ("de", {"last_name": "Hopper"}, "doubtful_name"),
    ],
)
def test_who_was_asked_for_by_name(last_name: str, answered: dict[str, Any], reason: str) -> None:
    """Another family name is another person; marriage with a double name, spelling and order aren't."""
    assert doubt(ADA | {"last_name": last_name}, Contact("1"), answered, []) == reason


@pytest.mark.parametrize("first_name", ["Augusta", "Bob", ""])
def test_a_nickname_contradicts_nothing(first_name: str) -> None:
    """Given names are shortened in too many ways."""
    assert doubt(ADA, Contact("1"), {"first_name": first_name, "last_name": "Byron"}, []) == ""


@pytest.mark.parametrize(
    ("answered", "reason"),
    [
        (NAVY, "doubtful_company"),
        ({"company_name": "US Navy"}, "doubtful_company"),
        ({"company_domain": "navy.example"}, "doubtful_company"),
        ({"company_name": "Babbage Ltd", "company_domain": "analytical.example"}, ""),
        ({"company_name": "Analytical Engines GmbH"}, ""),
        ({}, ""),
    ],
)
def test_the_company_that_was_asked_with(answered: dict[str, Any], reason: str) -> None:
    """Another company is doubtful unless its name or its domain is like the one that was asked with."""
    assert doubt(ADA, Contact("1"), answered, []) == reason


@pytest.mark.parametrize(
    ("answered", "addresses", "contact", "reason"),
    [
        (NAVY, ["grace@navy.example"], {}, "doubtful_company"),
        (NAVY | HOPPER, ["ada@analytical.example", "grace@navy.example"], {}, ""),
        (NAVY, ["ada.byron@mail.analytical.test"], {}, ""),
        (NAVY, [], {}, ""),
        (NAVY, [], {"company_name": "Analytical Engines"}, "doubtful_company"),
        (NAVY, ["ada@gmail.com"], {"company_name": "Analytical Engines"}, "doubtful_company"),
        (NAVY, ["ada@navy.example"], {"company_name": "Navy"}, ""),
        ({"company_name": "Analytical"}, ["ada@babbage.example"], {}, ""),
        ({}, ["grace@navy.example"], {}, ""),
        (HOPPER, [], {"first_name": "Ada", "last_name": "Byron"}, "doubtful_name"),
        (HOPPER | {"first_name": "Ada"}, [], {"first_name": "Ada", "last_name": "Byron"}, ""),
        (HOPPER, [], {"last_name": "Byron"}, ""),
    ],
)
def test_who_was_asked_for_by_address(
    answered: dict[str, Any], addresses: list[str], contact: dict[str, str], reason: str
) -> None:
    """An answer with the address itself is sure; else another host and company count, or a wholly other name."""
    assert doubt(ADDRESS, Contact("1", **contact), answered, addresses) == reason


@pytest.mark.parametrize(
    ("local", "answered", "reason"),
    [
        ("ada.byron", ("Bob", "Smith"), "doubtful_name"),
        ("byron_ada", ("Grace", "Hopper"), "doubtful_name"),
        ("ada.byron", ("Ada", "Lovelace"), ""),
        ("ada.byron", ("Augusta", "Byron"), ""),
        ("bob.smith", ("Robert", "Smith"), ""),
        ("bjoern.mueller", ("Björn", "Müller"), ""),
        ("wei.zhang", ("伟", "张"), ""),
        ("ada.byron", ("Bob", None), ""),
        ("sales.emea", ("Bob", "Smith"), ""),
        ("abyron", ("Bob", "Smith"), ""),
        ("a.byron", ("Bob", "Smith"), ""),
    ],
)
def test_an_address_may_say_a_whole_name(local: str, answered: tuple[str, str | None], reason: str) -> None:
    """Then an answer with nothing of it is about another person, unless the contact's own name says otherwise."""
    fields = {name: value for name, value in zip(("first_name", "last_name"), answered, strict=True) if value}
    asked = {"email": f"{local}@analytical.example"}
    assert doubt(asked, Contact("1"), fields, []) == reason
    assert doubt(asked, Contact("1"), fields, ["bob@analytical.example"]) == reason
    assert doubt(asked, Contact("1"), fields, [asked["email"]]) == ""
    assert doubt(asked, Contact("1", None, *answered), fields, []) == (reason if answered[1] is None else "")


def test_a_mail_host_says_nothing_of_a_company() -> None:
    """Who has a private address works somewhere else."""
    assert doubt({"email": "ada@gmail.com"}, Contact("1"), NAVY, ["ada@navy.example"]) == ""


@given(FIELDS, st.lists(st.emails()), st.booleans())
def test_any_answer_can_be_judged(fields: dict[str, Any], addresses: list[str], by_name: bool) -> None:
    """Whatever it holds; one that repeats the question is never doubtful."""
    asked = ADA if by_name else ADDRESS
    assert doubt(asked, Contact("1", **ADA), fields, addresses) in {"", "doubtful_name", "doubtful_company"}
    assert doubt(asked, Contact("1", **ADA), ADA, addresses) == ""
