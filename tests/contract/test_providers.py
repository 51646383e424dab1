"""Every spec that is there: it loads, and means by its recorded answers what it says of them."""

from collections.abc import Iterator

import pytest

from blocks.calls.messages import Answer
from blocks.providers.base import Reply, Request
from blocks.providers.block import provider_block_class
from blocks.providers.http.follow_ups import choose_key, follow_up_spec
from blocks.providers.http.interpret import item_replies, read_reply, same_replies, settled_replies
from blocks.providers.http.request import build_call, provider_input
from blocks.providers.http.steps import Action, next_step
from blocks.providers.spec.model import ProviderSpec, load_spec, spec_names
from blocks.providers.spec.sections import Fixture
from enrichment.fields import FIELDS
from enrichment.records import CONCLUSIVE, ENRICHED, Outcome
from enrichment.stops import stop_kind_of_reply

SPECS = {name: load_spec(name) for name in spec_names()}
FOLLOW_UPS = {
    f"{name}, {one.name}": (spec, one, follow_up_spec(spec, one, ["ERP", "Zero Trust"]))
    for name, spec in SPECS.items()
    for one in spec.follow_ups
}


def recorded() -> Iterator[object]:
    """Give each spec and each of its follow-ups with each of its recorded answers."""
    for name, spec in {**SPECS, **{name: own for name, (_, _, own) in FOLLOW_UPS.items()}}.items():
        for fixture in spec.fixtures:
            yield pytest.param(spec, fixture, id=f"{name}: {fixture.name}")


def replay(spec: ProviderSpec, fixture: Fixture) -> list[Reply]:
    """Return the replies that an answer makes where nothing can be repeated."""
    requests = [Request(str(place), one) for place, one in enumerate(fixture.inputs)]
    headers = {name.lower(): value for name, value in fixture.headers.items()}
    answer = Answer(fixture.status, headers, fixture.body, readable=not isinstance(fixture.body, str))
    step = next_step(spec, answer, spec.output_fields.names)
    match step.action:
        case Action.READ:
            return item_replies(spec, requests, answer)
        case Action.SETTLE:
            return settled_replies(spec, requests, answer, step.meaning)
        case _:
            return same_replies(requests, step.meaning)


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_makes_a_block_of_its_own(name: str) -> None:
    """Each provider has a block type with a description and described fields, as Prefect's block standards ask."""
    block = provider_block_class(name)
    assert block.get_block_type_name() != "Enrichment Provider"
    assert block.get_description()
    assert block._documentation_url
    assert 'load("BLOCK_NAME")' in str(block.get_code_example())
    for field in block.model_fields.values():
        assert str(field.description).endswith(".")


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_shows_a_hit_and_a_miss(name: str) -> None:
    """The recorded answers of a provider hold what matters most: a person found and a person not found."""
    outcomes = {outcome for fixture in SPECS[name].fixtures for outcome in fixture.outcomes}
    assert {Outcome.MATCHED, Outcome.UNMATCHED, Outcome.REJECTED, Outcome.QUOTA_EXHAUSTED} <= outcomes


@pytest.mark.parametrize("name", SPECS)
def test_a_spec_builds_a_call_for_each_way_to_ask(name: str) -> None:
    """Each alternative of the minimum input makes a call that carries all of its identifiers."""
    spec = SPECS[name]
    for names in spec.min_input:
        lookup = {str(one): f"value-{one}" for one in names}
        call = build_call(spec, [provider_input(spec, lookup)], spec.output_fields.names)
        sent = (call.content or b"").decode() + str(call.query)
        assert all(value in sent for value in lookup.values())


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_a_follow_up_shows_a_hit_and_a_refusal(name: str) -> None:
    """Its recorded answers hold a known person, and what ends it: no entitlement and no credits."""
    outcomes = {outcome for fixture in FOLLOW_UPS[name][2].fixtures for outcome in fixture.outcomes}
    assert {Outcome.MATCHED, Outcome.UNMATCHED, Outcome.REJECTED, Outcome.QUOTA_EXHAUSTED} <= outcomes


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_a_follow_up_builds_a_call_with_its_key(name: str) -> None:
    """The call carries what it asks about, and the values that the user chose where it takes such."""
    _, follow_up, own = FOLLOW_UPS[name]
    call = build_call(own, [provider_input(own, dict.fromkeys(follow_up.key, "4711"))], own.output_fields.names)
    sent = (call.content or b"").decode() + str(call.query)
    assert "4711" in sent
    assert ("Zero Trust" in sent) == (follow_up.switch.kind == "list")


