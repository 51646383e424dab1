"""Thirteen simulated weeks on the stand-ins, with failures and edits: the report has the figures of the histories."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from enrichment.report import first_week
from sandbox.accounts import notifier_settings
from tasks.report import read_report
from tests.cases.chain import Chain
from tests.cases.test_refusals import let_industry_be_a_list

WEEKS = 13
TIMES = re.compile(r"_at$|_timestamp$|_expires_at$|^not_before$")
PRICE = 0.45
#: What else happens: in one week HubSpot refuses every update, and a week later the contacts that failed are retried;
#: from another week on `industry` takes one option only; in another one, people edit what we wrote.
REFUSING, RETRIED, LISTED, EDITING = 5, 6, 8, 10


@dataclass
class History:
    """What really happened, by week, the oldest first."""

    results: list[Counter[str]] = field(default_factory=list)
    credits: list[float] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    refused: int = 0


def enrich(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def pass_a_week(chain: Chain) -> None:
    """Let everything that is kept be a week older."""
    with chain.warehouse._transaction() as session:
        tables = [row["name"] for row in session.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            columns = [row["name"] for row in session.execute(f"SELECT name FROM pragma_table_info('{table}')")]
            for column in filter(TIMES.search, columns):
                session.execute(
                    f"UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '-7 days') "
                    f"WHERE {column} IS NOT NULL"
                )


def live_a_week(chain: Chain, history: History, week: int) -> None:
    """Enrich new contacts: more of them every week, of whom the provider knows two thirds."""
    known, unknown = 6 + week, 3 + week // 2
    addresses = [f"hit+w{week}n{n}@firm.example" for n in range(known)]
    addresses += [f"miss+w{week}n{n}@firm.example" for n in range(unknown)]
    history.people += addresses
    before = chain.world.zoominfo.credits_used
    ids = chain.world.hubspot.create([{"email": address} for address in addresses])
    history.ids += ids
    chain.stage(ids)
    let_happen(chain, history, week)
    report = chain.run_with_totals()
    chain.world.faults.clear()
    history.refused += sum(one.contacts for one in report.refusals)
    history.results.append(Counter({str(name): count for name, count in report.books.dispositions.items()}))
    history.credits.append(chain.world.zoominfo.credits_used - before)


def let_happen(chain: Chain, history: History, week: int) -> None:
    """Do what this week is known for, beside its new contacts."""
    if week == REFUSING:
        refusal = {"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid"}
        chain.answer("hubspot", "batch/update", refusal, status=400, times=0)
    if week == RETRIED:
        enrich("retry", "--cause", "validation_error")
    if week == LISTED:
        let_industry_be_a_list(chain, "Mining")
    if week == EDITING:
        for crm_id in history.ids[:2]:
            chain.world.hubspot.edit(crm_id, {"company": "Their Own Ltd"})


@pytest.fixture
def history(chain: Chain, tmp_path: Path) -> History:
    """Live through the weeks; the last one is the present one."""
    prices = tmp_path / "prices.yaml"
    prices.write_text(f"zoominfo: {{price: {PRICE}, currency: EUR}}")
    chain.setenv("ENRICHMENT_PRICE_BOOK", str(prices))
    history = History()
    for week in range(WEEKS):
        if week:
            pass_a_week(chain)
        live_a_week(chain, history, week)
    return history


def test_the_report_says_what_happened_in_thirteen_weeks(chain: Chain, history: History, tmp_path: Path) -> None:
    """Each week's results, rates and credits are the stand-ins' own, on one small page without a person in it."""
    found = read_report("sqlite", (WEEKS - 1) * 7)
    this_week = date.fromisoformat(first_week(found.read_at, 0))
    weeks = [(this_week - timedelta(weeks=back)).isoformat() for back in reversed(range(WEEKS))]
    sections = {one.key: one for one in found.sections}
    points = {key: {(p.x, p.series): p.value for c in one.charts for p in c.points} for key, one in sections.items()}
    assert points["results"] == {
        (week, name): count for week, ended in zip(weeks, history.results, strict=True) for name, count in ended.items()
    }
    for week, ended in zip(weeks, history.results, strict=True):
        rate = ended["written"] / (ended["written"] + ended["unmatched"])
        assert points["match-rate"][week, "zoominfo"] == pytest.approx(rate)
    assert points["cost"] == {(week, "zoominfo"): spent for week, spent in zip(weeks, history.credits, strict=True)}
    figures = dict(found.figures)
    total = sum(history.credits)
    assert figures["cost"] == f"{total * PRICE:,.2f} EUR"
    assert figures["contacts finished"] == str(sum(sum(ended.values()) for ended in history.results))
    written = sum(ended["written"] for ended in history.results)
    impact = {row[0]: row for row in sections["impact"].tables[0].rows}
    kept = f"{(written - history.refused) / written:.1%}"
    assert impact["industry"][1:4] == (str(written), "0.0%", kept)
    assert impact["company"][1:4] == (str(written), "0.0%", "100.0%")
    tables = {table.caption: table.rows for one in found.sections for table in one.tables}
    (failures,) = tables["Failed contacts by cause"]
    assert failures[1:3] == (str(history.results[REFUSING]["failed"]), "0")  # so many, and none waits: all were retried
    assert tables["Fields that were not written"][0][2] == str(history.refused)
    assert {row[1] for row in tables["Promises"]} == {"kept"}
    edited = enrich("review", "--days", "90")["look"]["edited"]
    assert [(one["field"], one["edited"]) for one in edited] == [("company", 2)]

    for name, value in notifier_settings(chain.box.url, chain.box.smtp_port).items():
        chain.setenv(name, value)
    target = tmp_path / "weeks" / "report.html"
    said = enrich("report", "--out", str(target), "--days", str((WEEKS - 1) * 7), "--send", "slack,email")
    page = target.read_text()
    assert int(said["bytes"]) == len(page.encode()) < 1_500_000
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)|url\(|@import|<script", page)
    assert [person for person in history.people if person in page or person.partition("@")[0] in page] == []
    (mail,), (message,) = chain.world.mail.messages, chain.world.slack.messages
    assert figures["cost"] in mail.body
    assert figures["cost"] in message.text
    ((name, attached),) = mail.attachments
    assert (name, attached.splitlines()) == (f"contact-enrichment-{found.read_at[:10]}.html", page.splitlines())
