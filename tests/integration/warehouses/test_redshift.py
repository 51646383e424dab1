"""Redshift alone: its dialect's own rules, and what its adapter says when something is wrong."""

import re
import socket
from collections.abc import Callable

import pytest

from blocks.providers.base import Reply
from blocks.warehouses.base import NewRecord, Warehouse, load_warehouse
from blocks.warehouses.redshift import RedshiftWarehouse, _text
from enrichment.errors import ConfigurationError, RecordRefusedError, TransientError
from enrichment.records import Outcome

SQL = RedshiftWarehouse.sql
STATEMENTS = {**SQL.migrations, **SQL.queries, **SQL.session}


@pytest.fixture
def redshift(make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse("redshift")


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


def test_every_text_column_has_a_length() -> None:
    """Redshift would give it 256 bytes."""
    assert not [name for name, text in STATEMENTS.items() if re.search(r"VARCHAR(?!\(\d+\))", without_comments(text))]


def test_an_update_or_a_delete_gives_its_target_no_alias() -> None:
    """Redshift's grammar has none there."""
    first_words = r"^(?:UPDATE|DELETE\s+FROM)\s+\w+\s+(?!SET\b|USING\b|WHERE\b)\w+"
    for name, text in SQL.queries.items():
        for statement in without_comments(text).split(";\n"):
            assert not re.match(first_words, statement.strip()), name


def test_a_transaction_truncates_nothing() -> None:
    """TRUNCATE would commit what has been done so far; only the session's own clean-up between transactions has it."""
    assert [name for name, text in STATEMENTS.items() if "TRUNCATE" in text] == ["empty rows", "empty ids"]


@pytest.mark.parametrize("letter", ["a", "\u00e4", "\u6f22", "\U0001f600"])
def test_a_text_that_is_too_long_in_bytes_is_cut_between_letters(letter: str) -> None:
    """A column holds bytes, of which a letter may need four; what identifies something stays whole."""
    held = _text("company_name", {"company_name": letter * 4_096}) or ""
    assert 4_092 < len(held.encode()) <= 4_096
    assert set(held) == {letter}
    assert _text("crm_id", {"crm_id": letter * 300}) == letter * 300
    assert _text("detail", {"detail": None}) is None


def test_more_rows_than_one_statement_can_bind(redshift: Warehouse) -> None:
    """A long list goes into its temporary table in several statements."""
    records = [NewRecord("hubspot", str(number), None, "manual", "live") for number in range(2_000)]
    assert redshift.stage(records) == 2_000
    assert redshift.stage(records) == 0


def test_a_reply_longer_than_a_varchar_is_kept_whole(redshift: Warehouse) -> None:
    """What was paid for isn't lost to the engine's 65,535 bytes; a text as reply stays a text."""
    body = {"tags": [f"tag {number} ГмбХ" for number in range(9_000)]}
    replies = [Reply("long", Outcome.MATCHED, body), Reply("text", Outcome.MATCHED, "<html>")]
    redshift.keep_replies("zoominfo", "run-1", replies)
    kept = redshift.read_replies("zoominfo", ["long", "text"], reply_days=1, miss_days=1)
    assert (kept["long"].body, kept["text"].body) == (body, "<html>")


def test_a_failed_statement_keeps_nothing_and_the_next_one_works(redshift: Warehouse) -> None:
    """The transaction is rolled back, the connection goes on, and the message holds no row."""
    with pytest.raises(RecordRefusedError) as caught:
        redshift.stage([NewRecord("hubspot", "1", None, "manual", "live", "no-time-at-all")])
    assert str(caught.value) == "Redshift can't store a value in the column contact_created_at (22007)"
    assert redshift.count_queue() == []


def test_a_session_that_the_server_ended_is_replaced(redshift: Warehouse) -> None:
    """The statement that meets the loss says so, and the next one connects again."""
    with pytest.raises(TransientError), redshift._transaction() as session:
        session._connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert redshift.count_queue() == []


def test_an_unreachable_server_may_heal(redshift: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: the message names the settings, and no secret."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("ENRICHMENT_REDSHIFT_PORT", str(closed.getsockname()[1]))
    with pytest.raises(TransientError, match="ENRICHMENT_REDSHIFT_HOST") as caught:
        load_warehouse("redshift").check()
    assert "made-up" not in str(caught.value)


@pytest.mark.parametrize("setting", ["HOST", "USER", "PASSWORD"])
def test_a_missing_setting_is_named(redshift: Warehouse, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """People read which variable to set."""
    monkeypatch.delenv(f"ENRICHMENT_REDSHIFT_{setting}")
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_REDSHIFT_{setting}"):
        load_warehouse("redshift")


def test_a_database_that_is_not_there_is_a_wrong_setting(redshift: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """No retry can fix a wrong name."""
    monkeypatch.setenv("ENRICHMENT_REDSHIFT_DATABASE", "absent")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_REDSHIFT_USER"):
        load_warehouse("redshift").check()


def test_a_schema_that_is_not_set_up_says_so(redshift: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the command that fixes it."""
    monkeypatch.setenv("ENRICHMENT_REDSHIFT_PIPELINE_SCHEMA", "never_made")
    with pytest.raises(ConfigurationError, match="enrich setup"):
        load_warehouse("redshift").check()
