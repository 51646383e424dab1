"""Misspelt settings, files of settings that can't be read, and options that make no sense: one sentence each."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

import cli
from blocks import server
from blocks.settings import Settings, load_settings
from blocks.variables import unknown_variables
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.errors import ConfigurationError
from enrichment.intake import FailedContacts
from tasks.intake import stage_failed


def enrich(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def said(done: Result) -> str:
    return " ".join(done.stderr.split())


MISSPELT = [
    ("ENRICHMENT_NOTIFIER", "slack", "ENRICHMENT_NOTIFIERS"),
    ("ENRICHMENT_WAREHOSE", "postgres", "ENRICHMENT_WAREHOUSE"),
    ("ENRICHMENT_CREDIT_PER_DAY", "100", "ENRICHMENT_CREDITS_PER_DAY"),
    ("ENRICHMENT_ALERT_TRESHOLD", "0.05", "ENRICHMENT_ALERT_THRESHOLD"),
    ("ENRICHMENT_HUBSPOT_ACCES_TOKEN", "x", "ENRICHMENT_HUBSPOT_ACCESS_TOKEN"),
    ("ENRICHMENT_HUBSPT_ACCESS_TOKEN", "x", "ENRICHMENT_HUBSPOT_ACCESS_TOKEN"),
    ("ENRICHMENT_ZOOMINFO_CLIENT_SECERT", "x", "ENRICHMENT_ZOOMINFO_CLIENT_SECRET"),
    ("ENRICHMENT_POSTGRES_DNS", "x", "ENRICHMENT_POSTGRES_DSN"),
    ("ENRICHMENT_SLACK_WEBHOK_URL", "x", "ENRICHMENT_SLACK_WEBHOOK_URL"),
    ("enrichment_providers", "zoominfo", "ENRICHMENT_PROVIDER"),
]


@pytest.mark.parametrize(("name", "value", "meant"), MISSPELT, ids=[name for name, _, _ in MISSPELT])
def test_a_misspelt_setting_has_a_nearest_right_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, meant: str
) -> None:
    """In the environment as in the file; its value is never shown."""
    monkeypatch.setenv(name, value)
    (sentence,) = unknown_variables()
    assert sentence == f"{name.upper()} is not a setting and has no effect: did you mean {meant}?"
    monkeypatch.delenv(name)
    (tmp_path / "my.env").write_text(f"{name}={value}\n", encoding="utf-8")
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "my.env"))
    assert unknown_variables() == [sentence]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ENRICHEMENT_CRM", "ENRICHMENT_CRM"),
        ("ENRICHMENTS_CRM", "ENRICHMENT_CRM"),
        ("ENRICMENT_PROVIDER", "ENRICHMENT_PROVIDER"),
        ("ENVIRONMENT_CRM", None),
    ],
)
def test_a_misspelt_prefix_is_reported(monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None) -> None:
    """Such a variable has no effect either; others' are left alone."""
    monkeypatch.setenv(name, "x")
    assert [one for one in unknown_variables() if name in one] == (
        [f"{name} doesn't begin with ENRICHMENT_ and has no effect: did you mean {meant}?"] if meant else []
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("zominfo=500", "ENRICHMENT_CREDITS_PER_DAY: unknown provider 'zominfo': it is one of apollo"),
        ("5,000", "is not written as docs/settings"),
    ],
)
def test_a_cap_of_no_provider_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    """It would cap nothing."""
    monkeypatch.setenv("ENRICHMENT_CREDITS_PER_DAY", value)
    done = enrich("run")
    assert done.exit_code == 2
    assert message in said(done)


def test_every_command_warns_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, make_warehouse: Callable[[str], Warehouse]
) -> None:
    """The warning goes to standard error, so that `--json` stays JSON."""
    make_warehouse("sqlite")
    monkeypatch.setenv("ENRICHMENT_NOTIFIER", "slack")
    for arguments in (["review", "--json"], ["suppress", "501"], ["why", "999"]):
        done = enrich(*arguments)
        assert said(done).count("did you mean ENRICHMENT_NOTIFIERS?") == 1
        assert "NOTIFIER" not in done.stdout


