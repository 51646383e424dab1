"""
Every system that is there, through the doctor and the whole flow over sockets.

Each provider beside one CRM, each CRM beside one provider, each warehouse beside both CRMs: a new provider, CRM or
warehouse is tested here by being there.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from blocks.base import module_names
from blocks.providers.spec.model import spec_names
from enrichment.intake import EveryContact
from enrichment.records import Origin
from enrichment.summary import RunReport, report_of
from sandbox.accounts import ACCOUNTS
from sandbox.agreement import disagreements
from sandbox.crm_side import read_list, write_list
from tasks.doctor import examine
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")

#: Two chunks, so that they are under way at once.
CONTACTS, CHUNK = 24, 12

COMBINATIONS = list(
    dict.fromkeys(
        [
            *(("hubspot", provider, "sqlite") for provider in spec_names()),
            *((crm, "zoominfo", "sqlite") for crm in module_names("blocks.crms")),
            *(
                (crm, "zoominfo", name)
                for name in module_names("blocks.warehouses")
                for crm in ("hubspot", "salesforce")
            ),
        ]
    )
)


def serve(pipeline: Pipeline, crm: str, provider: str) -> Any:
    """Start over with these, and return the provider's stand-in."""
    for name in (crm, provider):
        if name not in ACCOUNTS and name != "file":
            pytest.fail(f"'{name}' has no stand-in: build one, and name its account in sandbox/accounts.py")
    pipeline.setenv("ENRICHMENT_CRM", "hubspot" if crm == "file" else crm)
    pipeline.setenv("ENRICHMENT_PROVIDER", provider)
    pipeline.setenv("ENRICHMENT_CHUNK_SIZE", str(CHUNK))
    pipeline.new_world(CONTACTS, clearbit={"per_minute": 60_000})
    return pipeline.box.world.services[provider]


def enrich_crm(pipeline: Pipeline, crm: str, _: Path) -> tuple[RunReport, dict[str, dict[str, Any]]]:
    assert ingest_contacts(EveryContact()) == CONTACTS
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    world = pipeline.box.world
    assert set(world.services[crm].updates_by_contact.values()) == {1}
    assert [name for name in ("hubspot", "salesforce") if world.services[name].writes] == [crm]
    return report, world.services[crm].contacts


def enrich_file(pipeline: Pipeline, _: str, folder: Path) -> tuple[RunReport, dict[str, dict[str, Any]]]:
    for name in ("CRM", "FRESH_DAYS", *(f"FILE_{part}" for part in ("PATH", "OUTPUT", "IN_PLACE", "OVERWRITE"))):
        pipeline.setenv(f"ENRICHMENT_{name}", "")  # so that what the command sets ends with the test
    write_list(folder / "contacts.csv", pipeline.box.world.hubspot.contacts)
    arguments = ["file", str(folder / "contacts.csv"), "--out", str(folder / "enriched.csv"), "--json"]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    return report_of(json.loads(done.stdout)), read_list(folder / "enriched.csv")


Way = Callable[[Pipeline, str, Path], tuple[RunReport, dict[str, dict[str, Any]]]]
WAYS: dict[str, Way] = {"file": enrich_file}


@pytest.mark.parametrize(
    ("crm", "provider", "pipeline"),
    [pytest.param(*names, id="-".join(names)) for names in COMBINATIONS],
    indirect=["pipeline"],
)
def test_all_contacts_are_enriched_and_the_doctor_finds_all_well(
    pipeline: Pipeline, crm: str, provider: str, tmp_path: Path
) -> None:
    """Each contact ends once, the CRM holds what the warehouse says, none is looked up twice, and the credits agree."""
    seller = serve(pipeline, crm, provider)
    report, held = WAYS.get(crm, enrich_crm)(pipeline, crm, tmp_path)
    assert report.books.balanced
    assert report.books.claimed == report.books.finished == CONTACTS
    assert pipeline.queue() == 0
    assert {"written", "unmatched"} <= report.books.dispositions.keys()
    run = pipeline.warehouse.read_run(report.run_id)
    written = pipeline.warehouse.read_written(report.run_id, Origin(run.crm))
    assert len(written) > CONTACTS
    assert disagreements(written, held) == []
    assert max(seller.lookups.values()) == 1
    assert report.credits_by_provider == {provider: seller.credits_used}
    assert run.credits == seller.credits_used > 0
    assert len(run.api_versions) == 1
    assert pipeline.box.world.slack.messages == pipeline.box.world.mail.messages == []
    findings = examine()
    assert [finding for finding in findings if not finding.well] == []
    kinds = [finding.system.split()[0] for finding in findings]
    assert kinds == ["warehouse", "queue", "runs", "locks", "provider", "crm", "notifier", "notifier"]
