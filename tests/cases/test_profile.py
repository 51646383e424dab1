"""A look at the CRM before the first credit, and again after a run: counts only, side by side in the report."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli
from tasks.report import read_report
from tests.cases.chain import Chain
from tests.cases.test_without_server import contacts, enrich, prefect_home

__all__ = ["prefect_home"]


def test_a_profile_costs_nothing_and_its_counts_stand_in_the_report_before_and_after(chain: Chain) -> None:
    """Completeness, addresses, duplicates, age, vocabulary and cost; after a run the same, beside it."""
    ids = contacts(chain, 4)
    more = [{"email": "Hit+p0@firm.example"}, {"email": "ada@gmail.com"}, {"email": "eve@gmial.com"}, {"city": "Oslo"}]
    chain.world.hubspot.create(more)
    chain.world.hubspot.edit(ids[0], {"city": "Rome", "hs_lead_status": "NEW"})
    first = json.loads(enrich("profile").stdout)
    assert (first["contacts"], first["read"]) == (9, 9)
    assert first["duplicates"]["address"] == 2
    assert {name: first["addresses"][name] for name in ("free_mail", "mistyped_domain", "no_address")} == {
        "free_mail": 1,
        "mistyped_domain": 1,
        "no_address": 1,
    }
    filled = {one["field"]: one["filled"] for one in first["fields"]}
    assert (filled["enr_industry"], filled["city"] >= 2) == (0, True)
    assert sum(first["created"].values()) == sum(first["changed"].values()) == 9
    (provider,) = (one for one in first["estimate"]["providers"] if not one["step"])
    assert provider["credits"]["at_most"] >= 4
    assert chain.world.zoominfo.credits_used == 0

    enrich("stage", "--ids", ",".join(ids))
    enrich("run")
    latest = json.loads(enrich("profile").stdout)
    assert {one["field"]: one["filled"] for one in latest["fields"]}["enr_industry"] == 4
    kept = chain.warehouse.read_profiles()
    assert [(one.crm, one.contacts, one.counts["field enr_industry"]) for one in kept] == [
        ("hubspot", 9, 0),
        ("hubspot", 9, 4),
    ]
    section = next(one for one in read_report(chain.vendor, 7).sections if one.key == "profile")
    rows = {row[0]: row[1:] for row in section.tables[0].rows}
    assert rows["enr_industry is filled"] == ("0 (0%)", "4 (44%)")
    text = CliRunner().invoke(cli.app, ["profile"])
    assert "the address is private, such as at gmail.com\t1 (11%)" in text.stdout
    assert "hit+p" not in text.stdout.casefold() + json.dumps(latest).casefold() + str(kept).casefold()


def test_a_profile_needs_no_provider(chain: Chain) -> None:
    """What enriching would cost isn't known then, and the profile says why."""
    chain.setenv("ENRICHMENT_ZOOMINFO_CLIENT_SECRET", "")
    done = enrich("profile", "--limit", "10")
    found = json.loads(done.stdout)
    assert found["estimate"] is None
    assert "set ENRICHMENT_ZOOMINFO_CLIENT_SECRET" in found["note"]
    assert found["note"] in CliRunner().invoke(cli.app, ["profile"]).stdout


@pytest.mark.parametrize("limit", [1, 1000])
def test_a_sample_stands_for_all(chain: Chain, limit: int) -> None:
    """The cost is that of all contacts, whatever the sample."""
    contacts(chain, 39)
    found = json.loads(enrich("profile", "--limit", str(limit)).stdout)
    assert found["contacts"] == 40
    assert found["estimate"]["selected"] == 40
    assert 1 <= found["read"] <= max(12, min(limit, 40))


def test_a_file_is_profiled(chain: Chain, tmp_path: Path) -> None:
    """It says nothing of ages."""
    file = tmp_path / "contacts.csv"
    file.write_text("crm_id,email,industry\n1,a@firm.example,Mining\n2,b@firm.example,\n", encoding="utf-8")
    chain.setenv("ENRICHMENT_CRM", "file")
    chain.setenv("ENRICHMENT_FILE_PATH", str(file))
    chain.setenv("ENRICHMENT_FILE_OUTPUT", str(tmp_path / "out.csv"))
    found = json.loads(enrich("profile").stdout)
    assert (found["contacts"], found["read"], found["created"]) == (2, 2, {"unknown": 2})
    assert {one["field"]: one["filled"] for one in found["fields"]}["industry"] == 1
