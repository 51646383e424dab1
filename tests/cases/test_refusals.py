"""Every field that isn't written leaves a trace: kept, counted, shown, and above a share in an alert."""

import io

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import app
from commands.preview import preview_table
from enrichment.alerts import Limits
from enrichment.records import Disposition
from enrichment.refusals import RefusedField
from enrichment.review_text import review_message
from enrichment.summary import RunReport, summary_markdown
from sandbox.accounts import notifier_settings
from tasks.books import close_books, open_books
from tasks.chunk import look_up, settle, store, write_back
from tasks.intake import stage_listed
from tasks.preview import preview
from tasks.queue import claim_chunks
from tasks.review import read_review
from tests.cases.chain import HUBSPOT, Chain

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
PEOPLE = 12


def let_industry_be_a_list(chain: Chain, *options: str) -> None:
    """Make HubSpot's `industry` a property with these options."""
    chain.world.hubspot._catalog.definitions["industry"] |= {
        "type": "enumeration",
        "fieldType": "select",
        "options": [{"label": option, "value": option.upper(), "hidden": False} for option in options],
    }


def stage(chain: Chain, *crm_ids: str, refresh: bool = False) -> None:
    stage_listed.fn("hubspot", chain.vendor, "live", list(crm_ids), "", refresh=refresh)


def run(chain: Chain) -> RunReport:
    """Take what waits through a whole run, books and alerts included."""
    chain.setenv("ENRICHMENT_NOTIFIERS", "slack")
    for name, value in notifier_settings(chain.box.url, chain.box.smtp_port).items():
        if "SLACK" in name:
            chain.setenv(name, value)
    plan = chain.plan()
    open_books.fn(plan)
    planned, taken = dict[str, int](), 0
    for claimed in claim_chunks.fn(plan, 1, 1000):
        taken += len(claimed.contents.records)
        planned = dict(settle.fn(plan, write_back.fn(plan, store.fn(plan, look_up.fn(plan, claimed)))).planned)
    return close_books.fn(plan, None, 0, taken, 0, Limits(), ["slack"], planned)


def table_of(shown: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(preview_table(shown))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@WAREHOUSES
def test_a_value_that_the_list_lacks_is_kept_counted_and_shown(chain: Chain) -> None:
    """The other fields are written; summary, alert, story, dry run and review name field, reason and values."""
    let_industry_be_a_list(chain, "Mining")
    ids = chain.world.hubspot.create([{"email": f"hit+p{n}@firm{n % 2}.example"} for n in range(PEOPLE)])
    stage(chain, *ids)
    report = run(chain)
    assert report.books.dispositions == {Disposition.WRITTEN: PEOPLE}
    (refused,) = report.refusals
    assert (refused.field, refused.reason, refused.contacts) == ("industry", "not_an_option", PEOPLE)
    assert refused.planned == PEOPLE == sum(count for _, count in refused.values)
    said = f"{PEOPLE} values not in hubspot's list"
    assert f"| not written: industry | {said}" in summary_markdown(report)
    (message,) = chain.world.slack.messages
    assert f"industry: {said}" in message.text
    assert all(value in message.text for value, _ in refused.values)
    assert "Nothing is lost" in message.text
    assert all(chain.values(one, "company")["company"] for one in ids)
    story = CliRunner().invoke(app, ["why", ids[0]])
    assert "not written: industry (" in story.stdout
    assert ": not in hubspot's list" in story.stdout
    assert f"Not written: industry: {PEOPLE} values" in review_message(read_review(chain.vendor, 7)).body

    (own,) = chain.world.hubspot.create([{"email": "hit+p0@firm0.example", "company": "Own Ltd"}])
    stage(chain, own)
    shown = table_of(preview.fn(chain.plan(), 10))
    assert "not in the CRM's list" in shown
    assert "the field isn't blank (rule fill_blank)" in shown
    stage(chain, ids[0], refresh=True)
    assert len(run(chain).refusals) == 1
    assert len(chain.world.slack.messages) == 1  # people know it, and nothing got worse
    assert "not written: company: the CRM had a value (rule fill_blank)" in CliRunner().invoke(app, ["why", own]).stdout
    kept = [one.reason for one in chain.warehouse.read_story(HUBSPOT, own).refusals]
    assert kept == ["not_an_option"]  # a refusal by the user's own rule is not a problem
    assert chain.warehouse.erase(HUBSPOT, own).rows["field_refusals"] == 1


def test_a_field_that_takes_nothing_is_said_once(chain: Chain) -> None:
    """Not for each contact: one line, in an alert at once, however few contacts there are."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+p@firm.example"}])
    stage(chain, crm_id)
    chain.world.hubspot._catalog.definitions["industry"]["modificationMetadata"] = {"readOnlyValue": True}
    assert run(chain).refusals == [RefusedField("industry", "read_only", 1, planned=1)]
    (message,) = chain.world.slack.messages
    assert "industry can't be written as mapped" in message.text
    assert "hubspot doesn't let this field be written; 1 value was not written" in message.text
