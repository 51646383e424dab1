"""A backfill in one process: what is selected is staged and enriched, estimated before, capped, paused and resumed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.utilities.callables import parameter_schema

from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.estimate import Estimate
from enrichment.intake import ListedContacts, SelectedContacts, Selection
from enrichment.records import Disposition, Origin
from enrichment.summary import RunReport, summary_lines, summary_markdown
from tasks.backfill import stage_selection
from tasks.doctor import examine
from tasks.queue import pause_lane, resume_lane
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, estimate_backfill, ingest_contacts
from tests.integration.test_replies_through_the_flow import serve_with

pytestmark = pytest.mark.usefixtures("without_server")

EVERYBODY = Selection(everything=True)


def run(**parameters: object) -> RunReport:
    report = enrich_contacts(**parameters)
    assert isinstance(report, RunReport)
    return report


def estimated(selection: Selection) -> Estimate:
    found = estimate_backfill(selection)
    assert isinstance(found, Estimate)
    return found


def lanes(pipeline: Pipeline) -> dict[str, int]:
    counts: dict[str, int] = {}
    for count in pipeline.warehouse.count_queue():
        counts[count.lane] = counts.get(count.lane, 0) + count.records
    return counts


def searches(pipeline: Pipeline) -> int:
    return sum(1 for record in pipeline.box.world.hubspot.log.records() if record.path.endswith("/search"))


def middle(pipeline: Pipeline) -> datetime:
    """Return the moment at which half of the contacts had been created."""
    moments = sorted(values["createdate"] for values in pipeline.box.world.hubspot.contacts.values())
    return datetime.fromisoformat(moments[len(moments) // 2])


def test_a_backfill_enriches_only_the_selected_contacts(pipeline: Pipeline) -> None:
    """The selected go through the backfill lane; a live contact that waits stays for the live lane."""
    pipeline.new_world(120)
    newest = max(pipeline.box.world.hubspot.contacts, key=int)
    ingest_contacts(ListedContacts(crm_ids=[newest]))
    report = run(select=Selection(created_until=middle(pipeline)))
    assert report.books.balanced
    assert report.books.claimed == 60
    assert lanes(pipeline) == {"live": 1}
    touched = set(pipeline.box.world.hubspot.updates_by_contact)
    assert touched
    assert touched <= set(sorted(pipeline.box.world.hubspot.contacts, key=int)[:60])
    story = pipeline.warehouse.read_story(Origin("hubspot"), min(touched)).ledger
    assert (story[0].lane, story[0].source) == ("backfill", "backfill")


def test_missing_fields_are_what_the_last_run_did_not_fill(pipeline: Pipeline) -> None:
    """A second backfill of those without the provider's mark takes only those that were never matched."""
    pipeline.new_world(100)
    first = run(select=Selection(missing=["provider"]))
    assert first.books.claimed == 100
    again = run(select=Selection(missing=["provider"]))
    written = first.books.count(Disposition.WRITTEN) + first.books.count(Disposition.UNCHANGED)
    assert again.books.claimed == 100 - written
    assert sum(use.replies for use in again.providers) == 0


def test_a_file_names_the_contacts_and_conditions_narrow_it(pipeline: Pipeline, tmp_path: Path) -> None:
    """Only those of the file that fulfil the conditions; no contact stands in a parameter."""
    pipeline.new_world(60)
    ids = sorted(pipeline.box.world.hubspot.contacts, key=int)
    pipeline.box.world.hubspot.edit(ids[0], {"industry": "Retail"})
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["crm_id", *ids[:5], "999999999999"]))
    chosen = Selection(csv_path=str(file), missing=["industry"])
    lacking = [i for i in ids[:5] if not pipeline.box.world.hubspot.contacts[i].get("industry")]
    assert ingest_contacts(SelectedContacts(select=chosen), lane="backfill") == len(lacking) < 5
    assert {crm_id for crm_id in ids if pipeline.warehouse.waiting_of(Origin("hubspot"), [crm_id])} == set(lacking)
    assert ingest_contacts(SelectedContacts(select=Selection(csv_path=str(file))), lane="backfill") == 6 - len(lacking)
    file.write_text("\n".join(["crm_id", *ids[4:8]]))
    assert ingest_contacts(SelectedContacts(select=Selection(csv_path=str(file))), lane="backfill") == 3


