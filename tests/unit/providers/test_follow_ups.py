"""Follow-ups: how the section is read, what is asked about, and what a switch means."""

import json
from typing import Any

import pytest
import yaml

from blocks.providers.base import CREDENTIALS_REJECTED, Request
from blocks.providers.block import load_provider, make_block_class
from blocks.providers.http.follow_ups import choose_key, chosen_values, follow_up_spec, further_pages
from blocks.providers.http.interpret import answer_meaning, item_replies
from blocks.providers.http.request import build_call, provider_input
from blocks.providers.spec.follow_ups import PAGE, FollowUp, Pages, Switch
from blocks.providers.spec.model import ProviderSpec, load_spec, parse_spec
from enrichment.errors import ConfigurationError
from enrichment.records import Outcome
from tests.unit.providers.samples import answer, item

ZOOMINFO, LEGACY = load_spec("zoominfo"), load_spec("zoominfo_legacy")
TECH, INTENT = ZOOMINFO.follow_ups
COMPANY = {"company_id": "9"}

SPEC: dict[str, Any] = {
    "id": "made",
    "title": "Made",
    "description": "Made up.",
    "documentation_url": "https://made.example",
    "base_url": "https://made.example",
    "auth": {"kind": "bearer"},
    "request": {"method": "GET", "path": "x", "inputs": {"email": "mail"}, "query": "$input"},
    "min_input": [["email"]],
    "outcomes": {"item": [{"when": "item", "outcome": "matched"}]},
    "rate": {"windows": [{"limit": 1, "per_seconds": 1}]},
    "credits": {"amount": 3},
    "fields": {},
}
FOLLOW_UP: dict[str, Any] = {
    "name": "news",
    "switch": {"name": "news", "description": "Whether news are asked for."},
    "key": {"domain": "employer.domain"},
    "request": {"method": "GET", "path": "news", "inputs": {"domain": "d"}, "query": "$input"},
    "outcomes": {"item": [{"when": "item.news", "outcome": "matched"}]},
    "fields": {"tech_stack": {"path": "news", "type": "text_list"}},
}
PAGED = {"method": "GET", "path": "n", "inputs": {"domain": "d"}, "query": {"d": "$input", "p": "$page"}}
CHOSEN = {"method": "GET", "path": "n", "inputs": {"domain": "d"}, "query": {"t": "$chosen"}}


def made(**changes: Any) -> ProviderSpec:
    """Return a spec whose follow-up has other keys."""
    return parse_spec(yaml.safe_dump({**SPEC, "follow_ups": [{**FOLLOW_UP, **changes}]}), "made.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": {}}, "follow_ups.0.key: "),
        ({"fields": {}}, "follow_ups.0.fields: "),
        ({"key": {"domain": "a", "country": "b"}}, "inputs names domain, but the key is country, domain"),
        ({"switch": {"name": "News", "description": "News."}}, "follow_ups.0.switch.name: "),
        ({"switch": {"name": "news", "description": "no sentence"}}, "follow_ups.0.switch.description: "),
        ({"switch": {**FOLLOW_UP["switch"], "kind": "list"}}, "one requires the other"),
        ({"request": CHOSEN}, "one requires the other"),
        ({"request": PAGED}, "it requires the key pages, and the key pages requires it"),
        ({"pages": {"count": "item.pages"}}, "it requires the key pages, and the key pages requires it"),
        ({"request": PAGED, "pages": {"count": "pages"}}, "sees only item, not pages"),
        ({"request": PAGED, "pages": {}}, "one of the keys count and results"),
        ({"request": PAGED, "pages": {"count": "item.a", "results": "item.b"}}, "one of the keys count and results"),
        ({"batch": {"max": 2}}, "batch.max above 1 needs the key items"),
        ({"items": "data[]"}, "is a projection"),
        ({"request": {**FOLLOW_UP["request"], "query": "$all"}}, "known are .*\\$chosen, \\$page"),
        ({"colour": 1}, "unknown key; known keys: name, switch, key"),
    ],
)
def test_a_wrong_section_is_refused_when_it_is_read(changes: dict[str, Any], message: str) -> None:
    """The message says which key is wrong and what is wanted."""
    with pytest.raises(ConfigurationError, match=message):
        made(**changes)


