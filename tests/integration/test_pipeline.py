"""The whole loop in one process: real flows, mostly on a real Prefect server, real sockets, the stand-ins' ledgers."""

import gc
import os
from typing import Any

import pytest

from enrichment.errors import (
    CredentialsRejectedError,
    EnrichmentError,
    QuotaExhaustedError,
    RequestRefusedError,
    TransientError,
)
from enrichment.intake import EveryContact, FailedContacts, ListedContacts, MissedContacts
from enrichment.records import Disposition, Origin, StagedRecord
from enrichment.summary import RunReport
from flows import work
from sandbox.agreement import disagreements
from tasks.contact import erase_contact
from tasks.preview import Preview
from tasks.queue import claim_chunks
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts, preview_contacts

#: What a run does to contacts, where it matters little that Prefect carries it.
ALONE = pytest.mark.usefixtures("without_server")


def run(**parameters: object) -> RunReport:
    report = enrich_contacts(**parameters)
    assert isinstance(report, RunReport)
    return report


def crm_agrees(pipeline: Pipeline, run_id: str) -> int:
    """Compare every confirmed write with what the CRM holds; return how many there are."""
    written = pipeline.warehouse.read_written(run_id, Origin("hubspot"))
    assert disagreements(written, pipeline.box.world.hubspot.contacts) == []
    return len(written)


@pytest.mark.parametrize("pipeline", ["sqlite", "postgres"], indirect=True)
def test_every_contact_ends_once_and_the_crm_holds_what_the_warehouse_says(pipeline: Pipeline) -> None:
    """The queue is empty, the books balance, each is looked up and written once, both sides agree field by field."""
    pipeline.new_world(320)
    assert ingest_contacts(EveryContact()) == 320
    report = run()
    assert report.books.balanced
    assert report.books.claimed == report.books.finished == 320
    assert pipeline.queue() == 0
    assert report.books.dispositions["written"] > 150
    assert {"unmatched", "invalid"} <= set(report.books.dispositions)
    assert crm_agrees(pipeline, report.run_id) > 500
    world = pipeline.box.world
    assert set(world.hubspot.updates_by_contact.values()) == {1}
    assert max(world.zoominfo.lookups.values()) == 1
    assert world.zoominfo.credits_used == sum(world.zoominfo.billed.values()) == report.credits
    assert report.api_versions == ["v1"]
    assert world.slack.messages == world.mail.messages == []