def test_an_estimate_says_what_a_run_then_costs_and_changes_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    """Nothing is staged, asked or written; the figures bound those of the run that follows, and money has its price."""
    pipeline.new_world(200)
    world = pipeline.box.world
    book = tmp_path / "prices.yaml"
    book.write_text("zoominfo: {price: 0.5, currency: EUR}\n")
    run(select=Selection(created_until=middle(pipeline)))
    waiting = sorted(world.hubspot.contacts, key=int)[-3:]
    ingest_contacts(ListedContacts(crm_ids=waiting))
    asked, writes, queue = sum(world.zoominfo.lookups.values()), len(world.hubspot.writes), pipeline.queue()
    pipeline.setenv("ENRICHMENT_PRICE_BOOK", str(book))
    found = estimated(EVERYBODY)
    assert run(select=EVERYBODY, estimate_only=True).books.claimed == 0  # the same by the form of the backfill
    assert (sum(world.zoominfo.lookups.values()), len(world.hubspot.writes), pipeline.queue()) == (asked, writes, queue)
    (zoominfo,) = found.providers
    assert (found.selected, found.waiting) == (200, 3)
    assert found.fresh > 30
    assert zoominfo.in_journal > 0
    assert zoominfo.match_rate is not None
    assert zoominfo.credits.expected < zoominfo.credits.at_most == zoominfo.requests.at_most
    assert zoominfo.money is not None
    assert zoominfo.money.at_most == zoominfo.credits.at_most / 2
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("DELETE FROM enrichment_staging")
    report = run(select=EVERYBODY)
    known_later = sum(1 for crm_id in waiting if world.hubspot.contacts[crm_id].get("email"))
    assert (
        zoominfo.requests.at_most
        <= sum(use.replies for use in report.providers)
        <= zoominfo.requests.at_most + known_later
    )
    assert report.credits <= zoominfo.credits.at_most + known_later


def test_an_estimate_does_not_count_ids_that_the_crm_does_not_have(pipeline: Pipeline, tmp_path: Path) -> None:
    """They are unusable, as they would be in the run; who exists is counted, by the address of the list."""
    pipeline.new_world(10)
    (real,) = pipeline.box.world.hubspot.create([{"email": "hit+p@firm.example"}])
    file = tmp_path / "list.csv"
    file.write_text(f"crm_id,email\n999000001,hit+x@firm.example\n999000002,\n{real},hit+p@firm.example\n")
    found = estimated(Selection(csv_path=str(file)))
    assert (found.selected, found.unusable, found.providers[0].requests.at_most) == (3, 2, 1)


def test_an_estimate_of_a_waterfall_counts_the_second_provider_for_what_the_first_may_miss(pipeline: Pipeline) -> None:
    """At most everybody is asked of both; as expected, the second one only gets the misses."""
    pipeline.new_world(80)
    pipeline.setenv("ENRICHMENT_HUNTER_API_KEY", "sandbox-key")
    pipeline.setenv("ENRICHMENT_HUNTER_BASE_URL", pipeline.box.hunter_url)
    run(select=Selection(created_until=middle(pipeline)))
    pipeline.setenv("ENRICHMENT_PROVIDER", "zoominfo,hunter")
    first, second = estimated(Selection(created_from=middle(pipeline))).providers
    assert first.match_rate is not None
    assert 0 < second.requests.expected < second.requests.at_most
    assert second.requests.expected == pytest.approx(second.requests.at_most * (1 - first.match_rate))
    assert second.credits.at_most == 2 * second.requests.at_most