@pytest.mark.parametrize("second", [{"switch": {"name": "other", "description": "Other."}}, {"name": "other"}])
def test_two_follow_ups_are_kept_apart(second: dict[str, Any]) -> None:
    """Neither their names nor their switches may be the same."""
    with pytest.raises(ConfigurationError, match="two follow-ups share a name or a switch"):
        parse_spec(yaml.safe_dump({**SPEC, "follow_ups": [FOLLOW_UP, {**FOLLOW_UP, **second}]}), "made.yaml")


@pytest.mark.parametrize("placeholder", ["$chosen", "$page"])
def test_contacts_know_nothing_of_choices_and_pages(placeholder: str) -> None:
    """The placeholders of follow-ups are unknown in the call for contacts."""
    request = {**SPEC["request"], "query": {"x": placeholder}}
    with pytest.raises(ConfigurationError, match="unknown placeholder"):
        parse_spec(yaml.safe_dump({**SPEC, "request": request}), "made.yaml")


def test_an_unknown_identifier_is_refused() -> None:
    """What a contact can't have can't be asked with."""
    request = {**SPEC["request"], "inputs": {"email": "mail", "shoe_size": "size"}}
    with pytest.raises(ConfigurationError, match="unknown identifier shoe_size; known are email, first_name"):
        parse_spec(yaml.safe_dump({**SPEC, "request": request}), "made.yaml")


def test_a_switch_must_not_hide_another_setting() -> None:
    """The block would otherwise lose its address, or a secret."""
    switch = {"name": "base_url", "description": "Oops."}
    with pytest.raises(ConfigurationError, match=r"made.yaml: the switch 'base_url' has the name of another setting"):
        make_block_class(made(switch=switch))


def test_what_is_not_said_is_the_providers() -> None:
    """Credentials, rate, costs, media type and rules for whole answers are inherited; its own rules go first."""
    own = follow_up_spec(ZOOMINFO, TECH, ())
    assert (own.auth, own.rate, own.retry, own.errors) == (
        ZOOMINFO.auth,
        ZOOMINFO.rate,
        ZOOMINFO.retry,
        ZOOMINFO.errors,
    )
    assert own.request.accept == "application/vnd.api+json"
    assert own.credits == ZOOMINFO.credits
    assert own.outcomes.response[-len(ZOOMINFO.outcomes.response) :] == ZOOMINFO.outcomes.response
    assert (
        follow_up_spec(made(credits={"amount": 2}), made(credits={"amount": 2}).follow_ups[0], ()).credits.amount == 2
    )
    assert follow_up_spec(made(), made().follow_ups[0], ()).credits.amount == 3


def test_a_refused_token_is_not_taken_for_a_missing_entitlement() -> None:
    """Whatever code the provider gives it, 401 has the reason that concerns everything."""
    own = follow_up_spec(ZOOMINFO, TECH, ())
    refused = answer_meaning(own, answer(401, {"error": {"code": "ZI0001"}}))
    lacking = answer_meaning(own, answer(403, {"error": {"code": "ZI0003"}}))
    assert refused is not None
    assert lacking is not None
    assert (refused.outcome, refused.reason) == (Outcome.REJECTED, CREDENTIALS_REJECTED)
    assert (lacking.outcome, lacking.reason) == (Outcome.REJECTED, "ZI0003")


