"""What every CRM must do. A new module under blocks/crms is tested here by being there."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.base import module_names
from blocks.crms.base import Crm, NewContact, Update, UpdateResult, open_crm
from enrichment.errors import ConfigurationError
from enrichment.intake import Selection
from enrichment.wire import FieldDescription
from enrichment.write_policy import Change, Refusal, Rule
from sandbox import server

VENDORS = module_names("blocks.crms")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StandIn:
    """A CRM to test against: the environment that points at it, and an id that it doesn't hold."""

    environment: dict[str, str]
    absent_id: str


@contextmanager
def _hubspot(_: Path) -> Iterator[StandIn]:
    with server.running(contacts=30, seed=7, hubspot={"per_ten_seconds": 100_000}) as box:
        yield StandIn(
            {
                "ENRICHMENT_HUBSPOT_BASE_URL": box.hubspot_url,
                "ENRICHMENT_HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot-token",
                "ENRICHMENT_HUBSPOT_REQUESTS_PER_10_SECONDS": "10000",
            },
            absent_id="999999999999",
        )


@contextmanager
def _file(folder: Path) -> Iterator[StandIn]:
    rows = [f"{number};Zoë {number};p{number}@example.com;" for number in range(1, 31)]
    (folder / "contacts.csv").write_text("\n".join(["crm_id;First Name;E-Mail;Company", *rows]), encoding="utf-8-sig")
    yield StandIn(
        {"ENRICHMENT_FILE_PATH": str(folder / "contacts.csv"), "ENRICHMENT_FILE_OUTPUT": str(folder / "enriched.csv")},
        absent_id="31",
    )


@contextmanager
def _salesforce(_: Path) -> Iterator[StandIn]:
    with server.running(contacts=30, seed=7) as box:
        yield StandIn(
            {
                "ENRICHMENT_SALESFORCE_LOGIN_URL": box.salesforce_url,
                "ENRICHMENT_SALESFORCE_CONSUMER_KEY": "sandbox-consumer",
                "ENRICHMENT_SALESFORCE_CONSUMER_SECRET": "sandbox-secret",
                "ENRICHMENT_SALESFORCE_REQUESTS_PER_SECOND": "1000",
            },
            absent_id="0035e00000zzzzzAAA",
        )


#: How to start the stand-in of each CRM; a new CRM needs an entry here, or this suite fails.
STAND_INS: dict[str, Callable[[Path], AbstractContextManager[StandIn]]] = {
    "file": _file,
    "hubspot": _hubspot,
    "salesforce": _salesforce,
}


@dataclass(frozen=True, slots=True)
class Tried:
    """A CRM under test with its contacts."""

    crm: Crm
    contacts: list[NewContact]
    absent_id: str

    @property
    def ids(self) -> list[str]:
        return [contact.crm_id for contact in self.contacts]

    def field(self, kind: str) -> str:
        """Return a writable field of the CRM's own rules that has this type."""
        known = self.crm.describe_fields()
        fields = [rule.field for rule in self.crm.rules if rule.rule is Rule.ALWAYS and not rule.stamp]
        return next(field for field in fields if known[field].type == kind)

    def values(self, field: str) -> dict[str, str | None]:
        return {crm_id: found.values[field] for crm_id, found in self.crm.read(self.ids, [field]).items()}


@pytest.fixture(params=VENDORS)
def tried(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tried]:
    """Give each CRM on its stand-in, with our fields in it."""
    vendor = request.param
    if vendor not in STAND_INS:
        pytest.fail(f"no stand-in for the CRM '{vendor}': add one to STAND_INS in {Path(__file__).name}")
    with STAND_INS[vendor](tmp_path) as stand_in:
        for name, value in stand_in.environment.items():
            monkeypatch.setenv(name, value)
        with open_crm(vendor) as crm:
            crm.ensure_fields()
            yield Tried(crm, [contact for page in crm.list_contacts() for contact in page], stand_in.absent_id)


