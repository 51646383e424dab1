"""Failed contacts are listed with what to do and retried without paying again, and the alert says the same."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from tests.cases.chain import Chain
from tests.cases.test_without_server import alerts, contacts, enrich, prefect_home

__all__ = ["prefect_home"]

REFUSAL = {"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid"}


def items(*arguments: str) -> list[dict[str, Any]]:
    """Return the items of a list as JSON."""
    done = enrich(*arguments)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["format_version"] == 1
    return list(printed["items"])


def fail(chain: Chain, ids: list[str]) -> None:
    """Run contacts while HubSpot refuses every update."""
    chain.answer("hubspot", "batch/update", REFUSAL, status=400, times=0)
    enrich("run")
    chain.world.faults.clear()


def test_a_failed_contact_is_retried_for_nothing_and_keeps_its_history(chain: Chain) -> None:
    """What was paid for is in the journal: two retries cost no credit, and the list counts both failures."""
    ids = contacts(chain, 3)
    enrich("stage", "--ids", ",".join(ids))
    fail(chain, ids)
    billed = chain.world.zoominfo.credits_used
    assert billed == 3
    first = {row["contact"]: row for row in items("failures", "--cause", "validation_error")}
    assert sorted(first) == sorted(ids)
    one = first[ids[0]]
    assert (one["words"], one["step"], one["failures"]) == ("hubspot refuses the update as invalid", "write_back", 1)
    assert one["command"] == f"enrich retry {ids[0]}"

    done = enrich("retry", ids[0], "999999")
    assert (done.exit_code, json.loads(done.stdout)["staged"]) == (3, 1)
    assert "999999" in done.stderr
    fail(chain, ids[:1])
    again = {row["contact"]: row for row in items("failures")}[ids[0]]
    assert (again["failures"], again["attempts"], again["first_at"]) == (2, 2, one["first_at"])
    assert again["last_at"] > one["last_at"]

    assert json.loads(enrich("retry", "--all").stdout)["staged"] == 3
    assert [row["state"] for row in items("queue")] == ["waits"] * 3
    assert json.loads(enrich("run").stdout)["books"]["dispositions"] == {"written": 3}
    assert items("failures") == []
    assert chain.world.zoominfo.credits_used == billed
    assert max(chain.world.zoominfo.lookups.values()) == 1


def test_the_alert_names_contacts_with_links_and_the_command_and_the_end_is_announced(chain: Chain) -> None:
    """Slack shows links into HubSpot and the command that repairs it; the next run without failures says so, once."""
    ids = contacts(chain, 2)
    enrich("stage", "--ids", ",".join(ids))
    fail(chain, ids)
    (message,) = alerts(chain)
    assert "2 contacts failed at hubspot: hubspot refuses the update as invalid" in message
    assert f"/record/0-1/{ids[0]}|{ids[0]}>" in message
    assert "`enrich retry --cause validation_error`" in message
    assert "Nothing is lost" in message
    assert "since 20" in message
    for _ in range(2):
        enrich("retry", "--all")
        enrich("stage", "--ids", ids[0], "--refresh")
        enrich("run")
    assert [text.partition("\n")[0] for text in alerts(chain)[1:]] == [
        "*Contact enrichment recovered: the failure rate is below its threshold again, no contact failed*"
    ]


def test_a_field_that_was_not_written_is_listed_and_written_once_it_is_repaired(chain: Chain) -> None:
    """From the saved reply: the list of HubSpot has the option now, and nothing is paid again."""
    (crm_id,) = contacts(chain, 1)
    industry = chain.world.hubspot._catalog.definitions["industry"]
    before = dict(industry)
    option = {"label": "Mining", "value": "MINING", "hidden": False}
    industry |= {"type": "enumeration", "fieldType": "select", "options": [option]}
    enrich("stage", "--ids", crm_id)
    enrich("run")
    billed = chain.world.zoominfo.credits_used
    (row,) = items("failures", "--field", "industry")
    assert (row["contact"], row["words"], row["command"]) == (
        crm_id,
        "not in hubspot's list",
        "enrich retry --field industry",
    )
    text = CliRunner().invoke(cli.app, ["failures"])
    assert text.stdout == "Failed contacts: none\n"
    assert "`enrich failures --field industry`" in text.stderr
    industry.clear()
    industry |= before
    assert json.loads(enrich("retry", "--field", "industry").stdout)["staged"] == 1
    enrich("run")
    assert items("failures", "--field", "industry") == []
    assert chain.values(crm_id, "industry")["industry"]
    assert chain.world.zoominfo.credits_used == billed


def test_lists_are_written_as_csv_and_as_plain_lines(chain: Chain, tmp_path: Path) -> None:
    """Off a terminal without frames, and in a file with every column; a wrong run is refused."""
    missed = list(chain.world.hubspot.create([{"email": "miss+p1@firm.example"}]))
    enrich("stage", "--ids", missed[0])
    queued = CliRunner().invoke(cli.app, ["queue"]).stdout
    assert f"\n{missed[0]}\tlive\twaits\t0\t20" in queued
    assert not set("│┃━") & set(queued)
    enrich("run")
    (row,) = items("unmatched")
    words = "no provider has found a contact at the domain of the address"
    assert (row["cause"], row["words"], row["provider"]) == ("unknown_company", words, "zoominfo")
    file = tmp_path / "unmatched.csv"
    assert CliRunner().invoke(cli.app, ["unmatched", "--csv", str(file)]).exit_code == 0
    printed = CliRunner().invoke(cli.app, ["unmatched", "--csv", "-"]).stdout
    assert file.read_text("utf-8") == printed
    assert [line["crm_id"] for line in csv.DictReader(io.StringIO(printed))] == missed
    both = CliRunner().invoke(cli.app, ["unmatched", "--csv", "-", "--json"])
    assert (both.exit_code, "exclude each other" in both.stderr) == (2, True)
    for command in ("failures", "unmatched", "queue"):
        wrong = CliRunner().invoke(cli.app, [command, "--run", "no-such-run"])
        assert (wrong.exit_code, "no run has the id" in wrong.stderr) == (2, True)


def test_the_status_says_what_needs_attention(chain: Chain) -> None:
    """With the exit code 4; a pipeline in which nothing is wrong exits with 0."""
    ids = contacts(chain, 2)
    enrich("stage", "--ids", ",".join(ids))
    well = enrich("status")
    assert well.exit_code == 0, well.output
    printed = json.loads(well.stdout)
    assert (printed["format_version"], printed["attention"], printed["lanes"][0]["records"]) == (1, [], 2)
    chain.setenv("ENRICHMENT_CREDITS_PER_DAY", "zoominfo=2")
    fail(chain, ids)
    shown = CliRunner().invoke(cli.app, ["status"])
    assert shown.exit_code == 4
    assert "credits of zoominfo today\t2 of 2" in shown.stdout
    assert "2 contacts failed in the last 24 hours" in shown.stderr
    assert "zoominfo has used up its 2 credits of today" in shown.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_the_command_line_introduces_itself(arguments: list[str]) -> None:
    """Its version, and its commands in groups."""
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0
    words = (
        ("enrich 0.",) if arguments == ["--version"] else ("Set up", "Look", "Fix and retry", "--install-completion")
    )
    assert all(word in done.stdout for word in words)
