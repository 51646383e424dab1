"""What makes a contact findable, and when two requests are the same."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enrichment.identifiers import (
    choose_input,
    email_key,
    follow_up_key,
    identifiers,
    is_about_person,
    normalise_email,
    request_key,
    suppression_keys,
    why_invalid,
)
from enrichment.records import Contact, Origin

ADA = Contact("1", "Ada@Example.com", "Ada", "Lovelace", "Engines Ltd")
BY_EMAIL = ("email",)
BY_NAME = ("first_name", "last_name", "company_name")


@pytest.mark.parametrize(
    ("given_address", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM\n", "ada@example.com"),
        ("ada.b+news@mail.example.co.uk", "ada.b+news@mail.example.co.uk"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("ädä@exämple.de", "ädä@xn--exmple-cua.de"),
        ("Ada <ada@example.com>", "ada@example.com"),
        ('"ada"@example.com', "ada@example.com"),
        (None, None),
        ("", None),
        ("   ", None),
        ("ada", None),
        ("ada@", None),
        ("@example.com", None),
        ("ada@example", None),
        ("ada@example.c", None),
        ("ada@example.", None),
        ("ada@@example.com", None),
        ("ada b@example.com", None),
        ("ada@example.com, bob@example.com", "ada@example.com"),
        ("ada@example.com;bob@example.com", "ada@example.com"),
        ("ada@example.com@example.org", None),
        ('"ada b"@example.com', None),
        ("ada@" + "a" * 64 + ".example", None),
        ("a" * 65 + "@example.com", None),
        ("'@example.com", None),
    ],
)
def test_an_address_is_normalised_or_refused(given_address: str | None, address: str | None) -> None:
    """The first address comes out in its one form; what can't be one comes out as nothing."""
    assert normalise_email(given_address) == address


def test_follow_ups_of_the_same_company_have_one_key() -> None:
    """Neither case nor order nor repetition makes a second request; another step or provider does."""
    key = follow_up_key("zoominfo", "intent", {"domain": "Acme.example"}, ["b", "a"])
    assert follow_up_key("zoominfo", "intent", {"domain": "acme.example"}, ["a", "b", "a"]) == key
    others = [("zoominfo", "tech", ["a", "b"]), ("legacy", "intent", ["a", "b"]), ("zoominfo", "intent", ["a"])]
    assert key not in [follow_up_key(name, step, {"domain": "acme.example"}, asked) for name, step, asked in others]
    assert key != request_key("zoominfo", {"domain": "acme.example"}, ["a", "b"])


@given(st.text())
def test_normalising_an_address_twice_changes_nothing_more(text: str) -> None:
    """A normalised address is normal."""
    once = normalise_email(text)
    assert once is None or normalise_email(once) == once


@pytest.mark.parametrize(
    ("contact", "names"),
    [
        (ADA, {"email", "first_name", "last_name", "company_name"}),
        (Contact("1"), set()),
        (Contact("1", email="no address"), set()),
        (Contact("1", first_name="  ", last_name="Lovelace"), {"last_name"}),
        (Contact("1", company_name="Engines Ltd"), {"company_name"}),
    ],
)
def test_only_usable_identifiers_count(contact: Contact, names: set[str]) -> None:
    """A blank or malformed identifier is as good as none."""
    assert set(identifiers(contact)) == names


def test_identifiers_are_trimmed() -> None:
    """Blanks around a name never reach a provider."""
    assert identifiers(Contact("1", first_name=" Ada ", company_name="Engines Ltd\t")) == {
        "first_name": "Ada",
        "company_name": "Engines Ltd",
    }


@pytest.mark.parametrize(
    ("contact", "alternatives", "chosen"),
    [
        (ADA, [BY_EMAIL, BY_NAME], {"email": "ada@example.com"}),
        (ADA, [BY_NAME, BY_EMAIL], {"first_name": "Ada", "last_name": "Lovelace", "company_name": "Engines Ltd"}),
        (Contact("1", None, "Ada", "Lovelace", "Engines"), [BY_EMAIL, ("last_name",)], {"last_name": "Lovelace"}),
        (Contact("1", None, "Ada", "Lovelace"), [BY_EMAIL, BY_NAME], None),
        (Contact("1", "ada@"), [BY_EMAIL], None),
        (ADA, [], None),
    ],
)
def test_the_first_whole_set_of_identifiers_is_chosen(
    contact: Contact, alternatives: list[tuple[str, ...]], chosen: dict[str, str] | None
) -> None:
    """The most certain set that the contact has whole is the input, and never half of one."""
    assert choose_input(contact, alternatives) == chosen


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (Contact("1", "ada@"), "email_malformed"),
        (Contact("1"), "no_usable_identifier"),
        (Contact("1", ""), "no_usable_identifier"),
        (Contact("1", "ada@example.com"), "no_usable_identifier"),
    ],
)
def test_an_invalid_contact_has_a_reason(contact: Contact, reason: str) -> None:
    """A malformed address is distinguished from none at all."""
    assert why_invalid(contact) == reason