@pytest.mark.parametrize(
    ("spec", "index", "lookup", "path", "query", "body"),
    [
        (
            ZOOMINFO,
            0,
            COMPANY,
            "data/v1/companies/technologies/enrich",
            {"page[size]": "100"},
            {"data": {"type": "TechnologyEnrich", "attributes": {"companyId": 9}}},
        ),
        (
            ZOOMINFO,
            1,
            {**COMPANY, PAGE: "3"},
            "data/v1/intent/enrich",
            {"page[size]": "100", "page[number]": "3"},
            {"data": {"type": "IntentEnrich", "attributes": {"companyId": 9, "topics": ["ERP", "Zero Trust"]}}},
        ),
        (
            LEGACY,
            0,
            COMPANY,
            "enrich/company",
            {},
            {"matchCompanyInput": [{"companyId": "9"}], "outputFields": ["techAttributes"]},
        ),
        (LEGACY, 1, COMPANY, "enrich/intent", {}, {"companyId": "9", "topics": "ERP|Zero Trust", "rpp": 25}),
        (
            LEGACY,
            1,
            {**COMPANY, PAGE: "2"},
            "enrich/intent",
            {},
            {"companyId": "9", "topics": "ERP|Zero Trust", "rpp": 25, "page": 2},
        ),
    ],
)
def test_the_call_has_the_providers_form(
    spec: ProviderSpec, index: int, lookup: dict[str, str], path: str, query: dict[str, str], body: Any
) -> None:
    """Numbers are numbers where they must be, topics a list or one text, and the page is named from the second on."""
    own = follow_up_spec(spec, spec.follow_ups[index], ("ERP", "Zero Trust"))
    call = build_call(own, [provider_input(own, lookup)], own.output_fields.names)
    assert (call.path, dict(call.query), json.loads(call.content or b"")) == (path, query, body)