def test_a_run_s_cap_is_never_exceeded_and_ends_it_well(pipeline: Pipeline) -> None:
    """No alert and no failure; the summary says so, the rest waits at no attempt, and the next run goes on."""
    pipeline.new_world(200)
    world = pipeline.box.world
    report = run(select=EVERYBODY, max_credits=20)
    assert report.books.balanced
    assert report.stop is not None
    assert report.stop.kind == "credit_cap_reached"
    assert 0 < report.credits <= world.zoominfo.credits_used <= 20
    assert "credit cap reached: 20 credits per run" in summary_markdown(report)
    assert "credit cap reached" in dict(summary_lines(report))["stopped early"]
    assert world.slack.messages == world.mail.messages == []
    assert pipeline.queue() == 200 - report.books.finished > 0
    with pipeline.warehouse._reading() as session:
        rows = session._connection.execute("SELECT max(attempts) FROM enrichment_staging").fetchone()
    assert rows[0] == 0
    rest = run(lane="backfill")
    assert rest.books.balanced
    assert rest.stop is None
    assert pipeline.queue() == 0
    assert max(world.zoominfo.lookups.values()) == 1


def test_a_run_without_a_credit_takes_what_the_journal_has(pipeline: Pipeline) -> None:
    """A cap of nothing asks for nothing, and still finishes what is known or can't be looked up."""
    pipeline.new_world(60)
    report = run(select=EVERYBODY, max_credits=0)
    assert (report.credits, sum(pipeline.box.world.zoominfo.lookups.values())) == (0, 0)
    assert report.books.balanced
    assert report.books.finished == report.books.count(Disposition.INVALID)


def test_a_day_s_cap_holds_for_all_its_runs(pipeline: Pipeline) -> None:
    """What doesn't fit waits for the next day (UTC), and a run that finds the cap reached ends well, too."""
    pipeline.new_world(150)
    world = pipeline.box.world
    pipeline.setenv("ENRICHMENT_CREDITS_PER_DAY", "zoominfo=30")
    day = datetime.now(UTC).date()
    reports = [run(select=EVERYBODY)]
    assert world.zoominfo.credits_used > 20
    tomorrow = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    with pipeline.warehouse._reading() as session:
        times = session._connection.execute("SELECT not_before FROM enrichment_staging WHERE not_before IS NOT NULL")
        waits = [datetime.fromisoformat(row[0]) for row in times]
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET not_before = NULL")
    reports.append(run(lane="backfill"))
    assert all(report.books.balanced for report in reports)
    assert world.slack.messages == []
    if datetime.now(UTC).date() == day:  # else midnight has passed meanwhile, and with it the cap
        assert sum(1 for wait in waits if abs(wait - tomorrow) < timedelta(minutes=5)) > 50
        assert [report.stop.kind if report.stop else "" for report in reports] == ["credit_cap_reached"] * 2
        assert world.zoominfo.credits_used <= 30


def test_a_lost_answer_counts_where_each_question_is_billed(pipeline: Pipeline) -> None:
    """The provider may have billed it, and bills the next attempt again: both have to fit under the cap."""
    seller = serve_with(pipeline, "peopledatalabs", 120)
    pipeline.box.world.faults.add(service="peopledatalabs", path_contains="bulk", kind="reset_after")
    report = run(select=EVERYBODY, max_credits=60)
    assert report.stop is not None
    assert report.stop.kind == "credit_cap_reached"
    assert report.credits < seller.credits_used <= 60
    (counted,) = pipeline.warehouse._query("read_credits", provider="peopledatalabs", run_id=report.run_id)
    assert counted["run_spent"] == report.credits
    assert seller.credits_used <= counted["run_spent"] + counted["run_doubtful"] <= 60