def test_doctor_fails_at_a_misspelt_setting_and_reports_a_cause_once(
    no_server: None, make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent server that several systems' settings are in is one line, and so is each misspelt setting."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        make_warehouse("sqlite")
    monkeypatch.setenv("ENRICHMENT_NOTIFIER", "slack")
    done = enrich("doctor")
    lines = done.stdout.splitlines()
    assert done.exit_code == 1
    assert len([line for line in lines if "doesn't answer" in line]) == 1
    assert [line for line in lines if line.startswith("BAD") and "did you mean ENRICHMENT_NOTIFIERS?" in line]
    assert [line for line in lines if line.startswith("ok") and "warehouse sqlite" in line]


def test_right_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, the variables of vendors with an underscore, the command line's own, and what Kubernetes sets."""
    for name in (
        *(f"ENRICHMENT_{name}".upper() for name in Settings.model_fields),
        *("ENRICHMENT_ZOOMINFO_LEGACY_USERNAME", "ENRICHMENT_RECEIVER_SHARED_SECRET", "ENRICHMENT_EMAIL_HOST"),
        *(
            "ENRICHMENT_FILE_PATH",
            "ENRICHMENT_SNOWFLAKE_ACCOUNT",
            "ENRICHMENT_TRACE",
            "ENRICHMENT_PROVIDER_DIR",
            "ENRICHMENT_PORT",
        ),
        *("ENRICHMENT_SERVICE_HOST", "ENRICHMENT_PORT_4200_TCP_ADDR", "PREFECT_API_URL"),
    ):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", os.devnull)
    assert unknown_variables() == []


@given(
    st.sampled_from(sorted(Settings.model_fields)), st.integers(0, 99), st.sampled_from("abcdefghijklmnopqrstuvwxyz")
)
def test_one_wrong_letter_never_passes_for_a_setting(name: str, place: int, letter: str) -> None:
    """Whatever letter of whatever setting is wrong, the variable is reported."""
    at = place % len(name)
    wrong = f"ENRICHMENT_{name[:at]}{letter}{name[at + 1 :]}".upper()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(wrong, "")
        assert bool(unknown_variables()) is (letter != name[at])


FILES = {
    "latin-1": ("ENRICHMENT_CRM=file\n# Schl\u00fcssel\n".encode("latin-1"), "line 2: the file is not in UTF-8"),
    "utf-16, as PowerShell writes it": ("ENRICHMENT_CRM=file\n".encode("utf-16"), "line 1: the file is not in UTF-8"),
    "absent": (None, "doesn't exist: correct the path, or unset ENRICHMENT_ENV_FILE"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("command", ["doctor", "review", "run", "setup", "stage"])
def test_a_file_of_settings_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, command: str
) -> None:
    """Each command names the file and the line in one sentence, and ends with 2."""
    content, message = FILES[kind]
    file = tmp_path / "my.env"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(file))
    done = enrich(command)
    assert done.exit_code == 2, done.output
    assert str(file) in said(done)
    assert message in said(done)
    assert "Traceback" not in done.output


def test_a_mark_before_the_first_name_is_not_a_part_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows' editors write one."""
    (tmp_path / "my.env").write_text("ENRICHMENT_CRM=file\n", encoding="utf-8-sig")
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "my.env"))
    assert load_settings().crm == "file"
    assert unknown_variables() == []


