"""Names of companies: what may mean the same one, and what can't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.companies import companies_alike, company_of_domain

NAMES = st.text(max_size=30)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme GmbH", "ACME, Inc."),
        ("Acme GmbH & Co. KG", "acme"),
        ("Müller AG", "Mueller"),
        ("L'Oréal S.A.", "Loreal"),
        ("Smørrebrød A/S", "Smorrebrod"),
        ("Analytical", "The Analytical Engines Company"),
        ("IBM", "International Business Machines"),
        ("PwC", "PricewaterhouseCoopers"),
        ("gs", "Goldman Sachs Group"),
        ("AT&T", "ATT Inc"),
        ("J.P. Morgan", "JPMorgan Chase & Co."),
        ("Petrobras", "Petróleo Brasileiro S.A."),
        ("FedEx", "Federal Express Corporation"),
        ("UNHCR", "United Nations High Commissioner for Refugees"),
        ("Яндекс", "Yandex"),
        ("Группа Яндекс", "Яндекс"),
        ("株式会社", "Acme"),
        ("Software Group", "Digital Holding"),
        ("", "Acme"),
    ],
)
def test_names_that_may_mean_the_same_company(one: str, other: str) -> None:
    """Legal forms, marks, case, abbreviations and other scripts make no other company, whichever stands first."""
    assert companies_alike(one, other)
    assert companies_alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Globex", "Initech"),
        ("Globex GmbH", "Initech GmbH"),
        ("Globex Software", "Initech Software"),
        ("IBM", "Intel"),
        ("3M", "4M"),
        ("Bank of America", "Deutsche Bank"),
        ("Газпром", "Яндекс"),
    ],
)
def test_names_that_mean_two_companies(one: str, other: str) -> None:
    """What many companies share doesn't make them one."""
    assert not companies_alike(one, other)
    assert not companies_alike(other, one)


@pytest.mark.parametrize(
    ("domain", "company"),
    [("acme.com", "acme"), ("mail.uk.acme.co.uk", "uk acme"), ("WWW.Acme-Tools.de", "acme-tools"), ("", "")],
)
def test_a_domain_says_whose_it_is(domain: str, company: str) -> None:
    """By its words without the endings."""
    assert company_of_domain(domain) == company


@given(NAMES, NAMES)
def test_a_comparison_has_no_order(one: str, other: str) -> None:
    """Any two texts can be compared, either way alike; each is like itself."""
    assert companies_alike(one, other) == companies_alike(other, one)
    assert companies_alike(one, one)
