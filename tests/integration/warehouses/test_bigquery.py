"""BigQuery alone: its dialect's own rules, and what its adapter says when something is wrong."""

import re
import socket
from collections.abc import Callable
from dataclasses import asdict

import pytest

from blocks.providers.base import Reply
from blocks.warehouses.base import NewRecord, RunStart, Warehouse, load_warehouse
from blocks.warehouses.bigquery import _BAD_VALUE, BigQueryWarehouse
from enrichment.errors import ConfigurationError, ContractError, RecordRefusedError, TransientError
from enrichment.records import Disposition, Finished, Origin, Outcome

HUBSPOT = Origin("hubspot")

SQL = BigQueryWarehouse.sql


@pytest.fixture
def bigquery(make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse("bigquery")


def statements() -> list[tuple[str, str]]:
    """Return each statement without its comments, with the name of its section."""
    sections = {**SQL.migrations, **SQL.queries}
    return [(name, re.sub(r"--.*\n", "", text).strip()) for name in sections for text in sections[name].split(";\n")]


def test_an_update_and_a_delete_say_which_rows() -> None:
    """BigQuery refuses either without WHERE."""
    changing = [(name, text) for name, text in statements() if re.match(r"UPDATE|DELETE", text)]
    assert changing
    assert [name for name, text in changing if "WHERE" not in text] == []


def test_a_migration_may_be_repeated_in_parts() -> None:
    """DDL takes part in no transaction, so a setup that was cut short starts over."""
    ddl = [text for name, text in statements() if name in SQL.migrations]
    assert all(re.search(r"IF NOT EXISTS|WHERE NOT EXISTS", text) for text in ddl)


def test_a_text_as_reply_stays_a_text(bigquery: Warehouse) -> None:
    """What a provider answered is kept as received, whatever its shape."""
    bodies = {"text": "<html>", "number": 1.5, "object": {"a": [1, None]}}
    bigquery.keep_replies("zoominfo", "run-1", [Reply(key, Outcome.MATCHED, body) for key, body in bodies.items()])
    kept = bigquery.read_replies("zoominfo", list(bodies), reply_days=1, miss_days=1)
    assert {key: reply.body for key, reply in kept.items()} == bodies


def test_a_failed_statement_says_nothing_of_a_row(bigquery: Warehouse) -> None:
    """The service's own words may repeat a value, ours don't."""
    with pytest.raises((RecordRefusedError, ContractError, TransientError)) as caught:
        bigquery.stage([NewRecord("hubspot", "1", None, "manual", "live", "no-time-at-all")])
    assert "no-time" not in str(caught.value)
    assert bigquery.count_queue() == []


@pytest.mark.parametrize(
    "words",
    [
        "Bad int64 value: Ada",
        "int64 overflow: 10000000000 * 10000000000",
        "Invalid input to PARSE_JSON: syntax error while parsing value - invalid literal; last read: 'N'",
        "Could not cast literal 'Ada' to type TIMESTAMP",
        "Invalid timestamp: 'Ada'",
    ],
)
def test_the_words_for_a_bad_value_are_known(words: str) -> None:
    """The reason code is the same as for a wrong statement, so that only the words say that a value is at fault."""
    assert _BAD_VALUE.search(words)
    assert not _BAD_VALUE.search("Syntax error: Expected end of input but got keyword SELECT")


def test_an_unreachable_service_may_heal(bigquery: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: another attempt may succeed."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("ENRICHMENT_BIGQUERY_API_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("ENRICHMENT_BIGQUERY_TIMEOUT_SECONDS", "1")
    with pytest.raises(TransientError, match="can't be reached"):
        load_warehouse("bigquery").check()


def test_a_missing_project_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """People read which variable to set."""
    with pytest.raises(ConfigurationError, match="ENRICHMENT_BIGQUERY_PROJECT"):
        load_warehouse("bigquery")


def test_a_key_that_is_none_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong secret never shows in the message."""
    monkeypatch.setenv("ENRICHMENT_BIGQUERY_PROJECT", "test")
    monkeypatch.setenv("ENRICHMENT_BIGQUERY_CREDENTIALS", "not-a-key")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_BIGQUERY_CREDENTIALS") as caught:
        load_warehouse("bigquery")
    assert "not-a-key" not in str(caught.value)


def test_a_dataset_that_is_not_set_up_says_so(bigquery: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the command that fixes it."""
    monkeypatch.setenv("ENRICHMENT_BIGQUERY_DATASET", "NEVER_MADE")
    with pytest.raises(ConfigurationError, match="enrich setup"):
        load_warehouse("bigquery").check()


def test_what_lands_after_an_erasure_goes_when_the_chunk_is_settled(bigquery: Warehouse) -> None:
    """Without transactions, an erasure may come between a claim's check and what it stores."""
    bigquery.open_run(RunStart("run-1", "a run", "zoominfo", "hubspot", ""), lease_seconds=600)
    bigquery.stage([NewRecord("hubspot", crm_id, None, "manual", "live") for crm_id in ("1", "2")])
    claim = bigquery.claim("run-1", origin=HUBSPOT, lane="", limit=9, lease_seconds=600, make_token=lambda: "token")
    bigquery.erase(HUBSPOT, "1")
    late = [{"crm_id": crm_id, "lookup_identifier": "a@b.example", "reason": "NO_MATCH"} for crm_id in ("1", "2")]
    with bigquery._transaction() as session:
        session.run("upsert_unmatched", **asdict(HUBSPOT), run_id="run-1", provider="zoominfo", rows=late)
    endings = [Finished(record.record_id, Disposition.UNMATCHED) for record in claim.records]
    assert bigquery.settle(claim, HUBSPOT, endings, []).lost == 1
    assert bigquery.read_story(Origin(""), "1").unmatched == ()
    assert len(bigquery.read_story(Origin(""), "2").unmatched) == 1
