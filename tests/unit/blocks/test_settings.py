"""Every setting of the pipeline, with a value that is taken and one that is refused."""

from pathlib import Path
from typing import NamedTuple

import pytest

from blocks.settings import Settings, load_settings
from enrichment.errors import ConfigurationError


class Case(NamedTuple):
    """A setting's text and the value that it means; texts that are refused (names are checked where they are used)."""

    valid: str
    means: object
    invalid: tuple[str, ...]


CASES = {
    "provider": Case("clearbit/trial", "clearbit/trial", ()),
    "required_fields": Case("industry, tech_stack", "industry, tech_stack", ("industri", "industry, revenue")),
    "crm": Case("salesforce", "salesforce", ()),
    "warehouse": Case("postgres", "postgres", ()),
    "notifiers": Case("slack,email/ops", "slack,email/ops", ()),
    "chunk_size": Case("500", 500, ("0", "-1", "10001", "many", "1.5")),
    "chunks_in_flight": Case("8", 8, ("0", "1000", "all")),
    "live_share": Case("0.5", 0.5, ("0", "1", "half")),
    "task_runner": Case("dask", "dask", ("ray", "Dask")),
    "dask_address": Case("tcp://127.0.0.1:8786", "tcp://127.0.0.1:8786", ()),
    "dask_workers": Case("4", 4, ("0", "65", "some")),
    "lease_seconds": Case("900", 900, ("0", "86401", "10m")),
    "max_attempts": Case("3", 3, ("0", "101", "forever")),
    "fresh_days": Case("0", 0, ("-1", "3651", "a month")),
    "reply_days": Case("365", 365, ("0", "-1", "3651", "a year")),
    "miss_days": Case("365", 365, ("0", "-1", "3651", "a year")),
    "keep_replies_days": Case("90", 90, ("-1", "3651", "a year")),
    "keep_history_days": Case("90", 90, ("-1", "3651", "a year")),
    "keep_writes_days": Case("90", 90, ("-1", "3651", "a year")),
    "keep_results_days": Case("90", 90, ("-1", "3651", "a year")),
    "keep_runs_days": Case("90", 90, ("-1", "3651", "a year")),
    "keep_flow_runs_days": Case("90", 90, ("-1", "3651", "a year")),
    "absent_minutes": Case("30", 30, ("-1", "10081", "an hour")),
    "look_hours": Case("12", 12.0, ("-1", "721", "a day")),
    "free_mail": Case("person_only", "person_only", ("never", "Ask")),
    "role_addresses": Case("skip", "skip", ("never",)),
    "disposable_addresses": Case("ask", "ask", ("never",)),
    "doubtful_matches": Case("write", "write", ("drop",)),
    "csv_encoding": Case("windows-1252", "windows-1252", ()),
    "csv_delimiter": Case("tab", "tab", ()),
    "start_runs_by": Case("deployment", "deployment", ("cron", "Event")),
    "start_deployment": Case("enrich-contacts/mine", "enrich-contacts/mine", ()),
    "start_interval_seconds": Case("60", 60.0, ("0", "3601", "soon")),
    "credits_per_day": Case(
        "zoominfo=500,hunter = 2.5", "zoominfo=500,hunter = 2.5", ("many", "zoominfo:5", "-1", "5,6")
    ),
    "report_url": Case("https://reports.example.com", "https://reports.example.com", ("reports", "ftp://x.example")),
    "report_folder": Case("reports", Path("reports"), ()),
    "price_book": Case("prices.yaml", Path("prices.yaml"), ()),
    "guard_contacts": Case("0", 0, ("-1", "many")),
    "guard_overwritten": Case("0.2", 0.2, ("-0.01", "1.01", "20%")),
    "plan_hours": Case("8", 8.0, ("0", "721", "a day")),
    "refusal_threshold": Case("0.5", 0.5, ("-0.01", "1.01", "5%")),
    "jump_factor": Case("2.5", 2.5, ("-1", "twice")),
    "alert_minimum": Case("50", 50, ("-1", "some")),
    "alert_threshold": Case("0.05", 0.05, ("-0.01", "1.01", "5%")),
}


def test_every_setting_has_its_row_here() -> None:
    """A new setting needs a row in CASES."""
    assert set(CASES) == set(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_has_a_default_that_is_valid(name: str) -> None:
    """The pipeline starts without any setting, and each says in a sentence what it is."""
    info = Settings.model_fields[name]
    assert str(info.description).endswith(".")
    Settings.__pydantic_validator__.validate_assignment(load_settings(), name, info.default)


@pytest.mark.parametrize(("name", "case"), CASES.items())
def test_a_valid_value_is_taken(monkeypatch: pytest.MonkeyPatch, name: str, case: Case) -> None:
    """The variable sets its setting and no other."""
    untouched = load_settings().model_dump()
    monkeypatch.setenv(f"ENRICHMENT_{name}".upper(), case.valid)
    assert load_settings().model_dump() == untouched | {name: case.means}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, case in CASES.items() for text in case.invalid])
def test_an_invalid_value_is_refused_by_its_variable_s_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """The message says which variable is wrong, before anything is claimed."""
    monkeypatch.setenv(f"ENRICHMENT_{name}".upper(), text)
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_{name}".upper() + ": "):
        load_settings()


@pytest.mark.parametrize("name", CASES)
def test_an_empty_value_is_none_at_all(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A line of `.env` that is left empty keeps the default."""
    monkeypatch.setenv(f"ENRICHMENT_{name}".upper(), "")
    assert getattr(load_settings(), name) == Settings.model_fields[name].default


def test_settings_are_read_from_the_env_file_below_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A line of the file counts until the environment says otherwise, and lines of others don't disturb."""
    settings = tmp_path / "settings.env"
    settings.write_text("ENRICHMENT_CHUNK_SIZE=20\nENRICHMENT_FRESH_DAYS=7\nENRICHMENT_HUBSPOT_CONCURRENCY=9\nX=1\n")
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(settings))
    monkeypatch.setenv("ENRICHMENT_CHUNK_SIZE", "30")
    loaded = load_settings()
    assert (loaded.chunk_size, loaded.fresh_days) == (30, 7)


@pytest.mark.parametrize(
    ("text", "caps"),
    [("", {}), ("5000", {"": 5000.0}), (" zoominfo=500, hunter = 2.5 ", {"zoominfo": 500.0, "hunter": 2.5})],
)
def test_a_day_s_caps_are_by_provider(monkeypatch: pytest.MonkeyPatch, text: str, caps: dict[str, float]) -> None:
    """One number holds for every provider; a list names some, and the others have none."""
    monkeypatch.setenv("ENRICHMENT_CREDITS_PER_DAY", text)
    assert load_settings().credit_caps == caps


@pytest.mark.parametrize(
    ("text", "references"),
    [("", []), (" , ", []), ("slack", ["slack"]), (" slack , email/ops,", ["slack", "email/ops"])],
)
def test_the_notifiers_are_a_list(monkeypatch: pytest.MonkeyPatch, text: str, references: list[str]) -> None:
    """Blanks and stray commas are left out."""
    monkeypatch.setenv("ENRICHMENT_NOTIFIERS", text)
    assert load_settings().notifier_references == references