@pytest.mark.parametrize(
    ("company", "key"),
    [
        ({"id": 9}, {"company_id": "9"}),
        ({"id": " 9 "}, {"company_id": "9"}),
        ({"id": None}, None),
        ({"id": ""}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_contacts_record_names_the_company(company: Any, key: Any) -> None:
    """Numbers and texts are the same id; without one there is nothing to ask about."""
    assert choose_key(ZOOMINFO, TECH, item("a@x.example", company=company)) == key


@pytest.mark.parametrize(
    ("pages", "body", "numbers"),
    [
        (None, {"pages": 5}, []),
        (Pages.model_validate({"count": "item.pages"}), {"pages": 3}, ["2", "3"]),
        (Pages.model_validate({"count": "item.pages"}), {"pages": "2"}, ["2"]),
        (Pages.model_validate({"count": "item.pages"}), {"pages": None}, []),
        (Pages.model_validate({"count": "item.pages"}), {}, []),
        (Pages.model_validate({"count": "item.pages", "most": 2}), {"pages": 99}, ["2"]),
        (Pages.model_validate({"results": "item.n", "size": 10}), {"n": 20}, ["2"]),
        (Pages.model_validate({"results": "item.n", "size": 10}), {"n": 21}, ["2", "3"]),
        (Pages.model_validate({"results": "item.n", "size": 10}), {"n": 0}, []),
        (Pages.model_validate({"results": "item.n", "size": 10}), None, []),
    ],
)
def test_the_first_page_says_how_many_follow(pages: Pages | None, body: Any, numbers: list[str]) -> None:
    """Pages or results are counted, up to a bound; what says neither has one page."""
    assert further_pages(pages, COMPANY, body) == [{**COMPANY, PAGE: number} for number in numbers]


def test_only_the_first_page_costs() -> None:
    """Every page that holds something is a match, but the credit is counted once."""
    own = follow_up_spec(ZOOMINFO, TECH, ())
    body = {"data": [{"attributes": {"product": "Prefect"}}]}
    replies = [
        reply
        for lookup in (COMPANY, {**COMPANY, PAGE: "2"})
        for reply in item_replies(own, [Request("key", lookup)], answer(200, body))
    ]
    assert [(one.outcome, one.credits) for one in replies] == [(Outcome.MATCHED, 1.0), (Outcome.MATCHED, 0.0)]


@pytest.mark.parametrize(
    ("kind", "value", "chosen"),
    [
        ("yes_no", True, ()),
        ("yes_no", False, None),
        ("list", None, None),
        ("list", " , ", None),
        ("list", "a", ("a",)),
        ("list", " a b, c ,,a b", ("a b", "c")),
    ],
)
def test_a_switch_is_off_unless_it_is_set(kind: Any, value: Any, chosen: Any) -> None:
    """A yes has no values; a list has each once, and blank ones don't count."""
    assert chosen_values(Switch(name="s", description="S.", kind=kind), value, "VARIABLE") == chosen


@pytest.mark.parametrize(
    ("value", "message"),
    [("a,b,c", "VARIABLE names 3 values: one call accepts 2"), ("a|b", "VARIABLE: 'a|b' has a '|'")],
)
def test_values_that_cannot_be_sent_are_refused(value: str, message: str) -> None:
    """The message names the variable before anything is called."""
    switch = Switch(name="s", description="S.", kind="list", most=2, joined_by="|")
    with pytest.raises(ConfigurationError) as caught:
        chosen_values(switch, value, "VARIABLE")
    assert str(caught.value).startswith(message)


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_CLIENT_ID", "id")
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_CLIENT_SECRET", "secret")


def test_variables_switch_follow_ups_on(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them there are none; each adds its own, in the spec's order."""
    steps = [[one.step for one in load_provider("zoominfo").follow_ups]]
    for name, value in (("INTENT_TOPICS", "ERP"), ("TECH_STACK", "true"), ("INTENT_TOPICS", "")):
        monkeypatch.setenv(f"ENRICHMENT_ZOOMINFO_{name}", value)
        steps.append([one.step for one in load_provider("zoominfo").follow_ups])
    assert steps == [[], ["intent"], ["tech_stack", "intent"], ["tech_stack"]]
    (tech,) = load_provider("zoominfo").follow_ups
    assert (tech.name, tech.fills) == ("zoominfo", {"tech_stack"})


def test_too_many_topics_name_their_variable(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is called with what the provider would refuse."""
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_INTENT_TOPICS", ",".join(str(number) for number in range(51)))
    with pytest.raises(ConfigurationError, match="ENRICHMENT_ZOOMINFO_INTENT_TOPICS names 51 values"):
        load_provider("zoominfo")


def keys(provider: str, monkeypatch: pytest.MonkeyPatch, topics: str) -> list[str]:
    """Return the keys of one company's follow-ups."""
    monkeypatch.setenv(f"ENRICHMENT_{provider.upper()}_TECH_STACK", "true")
    monkeypatch.setenv(f"ENRICHMENT_{provider.upper()}_INTENT_TOPICS", topics)
    return [one.request_key(COMPANY) for one in load_provider(provider).follow_ups]


def test_a_key_knows_provider_step_company_and_topics(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order and case of topics don't change it; another topic, step, page, company or provider does."""
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.setenv(f"ENRICHMENT_ZOOMINFO_LEGACY_{name}", "x")
    first = keys("zoominfo", monkeypatch, "ERP, Payroll")
    assert keys("zoominfo", monkeypatch, "payroll, erp") == first
    tech, _ = load_provider("zoominfo").follow_ups
    others = [tech.request_key({"company_id": "10"}), tech.request_key({**COMPANY, PAGE: "2"})]
    more = keys("zoominfo", monkeypatch, "ERP, Payroll, CRM")
    assert more[0] == first[0]
    old = keys("zoominfo_legacy", monkeypatch, "ERP, Payroll")
    contact = load_provider("zoominfo").request_key({"email": "9"})
    assert len({*first, *others, *more, *old, contact}) == 2 + 2 + 1 + 2 + 1


def test_a_follow_up_has_a_sentence_for_its_switch() -> None:
    """The block's form says what it costs."""
    for follow_up in (*ZOOMINFO.follow_ups, *LEGACY.follow_ups):
        assert isinstance(follow_up, FollowUp)
        assert "one credit per company" in follow_up.switch.description