def update(crm_id: str, field: str, value: str) -> Update:
    return Update(crm_id, f"trace-{crm_id}", (Change(field, None, value),))


def by_trace(results: list[UpdateResult]) -> dict[str, UpdateResult]:
    return {result.trace_id: result for result in results}


def test_it_is_known_by_its_module(tried: Tried, request: pytest.FixtureRequest) -> None:
    """The name in staged records is the name by which the CRM is configured."""
    assert tried.crm.name in VENDORS
    assert tried.crm.name in request.node.name


def test_it_lists_each_contact_once(tried: Tried) -> None:
    """A backfill sees every contact once."""
    assert len(tried.ids) == len(set(tried.ids)) > 1
    assert any(contact.email for contact in tried.contacts)


def test_it_yields_each_created_contact_once(tried: Tried) -> None:
    """What was created since long ago is every contact; since the day after the last, none."""
    seen = [contact.crm_id for page in tried.crm.created_since(LONG_AGO) for contact in page]
    assert sorted(seen) == sorted(tried.ids)
    moments = [datetime.fromisoformat(contact.created_at) for contact in tried.contacts if contact.created_at]
    assert all(moment.tzinfo for moment in moments)
    if not moments:
        return  # this CRM doesn't say when a contact was created
    latest = max(moments)
    newest = {contact.crm_id for page in tried.crm.created_since(latest) for contact in page}
    assert newest == {
        c.crm_id for c in tried.contacts if c.created_at and datetime.fromisoformat(c.created_at) == latest
    }


def test_it_reads_what_was_asked(tried: Tried) -> None:
    """Every contact comes under the id that was asked for, with exactly the asked fields and its identifiers."""
    field = tried.field("string")
    found = tried.crm.read([*tried.ids, tried.ids[0]], [field])
    assert found.keys() == set(tried.ids)
    assert all(contact.values.keys() == {field} for contact in found.values())
    emails = {contact.crm_id: contact.email for contact in tried.contacts}
    assert {crm_id: contact.contact.email for crm_id, contact in found.items()} == emails


def test_it_leaves_out_who_is_absent(tried: Tried) -> None:
    """A deleted contact is not an error, and hides no other."""
    found = tried.crm.read([tried.absent_id, tried.ids[0]], [])
    assert found.keys() == {tried.ids[0]}


def test_reading_no_contacts_makes_no_call(tried: Tried) -> None:
    """An empty chunk asks for nothing."""
    assert tried.crm.read([], ["email"]) == {}
    assert tried.crm.write([]) == []


def test_it_says_when_a_field_was_changed(tried: Tried) -> None:
    """The rule `if_newer` compares this moment with the provider's reply."""
    field = tried.field("string")
    tried.crm.write([update(tried.ids[0], field, "Example Ltd")])
    changed = tried.crm.read(tried.ids[:2], [field], history=[field])[tried.ids[0]].changed_at
    assert changed[field].tzinfo is not None


def test_it_confirms_every_update(tried: Tried) -> None:
    """Each input has one result, and what is confirmed can be read back."""
    field = tried.field("string")
    results = tried.crm.write([update(crm_id, field, f"Ünïcode {crm_id}") for crm_id in tried.ids])
    assert sorted(result.trace_id for result in results) == sorted(f"trace-{crm_id}" for crm_id in tried.ids)
    assert {result.reason for result in results} == {""}
    assert tried.values(field) == {crm_id: f"Ünïcode {crm_id}" for crm_id in tried.ids}


def test_one_bad_value_costs_one_field(tried: Tried) -> None:
    """Exactly the value that the CRM refuses is left out, by name; the contact's other field and the others pass."""
    number, text = tried.field("number"), tried.field("string")
    bad = tried.ids[1]
    updates = [
        Update(
            crm_id,
            f"trace-{crm_id}",
            (Change(number, None, "ada@example.com" if crm_id == bad else "42"), Change(text, None, "Example")),
        )
        for crm_id in tried.ids
    ]
    results = by_trace(tried.crm.write(updates))
    assert {result.reason for result in results.values()} == {""}
    refused = {trace_id: result.refused for trace_id, result in results.items() if result.refused}
    assert refused == {f"trace-{bad}": (Refusal(number, "not_a_number"),)}
    assert {crm_id for crm_id, value in tried.values(number).items() if value is not None} == {*tried.ids} - {bad}
    assert set(tried.values(text).values()) == {"Example"}


