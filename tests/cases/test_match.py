"""A match is the person who was asked for: what providers answer about others, about no one, or about a mail host."""

from typing import Any

import pytest

from blocks.warehouses.base import NewRecord
from tests.cases.chain import HUBSPOT, Chain

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
FILLED = ("enr_company_name", "jobtitle")
NOTHING: dict[str, str | None] = dict.fromkeys(FILLED)


def clearbit(person: Any, company: Any) -> dict[str, Any]:
    """Return an answer of Clearbit's."""
    return {"person": person, "company": company}


GOOGLE = {"id": "c-1", "name": "Google", "domain": "google.com", "metrics": {"employees": 180_000}}
GLOBEX = {"id": "c-2", "name": "Globex", "domain": "globex.example"}
ADA = {"id": "p-1", "name": {"givenName": "Ada", "familyName": "Byron"}, "employment": {"title": "Analyst"}}
BOB = {"id": "p-2", "name": {"givenName": "Bob", "familyName": "Smith"}, "email": "bob@globex.example"}

ONE_BY_ONE: list[tuple[str, dict[str, Any], str, dict[str, str | None]]] = [
    ("ada@gmail.com", clearbit(None, GOOGLE), "unmatched: company_of_mail_host", NOTHING),
    ("ada@gmail.com", clearbit(ADA, GOOGLE), "written", {"enr_company_name": None, "jobtitle": "Analyst"}),
    ("ada@gmail.com", clearbit(ADA, GLOBEX), "written", {"enr_company_name": "Globex", "jobtitle": "Analyst"}),
    ("ada@gmx.de", clearbit(None, {"id": "c", "name": "GMX"}), "unmatched: company_of_mail_host", NOTHING),
    ("info@firm.example", clearbit(None, GLOBEX), "written", {"enr_company_name": "Globex", "jobtitle": None}),
    ("ada@firm.example", clearbit(BOB, GLOBEX), "unmatched: doubtful_company", NOTHING),
    ("ada@firm.example", clearbit({**BOB, "email": "ada@firm.example"}, GLOBEX), "written", {}),
    ("ada@firm.example", clearbit(ADA, GLOBEX), "written", {}),
    ("ada.byron@firm.example", clearbit({**BOB, "email": None}, None), "unmatched: doubtful_name", NOTHING),
    ("ada@mailinator.com", clearbit(ADA, GLOBEX), "invalid: disposable_address", NOTHING),
]


@WAREHOUSES
def test_what_an_answer_may_fill(chain: Chain) -> None:
    """Asked with an address: nothing of the mail host, of another person, or of a person who can't be known."""
    ends, written = [], []
    for number, (email, answer, _, values) in enumerate(ONE_BY_ONE):
        (crm_id,) = chain.world.hubspot.create([{"email": email.replace("@", f"{number}@").replace("info4@", "info@")}])
        chain.answer("clearbit", "/combined/find", answer)
        chain.warehouse.stage([NewRecord("hubspot", crm_id, None, "webhook", "live")])
        chain.run("clearbit")
        chain.world.faults.clear()
        ends += chain.ends(crm_id)
        written.append(chain.values(crm_id, *values))
    assert ends == [end for _, _, end, _ in ONE_BY_ONE]
    assert written == [values for *_, values in ONE_BY_ONE]


BY_NAME = [{"firstname": first, "lastname": last, "company": "Analytical Engines"} for first, last in [
    ("Ada", "Byron"), ("Grace", "Hopper"), ("Alan", "Turing"), ("Robert", "Müller"), ("Eve", "Doe"),
]]  # fmt: skip
ORGANISATION = {"id": "o-1", "name": "Analytical Engines Ltd", "primary_domain": "analytical.example"}
OTHER = {"id": "o-2", "name": "Other Firm", "estimated_num_employees": 28}
MATCHES = [
    {"id": "a-1", "first_name": "Ada", "last_name": "Byron", "title": None, "email": None, "organization": OTHER},
    {"id": "a-2", "first_name": "Grace", "last_name": "Smith", "title": "CEO", "organization": ORGANISATION},
    {"id": "a-3", "first_name": "Alan", "last_name": "Turing", "title": "CTO", "organization": OTHER},
    {"id": "a-4", "first_name": "Bob", "last_name": "Mueller", "title": "CFO", "organization": ORGANISATION},
    {"id": "a-5", "email": "email_not_unlocked@domain.com", "organization": ORGANISATION},
]


