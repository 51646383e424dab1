"""Contacts that are handed in: what is taken, and what is said of the rest."""

import json

import pytest

from blocks.warehouses.base import NewRecord
from triggers.submissions import MOST_CONTACTS, InvalidContactsError, read_contacts

CRMS = ("file", "hubspot", "salesforce")


def read(body: object) -> tuple[NewRecord, ...]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_contacts(raw, crm="hubspot", crms=CRMS).records


def flaws(body: object) -> dict[str, str]:
    with pytest.raises(InvalidContactsError) as raised:
        read(body)
    return {flaw["where"]: flaw["what"] for flaw in raised.value.flaws}


def test_one_contact_or_a_list() -> None:
    """An object is one contact; the CRM is the configured one unless it is named."""
    one = NewRecord("hubspot", "501", "zoe@x.example", "submission", "live")
    assert read({"crm_id": " 501 ", "email": "zoe@x.example"}) == (one,)
    assert read(b'\n [{"crm_id":"501","email":"zoe@x.example"},{"crm_id":"003D000000QV9n2","crm":"salesforce"}]') == (
        one,
        NewRecord("salesforce", "003D000000QV9n2IAD", None, "submission", "live"),
    )


@pytest.mark.parametrize("email", [None, "", "  "])
def test_a_blank_address_is_none(email: str | None) -> None:
    """Forms send empty fields."""
    assert read({"crm_id": "501", "email": email})[0].email_address is None


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        (b"", "body", "Invalid JSON"),
        (b"[1", "body", "Invalid JSON"),
        ([], "body", "at least 1 item"),
        ("text", "body", "valid array"),
        ({}, "crm_id", "required"),
        ([{"crm_id": "1"}, {"email": "a@x.example"}], "1.crm_id", "required"),
        ({"crm_id": ""}, "crm_id", "at least 1 character"),
        ({"crm_id": 5}, "crm_id", "valid string"),
        ({"crm_id": "a\u0000b"}, "crm_id", "printable"),
        ({"crm_id": "1" * 201}, "crm_id", "at most 200 characters"),
        ({"crm_id": "1", "email": "m4rk3r at x"}, "email", "e-mail address"),
        ({"crm_id": "1", "email": "m4rk3r@x"}, "email", "e-mail address"),
        ({"crm_id": "1", "Email": "a@x.example"}, "Email", "not permitted"),
        ({"crm_id": "1", "crm": "m4rk3r"}, "0.crm", "one of: file, hubspot, salesforce"),
        ([{"crm_id": "1"}] * (MOST_CONTACTS + 1), "body", "at most 1000 items"),
    ],
)
def test_what_is_wrong_is_said_where_without_the_value(body: object, where: str, what: str) -> None:
    """The answer names the place and the rule, never what was given."""
    found = flaws(body)
    assert what in found[where]
    assert "m4rk3r" not in repr(found)


def test_not_every_flaw_is_listed() -> None:
    """A thousand wrong contacts give a short answer."""
    assert len(flaws([{}] * MOST_CONTACTS)) == 20