def test_a_run_that_fails_awaits_its_batches_before_it_lets_go_of_them(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else another run would take the contacts, and pay for what is being bought at that moment."""
    pipeline.new_world(60)
    ingest_contacts(EveryContact())
    pipeline.setenv("ENRICHMENT_CHUNK_SIZE", "20")
    pipeline.box.configure(zoominfo={"latency_ms": 300})
    taken: list[Any] = []

    def take_once(*args: Any) -> Any:
        if taken:
            raise TransientError("the warehouse is away")
        taken.append(claim_chunks(*args))
        return taken[0]

    monkeypatch.setattr(work, "claim_chunks", take_once)
    with caplog.at_level("INFO"), pytest.raises(TransientError, match="the warehouse is away"):
        enrich_contacts()
    said = [one.split()[0] for one in caplog.messages]
    assert len(taken[0]) == said.count("chunk_looked_up") == 3
    assert max(place for place, what in enumerate(said) if what == "chunk_settled") < said.index("books_closed")
    monkeypatch.undo()


def test_a_run_lets_go_of_each_batch(pipeline: Pipeline) -> None:
    """No contact is kept once its batch has ended, though Prefect's task runs stay until the collector comes round."""
    pipeline.new_world(200)
    ingest_contacts(EveryContact())
    gc.collect()
    gc.disable()
    try:
        before = held_records()
        assert run().books.finished == 200
        assert held_records() == before
    finally:
        gc.enable()


def held_records() -> int:
    return sum(isinstance(each, StagedRecord) for each in gc.get_objects())


@ALONE
@pytest.mark.parametrize("pipeline", ["sqlite", "postgres"], indirect=True)
def test_one_run_with_many_bad_contacts_fails_one_of_them(pipeline: Pipeline) -> None:
    """Odd characters and numbers cost a value; only the contact that draws 500 fails, alone and by its call's id."""
    pipeline.setenv("ENRICHMENT_PROVIDER", "zoominfo")
    pipeline.new_world(1)
    world = pipeline.box.world
    good = world.hubspot.create(
        [{"email": f"hit+p{place}@p{place}.example", "lastname": "HALF"} for place in range(40)]
    )
    (bad,) = world.hubspot.create([{"email": "fault+x@x.example"}])
    odd = {
        r'"jobTitle":"': r'"headline":"\\ud83d","score":NaN,"huge":1' + "0" * 40 + r',"jobTitle":"\\u0000',
        r'"employeeCount":\d+': '"employeeCount":7900000000',
    }
    world.faults.add(kind="rewritten", service="zoominfo", path_contains="contacts/enrich", rewrites=odd, times=0)
    world.faults.add(kind="rewritten", service="hubspot", rewrites={"HALF": r"\\ude00"}, times=0)
    ingest_contacts(ListedContacts(crm_ids=[*good, bad]))
    report = run()
    assert report.books.balanced
    assert report.books.dispositions == {"written": 40, "failed": 1}
    (letter,) = pipeline.warehouse.read_story(Origin("hubspot"), bad).failures
    assert "(request " in letter.error
    assert set(world.zoominfo.billed.values()) == {1}
    assert report.credits == world.zoominfo.credits_used == 40
    assert crm_agrees(pipeline, report.run_id) > 40
    assert "enr_employee_count" in {one.field for one in pipeline.warehouse.count_refusals(report.run_id)}


@ALONE
def test_a_second_run_pays_for_nothing_and_writes_nothing(pipeline: Pipeline) -> None:
    """Contacts that were written are fresh, and the journal answers for the others."""
    pipeline.new_world(150)
    ingest_contacts(EveryContact())
    first = run()
    world = pipeline.box.world
    asked, writes = sum(world.zoominfo.lookups.values()), len(world.hubspot.writes)
    ingest_contacts(EveryContact())
    second = run()
    assert second.books.claimed == 150
    assert second.books.count(Disposition.SKIPPED_FRESH) == first.books.count(Disposition.WRITTEN) + first.books.count(
        Disposition.UNCHANGED
    )
    assert (sum(world.zoominfo.lookups.values()), len(world.hubspot.writes)) == (asked, writes)


@ALONE
def test_a_changed_freshness_reads_the_journal_for_free(pipeline: Pipeline) -> None:
    """Enriching again within the journal's time costs nothing, and finds the CRM up to date."""
    pipeline.new_world(120)
    ingest_contacts(EveryContact())
    first = run()
    asked = sum(pipeline.box.world.zoominfo.lookups.values())
    pipeline.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(EveryContact())
    again = run()
    assert sum(pipeline.box.world.zoominfo.lookups.values()) == asked
    assert again.books.count(Disposition.UNCHANGED) == first.books.count(Disposition.WRITTEN) + first.books.count(
        Disposition.UNCHANGED
    )


@ALONE
def test_intake_takes_new_contacts_and_keeps_its_place(pipeline: Pipeline) -> None:
    """The second incremental intake stages only what was created since the first."""
    pipeline.new_world(60)
    pipeline.box.world.hubspot.create([{"email": "first@new.example"}])
    staged = ingest_contacts()
    assert staged >= 1
    run()
    (crm_id,) = pipeline.box.world.hubspot.create([{"email": "second@new.example", "firstname": "Zoë"}])
    ingest_contacts()
    assert pipeline.warehouse.read_story(Origin("hubspot"), crm_id).staging
    assert run().books.balanced


@ALONE
def test_what_the_listeners_missed_is_staged_by_night(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """Of the last days' contacts, only those that neither wait nor have ended are staged, and the cursor stays."""
    pipeline.new_world(10)
    world = pipeline.box.world
    waits, ended, missed, erased = (
        world.hubspot.create([{"email": f"hit+{name}@acme.example"}])[0] for name in ("a", "b", "c", "d")
    )
    ingest_contacts(ListedContacts(crm_ids=[ended, erased]))
    run()
    ingest_contacts(ListedContacts(crm_ids=[waits]))
    erase_contact("sqlite", "hubspot", erased)
    before = pipeline.warehouse.read_cursor("intake:hubspot")
    assert ingest_contacts(MissedContacts(days=1)) == 1
    assert [one.source for one in pipeline.warehouse.read_story(Origin(""), missed).staging] == ["schedule"]
    assert ingest_contacts(MissedContacts(days=1)) == 0
    assert pipeline.warehouse.read_cursor("intake:hubspot") == before is None
    assert "contacts_reconciled crm=hubspot days=1 missed=1" in caplog.text


@ALONE
def test_a_human_value_is_kept_and_a_blank_is_filled(pipeline: Pipeline) -> None:
    """The default policy fills standard fields, keeps what people wrote, and always keeps our own fields."""
    pipeline.new_world(200)
    before = pipeline.box.world.hubspot.contacts
    ingest_contacts(EveryContact())
    report = run()
    after = pipeline.box.world.hubspot.contacts
    for crm_id, values in before.items():
        for field in ("company", "jobtitle", "industry", "hs_linkedin_url"):
            assert not values.get(field) or after[crm_id][field] == values[field]
    filled = [c for c in after if after[c].get("company") and not before[c].get("company")]
    assert filled
    own = pipeline.warehouse.read_written(report.run_id, Origin("hubspot"))
    assert {"enr_company_name", "enr_provider", "enr_enriched_at"} <= {one.field for one in own}


def test_quota_stops_the_run_alerts_once_and_the_next_run_goes_on(pipeline: Pipeline) -> None:
    """What was paid for is used, the rest stays in the queue, and the message goes out once until all is well."""
    pipeline.new_world(200)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    pipeline.box.configure(zoominfo={"credits_left": 40})
    for _ in range(2):
        with pytest.raises(QuotaExhaustedError, match="remaining contacts wait in the queue"):
            run()
    assert world.zoominfo.credits_used == 40
    assert 0 < pipeline.queue() < 200
    assert [("quota" in m.text) for m in world.slack.messages] == [True]
    assert len(world.mail.messages) == 1
    pipeline.box.configure(zoominfo={"credits_left": 1000})
    assert run().books.balanced
    assert pipeline.queue() == 0
    assert "recovered: " in world.slack.messages[-1].text
    assert len(world.slack.messages) == 2
    assert set(world.hubspot.updates_by_contact.values()) == {1}
    assert max(world.zoominfo.billed.values()) == 1


def test_a_rejected_credential_stops_the_run_before_anything_is_spent(pipeline: Pipeline) -> None:
    """The run fails with the cause, people are alerted, and the queue is whole."""
    pipeline.new_world(60)
    ingest_contacts(EveryContact())
    pipeline.setenv("ENRICHMENT_ZOOMINFO_CLIENT_SECRET", "wrong-one")
    with pytest.raises(CredentialsRejectedError):
        run()
    assert pipeline.queue() + sum(pipeline.dispositions().values()) == 60
    assert set(pipeline.dispositions()) <= {"invalid"}
    assert pipeline.box.world.zoominfo.credits_used == 0
    (message,) = pipeline.box.world.slack.messages
    assert "credentials rejected" in message.text
    assert "wrong-one" not in message.text


@ALONE
def test_a_missing_permission_stops_the_run_as_a_refused_request(pipeline: Pipeline) -> None:
    """No user is advised to renew a credential that is good; what was paid for is written by the next run."""
    pipeline.new_world(60)
    ingest_contacts(EveryContact())
    scopes = pipeline.box.world.hubspot.settings.scopes
    pipeline.box.configure(hubspot={"scopes": tuple(one for one in scopes if one != "crm.objects.contacts.write")})
    with pytest.raises(RequestRefusedError, match=r"Add the scope crm\.objects\.contacts\.write"):
        run()
    (message,) = pipeline.box.world.slack.messages
    assert "request refused" in message.text
    pipeline.box.configure(hubspot={"scopes": scopes})
    assert run().books.balanced
    assert pipeline.queue() == 0
    assert max(pipeline.box.world.zoominfo.billed.values()) == 1


def test_failures_above_the_threshold_alert_with_their_cause_and_can_be_replayed(pipeline: Pipeline) -> None:
    """Values that the CRM refuses become dead letters, one message names cause and fix, and a replay heals them."""
    pipeline.new_world(40)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    refusal = '{"status":"error","category":"VALIDATION_ERROR","message":"Property values were not valid"}'
    world.faults.add(
        kind="status",
        service="hubspot",
        path_contains="batch/update",
        status=400,
        body=refusal,
        content_type="application/json",
        times=0,
    )
    report = run()
    assert report.books.balanced
    assert report.books.failure_rate > 0.01
    (message,) = world.slack.messages
    assert "enrich retry --cause" in message.text
    assert report.causes[0].reason in message.text
    world.faults.clear()
    asked = sum(world.zoominfo.lookups.values())
    assert ingest_contacts(FailedContacts()) == report.books.count(Disposition.FAILED)
    healed = run()
    assert healed.books.count(Disposition.WRITTEN) == report.books.count(Disposition.FAILED)
    assert sum(world.zoominfo.lookups.values()) == asked
    assert "recovered: " in world.slack.messages[-1].text


def test_transient_trouble_on_both_sides_changes_no_result(pipeline: Pipeline) -> None:
    """Dropped connections, throttles, outages and lost answers end with the same books, and one credit each."""
    pipeline.new_world(200)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    for kind, path in (
        ("reset_before", "contacts/enrich"),
        ("reset_after", "contacts/enrich"),
        ("truncated", "enrich"),
    ):
        world.faults.add(service="zoominfo", path_contains=path, kind=kind)
    world.faults.add(
        service="zoominfo", path_contains="contacts/enrich", kind="status", status=503, retry_after="seconds", seconds=1
    )
    world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="unauthorized", after=2)
    for kind in ("reset_before", "reset_after", "empty_200"):
        world.faults.add(service="hubspot", path_contains="batch/update", kind=kind)
    world.faults.add(service="hubspot", path_contains="batch/read", kind="status", status=502)
    report = run()
    assert report.books.balanced
    assert report.books.count(Disposition.FAILED) == 0
    assert max(world.zoominfo.billed.values()) == 1
    assert crm_agrees(pipeline, report.run_id)


@ALONE
def test_a_long_pause_sends_the_records_back_without_an_attempt(pipeline: Pipeline) -> None:
    """A wait over the bound is neither slept nor shortened, and no alert goes out."""
    pipeline.new_world(60)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    world.faults.add(
        service="zoominfo",
        path_contains="contacts/enrich",
        kind="status",
        status=429,
        retry_after="seconds",
        seconds=3600,
        times=0,
    )
    report = run()
    assert report.books.balanced
    assert report.books.returned == pipeline.queue() > 0
    assert world.slack.messages == []


def test_a_broken_chain_gives_its_records_back(pipeline: Pipeline) -> None:
    """A bug in one step fails the run loudly, and loses nothing."""
    pipeline.new_world(40)
    ingest_contacts(EveryContact())
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("ALTER TABLE enrichment_history RENAME TO away")
    with pytest.raises(EnrichmentError, match="1 batches failed unexpectedly"):
        run()
    (message,) = pipeline.box.world.slack.messages
    assert "part of a run failed unexpectedly" in message.text
    assert pipeline.queue() == 40 - sum(pipeline.dispositions().values())
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("ALTER TABLE away RENAME TO enrichment_history")
        session._connection.execute("UPDATE enrichment_staging SET not_before = NULL")
    asked = sum(pipeline.box.world.zoominfo.lookups.values())
    assert run().books.balanced
    assert pipeline.queue() == 0
    assert sum(pipeline.box.world.zoominfo.lookups.values()) == asked


@ALONE
def test_a_suppressed_contact_is_never_looked_up(pipeline: Pipeline) -> None:
    """The hashed list is asked before anything else."""
    from enrichment.identifiers import suppression_keys  # noqa: PLC0415
    from enrichment.records import Contact  # noqa: PLC0415

    pipeline.new_world(20)
    (crm_id,) = pipeline.box.world.hubspot.create([{"email": "hit+never@acme.example"}])
    keys = suppression_keys(Contact("x", "Hit+Never@acme.example"), Origin("hubspot"))
    pipeline.warehouse.suppress(keys, "opt_out")
    ingest_contacts(ListedContacts(crm_ids=[crm_id]))
    report = run()
    assert report.books.count(Disposition.SUPPRESSED) == 1
    assert sum(pipeline.box.world.zoominfo.lookups.values()) == 0


@ALONE
def test_a_dry_run_shows_the_diff_and_changes_nothing(pipeline: Pipeline) -> None:
    """The journal's replies are shown as the CRM would get them; nothing is claimed, spent or written."""
    pipeline.new_world(60)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    empty = preview_contacts()
    assert isinstance(empty, Preview)
    assert (empty.records, empty.changes) == (60, {})
    assert empty.would_ask > 0
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", '["enr_company_name"]')
    run()
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", "")
    writes, asked = len(world.hubspot.writes), sum(world.zoominfo.lookups.values())
    ingest_contacts(EveryContact())
    fresh = preview_contacts()
    assert (fresh.would_ask, fresh.changes) == (0, {})  # a run would skip them, too
    assert fresh.results[Disposition.SKIPPED_FRESH] > 30
    ingest_contacts(EveryContact(), refresh=True)
    preview = preview_contacts()
    assert isinstance(preview, Preview)
    assert preview.would_ask == 0
    assert any(change.field == "enr_company_name" for changes in preview.changes.values() for change in changes)
    assert (len(world.hubspot.writes), sum(world.zoominfo.lookups.values())) == (writes, asked)
    assert pipeline.queue() == 60


@ALONE
def test_contacts_that_cannot_be_looked_up_end_as_invalid_without_a_call(pipeline: Pipeline, tmp_path: object) -> None:
    """An e-mail that is none, an unknown id and a contact without identifiers cost nothing and say why."""
    from pathlib import Path  # noqa: PLC0415

    pipeline.new_world(10)
    pipeline.setenv("ENRICHMENT_ABSENT_MINUTES", "0")
    (blank, spoilt) = pipeline.box.world.hubspot.create([{"firstname": "Only"}, {"firstname": "Jane"}])
    file = Path(str(tmp_path)) / "list.csv"
    file.write_text(f"crm_id,email\n{spoilt},jane.doe(at)acme\n900002,hit+a@acme.example\n{blank},\n")
    assert ingest_contacts(ListedContacts(csv_path=str(file))) == 3
    report = run()
    assert report.books.count(Disposition.INVALID) == 3
    reasons = {
        crm_id: pipeline.warehouse.read_story(Origin(""), crm_id).ledger[0].reason
        for crm_id in (spoilt, "900002", blank)
    }
    assert reasons == {spoilt: "email_malformed", "900002": "contact_gone", blank: "no_usable_identifier"}
    assert sum(pipeline.box.world.zoominfo.lookups.values()) == 0


def test_logs_and_artifacts_hold_no_personal_data(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """No e-mail address, name, token or secret of the whole run is logged, also when things go wrong."""
    caplog.set_level("DEBUG", logger="prefect")
    for name in ("tasks", "blocks", "flows", "hubspot", "urllib3", "httpx", "httpcore"):
        caplog.set_level("DEBUG", logger=name)
    pipeline.new_world(80)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    world.faults.add(
        service="hubspot", path_contains="batch/update", kind="status", status=400, content_type="text/html"
    )
    world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="truncated")
    run()
    people = world.hubspot.contacts.values()
    said = caplog.text
    secrets = [p["email"] for p in people if p.get("email")] + [
        "sandbox-secret",
        os.environ["ENRICHMENT_HUBSPOT_ACCESS_TOKEN"],
    ]
    assert "chunk_settled" in said
    assert [secret for secret in secrets if secret in said] == []