@WAREHOUSES
def test_a_name_and_a_company_are_looked_up_and_a_person_comes(chain: Chain) -> None:
    """A stub is not a match, another family name or company is doubtful; spelling, legal form and nickname aren't."""
    crm_ids = chain.world.hubspot.create(BY_NAME)
    spent = 0.0
    for crm_id, match in zip(crm_ids, MATCHES, strict=True):
        chain.answer("apollo", "/people/bulk_match", {"status": "success", "matches": [match], "request_id": 1})
        chain.warehouse.stage([NewRecord("hubspot", crm_id, None, "webhook", "live")])
        plan = chain.run("apollo")
        spent += sum(use.credits for use in chain.warehouse.count_usage(plan.run_id))
    assert chain.ends(*crm_ids) == [
        "unmatched: stub",
        "unmatched: doubtful_name",
        "unmatched: doubtful_company",
        "written",
        "unmatched: stub",
    ]
    assert [chain.values(one, "jobtitle")["jobtitle"] for one in crm_ids] == [None, None, None, "CFO", None]
    assert spent == 5  # a stub is a person, and billed


def unsure(likelihood: int, **data: Any) -> dict[str, Any]:
    """Return a row of People Data Labs' answer."""
    who = {"id": "x", "first_name": "Ada", "last_name": "Byron", "job_title": "CTO", "job_company_name": "Analytical"}
    return {"status": 200, "likelihood": likelihood, "data": who | data, "metadata": {"reference": "0"}}


@WAREHOUSES
def test_a_match_must_be_likely_enough(chain: Chain) -> None:
    """People Data Labs is asked with its own minimum; what comes below is kept, and a lower limit finds it for free."""
    (crm_id,) = chain.world.hubspot.create([BY_NAME[0]])
    record = [NewRecord("hubspot", crm_id, None, "webhook", "live", refresh=True)]
    chain.answer("peopledatalabs", "/person/bulk", [unsure(3)])
    chain.warehouse.stage(record)
    chain.run("peopledatalabs")
    assert chain.ends(crm_id) == ["unmatched: below_min_confidence"]
    chain.setenv("ENRICHMENT_PEOPLEDATALABS_MIN_CONFIDENCE", "30")
    asked = len(chain.world.peopledatalabs.requests)
    chain.warehouse.stage(record)
    chain.run("peopledatalabs")
    assert chain.ends(crm_id) == ["written"]
    assert len(chain.world.peopledatalabs.requests) == asked
    assert [one.reason for one in chain.warehouse.read_story(HUBSPOT, crm_id).ledger] == ["below_min_confidence", ""]


@pytest.mark.parametrize(
    ("provider", "email", "end"),
    [
        *((name, "other+a@firm.example", "doubtful_company") for name in ("zoominfo", "zoominfo_legacy", "clearbit")),
        *((name, "other+a@firm.example", "doubtful_company") for name in ("apollo", "hunter")),
        ("peopledatalabs", "other+a@firm.example", "not_found"),
        ("apollo", "stub+a@firm.example", "stub"),
    ],
)
def test_every_provider_may_answer_about_another_person(chain: Chain, provider: str, email: str, end: str) -> None:
    """The stand-ins do so too, and nothing of it is written."""
    (crm_id, right) = chain.world.hubspot.create([{"email": email}, {"email": "hit+b@firm.example"}])
    chain.warehouse.stage([NewRecord("hubspot", one, None, "webhook", "live") for one in (crm_id, right)])
    chain.run(provider)
    assert chain.ends(crm_id, right) == [f"unmatched: {end}", "written"]
    assert chain.values(crm_id, *FILLED) == NOTHING


def test_doubtful_answers_are_written_where_the_user_wants_it(chain: Chain) -> None:
    """By a setting; the next provider isn't asked then."""
    (crm_id,) = chain.world.hubspot.create([{"email": "other+a@firm.example"}])
    chain.setenv("ENRICHMENT_DOUBTFUL_MATCHES", "write")
    chain.warehouse.stage([NewRecord("hubspot", crm_id, None, "webhook", "live")])
    chain.run("clearbit, hunter")
    assert chain.ends(crm_id) == ["written"]
    assert not chain.world.hunter.requests