@pytest.mark.parametrize(
    ("provider", "lookup", "fields"),
    [
        ("zoominfo", {"last_name": "Lovelace", "first_name": "Ada"}, ["industry", "company_name"]),
        ("zoominfo", {"first_name": "ADA", "last_name": "lovelace"}, ["company_name", "industry"]),
        ("zoominfo", {"first_name": "ada", "last_name": "LoveLace"}, ("industry", "company_name")),
    ],
)
def test_requests_that_are_billed_alike_have_one_key(provider: str, lookup: dict[str, str], fields: list[str]) -> None:
    """Neither the order of names and fields nor upper and lower case makes a second request."""
    same = request_key("zoominfo", {"first_name": "Ada", "last_name": "Lovelace"}, ["company_name", "industry"])
    assert request_key(provider, lookup, fields) == same


@pytest.mark.parametrize(
    ("provider", "lookup", "fields"),
    [
        ("clearbit", {"email": "a@example.com"}, ["industry"]),
        ("zoominfo", {"email": "b@example.com"}, ["industry"]),
        ("zoominfo", {"first_name": "a@example.com"}, ["industry"]),
        ("zoominfo", {"email": "a@example.com", "last_name": "A"}, ["industry"]),
        ("zoominfo", {"email": "a@example.com"}, ["industry", "company_name"]),
        ("zoominfo", {"email": "a@example.com"}, []),
    ],
)
def test_requests_that_differ_have_different_keys(provider: str, lookup: dict[str, str], fields: list[str]) -> None:
    """Another provider, input or set of fields is another request."""
    assert request_key(provider, lookup, fields) != request_key("zoominfo", {"email": "a@example.com"}, ["industry"])


@given(st.text(st.characters(exclude_categories=())))
@example("\ud83d")
def test_any_text_that_a_crm_may_hold_has_a_key(text: str) -> None:
    """Not even half a surrogate pair, which JSON permits, breaks the chunk that it is in."""
    assert len(request_key("zoominfo", {"first_name": text}, ["industry"])) == 64


def test_keys_show_nothing_of_the_contact() -> None:
    """The journal's and the suppression list's keys are hashes only."""
    keys = [*suppression_keys(ADA, Origin("hubspot")), request_key("zoominfo", identifiers(ADA), [])]
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)


def test_a_suppression_holds_by_id_and_by_address() -> None:
    """A contact that comes back under another id, or in another CRM, is found by its address."""
    by_id, by_address = suppression_keys(ADA, Origin("hubspot"))
    assert by_address in suppression_keys(Contact("2", " ada@example.com"), Origin("salesforce"))
    assert by_id not in suppression_keys(Contact("1"), Origin("salesforce"))
    assert by_id not in suppression_keys(Contact("1"), Origin("hubspot", "company"))
    assert suppression_keys(Contact("1"), Origin("hubspot")) == [by_id]


def test_an_address_has_one_key_however_it_is_written() -> None:
    """The key is the one of the suppression list, and what is not an address has none."""
    assert email_key(" ADA@example.com") == email_key("ada@example.com") == suppression_keys(ADA, Origin("hubspot"))[1]
    assert email_key("ada") is email_key(None) is None


def test_a_request_about_a_company_is_no_contacts_own() -> None:
    """What a company uses is kept when one of its people is erased."""
    assert not is_about_person({"company_id": "9", "$page": "2"})
    assert not is_about_person({"company_name": "Acme"})
    assert is_about_person({"email": "ada@example.com"})
    assert is_about_person({"first_name": "Ada", "last_name": "Lovelace", "company_name": "Engines Ltd"})


def test_a_page_of_text_in_place_of_an_address_takes_no_time() -> None:
    """Only the beginning of a text is searched, whatever its length; the search grows with the square of that."""
    assert normalise_email("x" * 10_000_000) is None
    assert normalise_email(f"{'x ' * 5_000_000}eve@acme.example") is None