def test_who_is_gone_is_named_as_gone(tried: Tried) -> None:
    """An update of a deleted contact ends for good, and the others are written."""
    field = tried.field("string")
    updates = [update(tried.absent_id, field, "Example"), update(tried.ids[0], field, "Example")]
    results = by_trace(tried.crm.write(updates))
    absent = results[f"trace-{tried.absent_id}"]
    assert (absent.gone, absent.permanent) == (True, True)
    assert not results[f"trace-{tried.ids[0]}"].reason


def test_our_fields_are_created_once(tried: Tried) -> None:
    """Setup may be repeated; the second time there is nothing to do."""
    assert tried.crm.ensure_fields() == []


def test_it_describes_every_field_of_its_rules(tried: Tried) -> None:
    """A rule for a field that the CRM doesn't have would never write anything."""
    known = tried.crm.describe_fields()
    assert {rule.field for rule in tried.crm.rules} <= known.keys()
    assert all(isinstance(known[rule.field], FieldDescription) for rule in tried.crm.rules)
    assert not any(known[rule.field].read_only for rule in tried.crm.rules)
    assert not tried.crm.protected & {rule.field for rule in tried.crm.rules}


def test_its_check_is_one_line_without_secrets(tried: Tried) -> None:
    """The line is shown to people and written to logs."""
    line = tried.crm.check()
    assert line
    assert "\n" not in line
    assert "token" not in line


def test_a_share_of_the_rate_still_works(tried: Tried) -> None:
    """With more runs at work each one goes slower, not wrong."""
    tried.crm.share(0.5)
    assert tried.crm.read(tried.ids[:1], []).keys() == {tried.ids[0]}


def picked(tried: Tried, selection: Selection, **how: object) -> list[str]:
    return [contact.crm_id for page in tried.crm.select(selection, **how) for contact in page.contacts]


def test_a_selection_of_everything_has_each_contact_once(tried: Tried) -> None:
    """Page after page, with the addresses that the list has."""
    pages = list(tried.crm.select(Selection(everything=True)))
    found = [contact for page in pages for contact in page.contacts]
    assert sorted(contact.crm_id for contact in found) == sorted(tried.ids)
    emails = {contact.crm_id: contact.email for contact in tried.contacts}
    assert {contact.crm_id: contact.email for contact in found} == emails


@pytest.mark.parametrize("size", [12, 1000])
def test_a_sample_is_of_all_ages_and_says_of_how_many(tried: Tried, size: int) -> None:
    """Each contact once; all of them if there are no more."""
    found = tried.crm.sample(size)
    ids = [contact.crm_id for contact in found.contacts]
    assert found.total == len(tried.ids) == 30
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(tried.ids) if size > found.total else size // 2 <= len(ids) <= 2 * size
    assert {
        one for one in tried.crm.about if one in {"owner", "source", "created", "changed"}
    } == tried.crm.about.keys()
    read = tried.crm.read(ids[:1], list(tried.crm.about.values()))[ids[0]].values
    assert all(read[tried.crm.about[name]] for name in {"created", "changed"} & tried.crm.about.keys())


def test_a_selection_goes_on_behind_a_position(tried: Tried) -> None:
    """What comes after a page's position is exactly what the pages before it didn't have."""
    everybody = Selection(everything=True)
    (page, *later) = tried.crm.select(everybody)
    assert page.position
    seen = [contact.crm_id for contact in page.contacts] + [c.crm_id for other in later for c in other.contacts]
    rest = picked(tried, everybody, after=page.position)
    assert sorted(rest) == sorted(set(seen) - {contact.crm_id for contact in page.contacts})


