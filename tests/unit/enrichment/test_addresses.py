"""Kinds of addresses, and what of an answer may be taken for those who have one."""

from typing import Any

import pytest

from enrichment.addresses import AddressKind, AddressPolicy, is_free_mail, kinds_of, policy_of, theirs

PERSON = {"title": "Analyst", "city": "London"}
FREE, ROLE, DISPOSABLE = AddressKind.FREE_MAIL, AddressKind.ROLE, AddressKind.DISPOSABLE
ASK, PERSON_ONLY, SKIP = AddressPolicy.ASK, AddressPolicy.PERSON_ONLY, AddressPolicy.SKIP


@pytest.mark.parametrize(
    ("address", "kinds"),
    [
        ("ada@gmail.com", [FREE]),
        ("Ada <ADA@GMX.de>", [FREE]),
        ("info@acme.example", [ROLE]),
        ("no-reply@gmail.com", [FREE, ROLE]),
        ("x@mailinator.com", [DISPOSABLE, FREE]),
        ("x@eu.mailinator.com", [DISPOSABLE]),
        ("ada@tutanota.com", [FREE]),
        ("ada@kakao.com", [FREE]),
        ("ada@mailbox.org", [FREE]),
        ("sales.emea@acme.example", [ROLE]),
        ("Do-Not-Reply@acme.example", [ROLE]),
        ("support2+web@acme.example", [ROLE]),
        ("steve.jobs@acme.example", []),
        ("it.ada@acme.example", []),
        ("ada@acme.example", []),
        ("info", []),
        (None, []),
    ],
)
def test_the_kinds_of_an_address(address: str | None, kinds: list[AddressKind]) -> None:
    """By the host's name, and by the name before it."""
    assert list(kinds_of(address)) == kinds
    assert is_free_mail(address or "") == bool({FREE, DISPOSABLE} & set(kinds))


@pytest.mark.parametrize(
    ("address", "policies", "expected"),
    [
        ("ada@acme.example", {FREE: SKIP}, (ASK, None)),
        ("ada@gmail.com", {}, (ASK, FREE)),
        ("ada@gmail.com", {FREE: "person_only"}, (PERSON_ONLY, FREE)),
        ("info@gmail.com", {FREE: PERSON_ONLY, ROLE: SKIP}, (SKIP, ROLE)),
        ("x@mailinator.com", {FREE: ASK, DISPOSABLE: SKIP}, (SKIP, DISPOSABLE)),
    ],
)
def test_the_strictest_policy_counts(
    address: str, policies: dict[str, str], expected: tuple[AddressPolicy, AddressKind | None]
) -> None:
    """Of an address of two kinds; it names the kind."""
    assert policy_of(address, policies) == expected


@pytest.mark.parametrize(
    ("address", "company", "taken"),
    [
        ("ada@gmail.com", {"company_name": "Google"}, False),
        ("ada@gmail.com", {"company_name": "Google LLC", "company_domain": "google.com"}, False),
        ("ada@gmail.com", {"company_name": "Alphabet"}, False),
        ("ada@gmail.com", {"company_domain": "gmail.com"}, False),
        ("ada@hotmail.co.uk", {"company_name": "Microsoft Corporation"}, False),
        ("ada@yahoo.de", {"company_name": "Yahoo!"}, False),
        ("ada@me.com", {"company_domain": "apple.com"}, False),
        ("ada@web.de", {"company_name": "1&1 Mail & Media GmbH", "company_domain": "web.de"}, False),
        ("ada@t-online.de", {"company_name": "Deutsche Telekom AG"}, False),
        ("ada@comcast.net", {"company_name": "Comcast"}, False),
        ("ada@kakao.com", {"company_name": "Kakao", "company_domain": "kakaocorp.com"}, False),
        ("ada@hispeed.ch", {"company_name": "Sunrise GmbH"}, False),
        ("ada@web.de", {"company_name": "Webflow", "company_domain": "webflow.com"}, True),
        ("ada@gmail.com", {"company_name": "Analytical Engines", "employee_count": 12}, True),
        ("ada@acme.example", {"company_name": "Acme"}, True),
        ("info@acme.example", {"company_name": "Acme"}, True),
    ],
)
def test_the_company_of_a_mail_host_is_never_taken_for_a_person_s(
    address: str, company: dict[str, Any], taken: bool
) -> None:
    """Not its size nor its place either; another company is the person's, if the answer knows the person."""
    assert theirs(address, PERSON | company, {}) == PERSON | (company if taken else {})
    alone = {} if is_free_mail(address) else company
    assert theirs(address, company, {}) == alone


def test_a_policy_may_take_nothing_of_a_company() -> None:
    """Whatever company it is."""
    fields = PERSON | {"company_name": "Analytical Engines", "tech_stack": ["Slack"]}
    assert theirs("ada@gmail.com", fields, {FREE: PERSON_ONLY}) == PERSON
    assert theirs("sales@acme.example", fields, {ROLE: PERSON_ONLY}) == PERSON