@pytest.mark.parametrize("name", FOLLOW_UPS)
def test_a_follow_up_knows_its_key_from_a_contact(name: str) -> None:
    """The contact's recorded hits name the company that is asked about, for at least one of them."""
    spec, follow_up, _ = FOLLOW_UPS[name]
    bodies = [reply.body for fixture in spec.fixtures for reply in replay(spec, fixture)]
    keys = [choose_key(spec, follow_up, body) for body in bodies]
    assert any(keys)
    assert all(set(key) == set(follow_up.key) for key in keys if key)


@pytest.mark.parametrize(("spec", "fixture"), list(recorded()))
def test_a_recorded_answer_means_what_the_spec_says(spec: ProviderSpec, fixture: Fixture) -> None:
    """Outcomes, reasons and canonical fields are those that the fixture states, contact by contact."""
    replies = replay(spec, fixture)
    assert tuple(one.outcome for one in replies) == fixture.outcomes
    if fixture.reasons is not None:
        assert tuple(one.reason for one in replies) == fixture.reasons
    if fixture.fields is not None:
        assert tuple(read_reply(spec, one.body).fields for one in replies) == fixture.fields
    kinds = {stop_kind_of_reply(one.outcome, credentials=fixture.status == 401) for one in replies}
    assert {one.stop for one in replies} <= {"", *kinds}


def test_all_specs_measure_one_company_alike() -> None:
    """Whatever units providers use, the company that all of them have recorded has one revenue, one size, one seat."""
    of_company = {}
    for name, spec in SPECS.items():
        replies = [reply for fixture in spec.fixtures for reply in replay(spec, fixture)]
        readings = [read_reply(spec, one.body) for one in replies if one.outcome in ENRICHED]
        assert all(0 <= one.confidence <= 100 for one in readings if one.confidence is not None)
        known = [one for one in readings if one.fields.get("company_domain") == "analytical.example"]
        of_company[name] = max(known, key=lambda one: len(one.fields))
        assert spec.confidence is None or (of_company[name].confidence or 0) >= 50
    expected = {
        "annual_revenue": 1_214_300_000,
        "employee_count": 3508,
        "founded_year": 1987,
        "company_city": "San Francisco",
        "company_state": "CA",
        "company_country": "US",
        "company_linkedin_url": "https://www.linkedin.com/company/analytical",
    }
    for name, value in expected.items():
        found = {one.fields[name] for one in of_company.values() if name in one.fields}
        assert found == {value}, name
    sizes = [one.fields["employee_range"].split("-") for one in of_company.values() if "employee_range" in one.fields]
    assert sizes
    assert all(int(least) <= expected["employee_count"] <= int(most) for least, most in sizes)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_filled_by_some_provider(name: str) -> None:
    """No name of the vocabulary is an empty promise."""
    follow_ups = [further for _, further, _ in FOLLOW_UPS.values()]
    assert any(name in one.fields for one in [*SPECS.values(), *follow_ups])


@pytest.mark.parametrize(("spec", "fixture"), list(recorded()))
def test_a_journalled_reply_means_what_it_meant(spec: ProviderSpec, fixture: Fixture) -> None:
    """What is read from the journal has the outcome and reason that the answer had."""
    for reply in replay(spec, fixture):
        if reply.outcome in CONCLUSIVE:
            reading = read_reply(spec, reply.body)
            assert (reading.outcome, reading.reason) == (reply.outcome, reply.reason)