def test_a_paused_lane_waits_and_goes_on(pipeline: Pipeline) -> None:
    """Its runs end well and say why; the other lane is worked off meanwhile; the doctor says so."""
    pipeline.new_world(40)
    newest = max(pipeline.box.world.hubspot.contacts, key=int)
    ingest_contacts(ListedContacts(crm_ids=[newest]))
    pause_lane("backfill")
    report = run(select=Selection(created_until=middle(pipeline)))
    assert report.books.claimed == 0
    assert report.stop is not None
    assert (report.stop.kind, "enrich resume backfill" in report.stop.message) == ("paused", True)
    assert run(lane="live").stop is None
    assert lanes(pipeline) == {"backfill": 20}
    assert any("the backfill queue has been paused since" in finding.says for finding in examine())
    assert resume_lane("backfill") == 20
    assert run(lane="backfill").stop is None
    assert pipeline.queue() == 0
    assert pipeline.box.world.slack.messages == []


def test_a_staging_that_broke_goes_on_behind_its_last_page(pipeline: Pipeline) -> None:
    """What is staged isn't read again; once all is staged, the same again stages no contact while records wait."""
    pipeline.new_world(500)
    refusal = {"kind": "status", "service": "hubspot", "path_contains": "/search", "status": 400}
    pipeline.box.world.faults.add(**refusal, after=2)
    with pytest.raises(RequestRefusedError):
        ingest_contacts(SelectedContacts(select=EVERYBODY), lane="backfill")
    assert lanes(pipeline) == {"backfill": 400}
    pipeline.box.world.faults.clear()
    before = searches(pipeline)
    assert ingest_contacts(SelectedContacts(select=EVERYBODY), lane="backfill") == 100
    assert searches(pipeline) == before + 1
    assert ingest_contacts(SelectedContacts(select=EVERYBODY), lane="backfill") == 0
    assert searches(pipeline) == before + 1
    assert ingest_contacts(SelectedContacts(select=Selection(created_until=middle(pipeline))), lane="backfill") == 0
    assert lanes(pipeline) == {"backfill": 500}


def test_a_selection_is_read_again_once_its_lane_is_empty(pipeline: Pipeline) -> None:
    """A backfill may be repeated; those that were enriched lately cost nothing."""
    pipeline.new_world(30)
    run(select=EVERYBODY)
    asked = sum(pipeline.box.world.zoominfo.lookups.values())
    again = run(select=EVERYBODY)
    assert again.books.claimed == 30
    assert again.books.count(Disposition.SKIPPED_FRESH) > 0
    assert sum(pipeline.box.world.zoominfo.lookups.values()) == asked


def test_what_was_staged_long_ago_is_read_again(pipeline: Pipeline) -> None:
    """A position of yesterday says nothing of those before it today."""
    pipeline.new_world(30)
    assert stage_selection.fn("hubspot", "sqlite", "backfill", EVERYBODY) == 30
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("UPDATE event_cursors SET cursor = replace(cursor, '\"20', '\"19')")
        session._connection.execute(
            "DELETE FROM enrichment_staging WHERE crm_id IN (SELECT min(crm_id) FROM enrichment_staging)"
        )
    assert stage_selection.fn("hubspot", "sqlite", "backfill", EVERYBODY) == 1


def test_the_form_describes_every_condition() -> None:
    """Prefect's UI shows for each field of the selection what belongs there."""
    for form in (parameter_schema(enrich_contacts), parameter_schema(ingest_contacts)):
        fields = form.definitions["Selection"]["properties"]
        assert set(fields) == set(Selection.model_fields)
        assert all(field["description"] for field in fields.values())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"refresh": True}, "selected contacts"),
        ({"lane": "live", "select": EVERYBODY}, "go to the backfill queue"),
        ({"select": Selection(condition="x = 1")}, "can't select by `condition`"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    pipeline: Pipeline, parameters: dict[str, object], words: str
) -> None:
    """Before anything is staged or claimed."""
    pipeline.new_world(5)
    with pytest.raises(ConfigurationError, match=words):
        enrich_contacts(**parameters)
    assert pipeline.queue() == 0