def test_a_selection_finds_who_lacks_a_field(tried: Tried) -> None:
    """By the CRM's own name of the field, by the canonical name, and among some ids only."""
    field = tried.field("number")
    source = next(rule.source for rule in tried.crm.rules if rule.field == field)
    filled, rest = tried.ids[:10], tried.ids[10:]
    tried.crm.write([update(crm_id, field, "42") for crm_id in filled])
    assert sorted(picked(tried, Selection(missing=[field]))) == sorted(rest)
    assert sorted(picked(tried, Selection(missing=[field]), among=[*tried.ids[5:15], tried.absent_id])) == sorted(
        tried.ids[10:15]
    )
    if sum(rule.source == source for rule in tried.crm.rules) == 1:
        assert sorted(picked(tried, Selection(missing=[source]))) == sorted(rest)


def test_a_selection_finds_who_lacks_one_of_several_fields(tried: Tried) -> None:
    """One blank field is enough, also of long texts and of more fields than a query takes."""
    fields = [rule.field for rule in tried.crm.rules if rule.rule is Rule.ALWAYS and not rule.stamp]
    known = tried.crm.describe_fields()
    values = {field: "42" if known[field].type == "number" else "https://example.com/x" for field in fields}
    changes = tuple(Change(field, None, value) for field, value in values.items())
    full, almost = tried.ids[0], tried.ids[1]
    results = tried.crm.write([Update(full, "one", changes), Update(almost, "two", changes[:-1])])
    assert {result.reason for result in results} == {""}
    assert sorted(picked(tried, Selection(missing=fields))) == sorted(set(tried.ids) - {full})
    long_text = next((field for field in fields if "ech_" in field.lower()), fields[0])
    assert sorted(picked(tried, Selection(missing=[long_text]))) == sorted(set(tried.ids) - {full, almost})


def test_a_selection_by_time_of_creation_is_half_open(tried: Tried) -> None:
    """From the first moment on, up to but without the last; a CRM that doesn't know it says so."""
    moments = sorted(datetime.fromisoformat(c.created_at) for c in tried.contacts if c.created_at)
    if not moments:
        with pytest.raises(ConfigurationError, match="created_from"):
            picked(tried, Selection(created_from=LONG_AGO))
        return
    chosen = Selection(created_from=moments[5], created_until=moments[12])
    wanted = {
        c.crm_id
        for c in tried.contacts
        if c.created_at and moments[5] <= datetime.fromisoformat(c.created_at) < moments[12]
    }
    assert set(picked(tried, chosen)) == wanted != set()
    assert set(picked(tried, chosen, among=tried.ids[:9])) == wanted & set(tried.ids[:9])


def test_a_selection_by_an_unknown_field_is_refused(tried: Tried) -> None:
    """The message names the field and what there is."""
    with pytest.raises(ConfigurationError, match=r"no contact field 'shoe_size'.*industry"):
        picked(tried, Selection(missing=["shoe_size"]))


def test_a_condition_that_the_crm_cannot_judge_is_refused(tried: Tried) -> None:
    """No contact is selected by accident because a condition was left out."""
    refused = {"hubspot": ["condition"], "salesforce": [], "file": ["owner", "list_id", "condition", "created_from"]}
    values: dict[str, object] = {"created_from": LONG_AGO}
    for name in refused[tried.crm.name]:
        with pytest.raises(ConfigurationError, match=f"can't select by `{name}`"):
            picked(tried, Selection(**{name: values.get(name, "1")}))


def test_a_contact_s_page_has_its_id_in_the_address_or_there_is_none(tried: Tried) -> None:
    """By one free call at most; rows of a file have no page."""
    page = tried.crm.contact_page()
    assert bool(page) is (tried.crm.name != "file")
    assert not page or (page.startswith("https://") and page.count("{crm_id}") == 1)