@pytest.mark.parametrize("value", ["1%", "1 %", "0,01", "one"])
def test_a_share_in_percent_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """It isn't guessed whether a whole or a hundredth was meant; the message says how to write it."""
    monkeypatch.setenv("ENRICHMENT_ALERT_THRESHOLD", value)
    done = enrich("run")
    assert done.exit_code == 2
    assert "ENRICHMENT_ALERT_THRESHOLD: must be a number; write 1 % as 0.01" in said(done)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["retry", "--run", ""], "`--run` is empty"),
        (["retry", "--cause", "timeout", "--run", ""], "`--run` is empty"),
        (["retry", "--run", "no-such-run"], "no run has the id 'no-such-run'"),
        (["retry", "--all", "501"], "choose one of `--all` and `ID`"),
        (["retry", "Ada"], "not a HubSpot contact id"),
        (["stage", "--ids", ""], "`--ids` is empty"),
        (["stage", "--ids", " , "], "`--ids` is empty"),
        (["stage", "--ids", ",".join(map(str, range(1, 10_002)))], "at most 10000"),
    ],
    ids=["empty run", "cause and empty run", "unknown run", "all", "no id", "no ids", "blank ids", "too many ids"],
)
def test_options_that_make_no_sense_queue_nothing(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    """One sentence before Prefect starts; an empty shell variable doesn't mean all."""
    warehouse = make_warehouse("sqlite")
    for name in ("HUBSPOT_ACCESS_TOKEN", "ZOOMINFO_CLIENT_ID", "ZOOMINFO_CLIENT_SECRET"):
        monkeypatch.setenv(f"ENRICHMENT_{name}", "x")
    done = enrich(*arguments)
    assert done.exit_code == 2, done.output
    assert message in said(done)
    assert warehouse.count_queue() == []


def test_the_flow_refuses_a_run_that_does_not_exist(make_warehouse: Callable[[str], Warehouse]) -> None:
    """The same mistake in Prefect's form."""
    make_warehouse("sqlite")
    with pytest.raises(ConfigurationError, match="no run has the id 'no-such-run'"):
        stage_failed.fn("hubspot", "sqlite", "live", FailedContacts(run_id="no-such-run"))


@pytest.mark.parametrize(
    ("source", "meant"), [("industrie", "industry"), ("companyname", "company_name"), ("Industry", "industry")]
)
def test_a_source_that_is_not_a_field_has_a_nearest_right_one(
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    source: str,
    meant: str,
) -> None:
    """It is refused before Prefect starts, with the file, the entry and the name that is likely meant."""
    make_warehouse("sqlite")
    file = tmp_path / "mapping.yaml"
    file.write_text(f"- {{field: industry, source: {source}, rule: always}}\n", encoding="utf-8")
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_MAPPING_FILE", str(file))
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "x")
    done = enrich("run")
    assert done.exit_code == 2
    assert f"{file}, entry 1: source: unknown field '{source}': did you mean '{meant}'?" in said(done)


def test_a_mapping_in_another_encoding_is_refused_with_the_line(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the words of this product, not of its libraries."""
    make_warehouse("sqlite")
    file = tmp_path / "mapping.yaml"
    file.write_bytes("- field: a\n  source: Größe\n".encode("latin-1"))
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_MAPPING_FILE", str(file))
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "x")
    done = enrich("run")
    assert done.exit_code == 2
    assert f"{file}, line 2: the file is not in UTF-8: save it" in said(done)


@pytest.fixture(params=["absent", "silent"])
def no_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let PREFECT_API_URL name a server that isn't there, or that takes connections and never answers."""
    monkeypatch.setattr(server, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(server, "_last_answer", {})
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1] if request.param == "silent" else 9
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{port}/api"}):
            yield


def test_commands_about_the_warehouse_need_no_server(
    no_server: None, make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`why`, `erase` and `review` work by the environment's settings."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        warehouse = make_warehouse("sqlite")
    warehouse.stage([NewRecord("hubspot", "501", "ada@acme.example", "manual", "live")])
    assert enrich("why", "501").exit_code == 0
    assert enrich("review").exit_code == 0
    assert enrich("erase", "501", "--yes").exit_code == 0


@pytest.mark.timeout(120)  # Prefect itself would be silent for minutes
@pytest.mark.parametrize(
    "command", [["erase", "501", "--yes"], ["why", "501"], ["review"], ["run"], ["stage"], ["setup"]]
)
def test_a_server_that_does_not_answer_is_reported(
    no_server: None, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Where settings may be in a saved block, the command says what to start, within seconds."""
    monkeypatch.setenv("ENRICHMENT_WAREHOUSE", "sqlite/prod")
    done = enrich(*command)
    assert done.exit_code == 1
    assert "doesn't answer" in said(done)
    assert "prefect server start" in said(done)
    assert not re.search(r"Traceback|\.py:\d", done.output)
