"""Options and parameters that exclude each other are refused before anything is read, staged or spent."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.exceptions import ParameterTypeError
from typer.main import get_command
from typer.testing import CliRunner

from cli import app
from enrichment.errors import ConfigurationError
from flows.ingest_contacts import ingest_contacts

EXCLUSIVE = [
    ["retry", "--all", "--cause", "timeout"],
    ["retry", "--all", "--run", "run-1"],
    ["retry", "--all", "--field", "industry"],
    ["stage", "--all", "--csv", "x.csv"],
    ["stage", "--ids", "501", "--csv", "x.csv"],
    ["stage", "--since", "2026-01-01", "--all"],
    ["backfill", "--all", "--estimate", "--stage-only"],
    ["backfill", "--all", "--estimate", "--max-credits", "5"],
    ["backfill", "--all", "--estimate", "--limit", "5"],
    ["backfill", "--all", "--estimate", "--refresh"],
    ["backfill", "--all", "--stage-only", "--max-credits", "5"],
    ["backfill", "--all", "--stage-only", "--limit", "5"],
    ["backfill", "--all", "--stage-only", "--provider", "hunter"],
]


@pytest.mark.parametrize("arguments", EXCLUSIVE, ids=" ".join)
def test_options_that_exclude_each_other_are_refused(arguments: list[str]) -> None:
    """The message names both, and the exit code is that of wrong usage."""
    done = CliRunner().invoke(app, arguments)
    said = " ".join(done.stderr.split())
    assert done.exit_code == 2, done.output
    named = [one for one in arguments if one.startswith("--") and (arguments[0] != "backfill" or one != "--all")]
    assert all(f"`{name}`" in said for name in named), said


def test_a_retry_names_what_it_retries() -> None:
    """Without a choice nothing is queued: to retry everything is said with `--all`."""
    done = CliRunner().invoke(app, ["retry"])
    assert done.exit_code == 2
    assert "`--all`" in " ".join(done.stderr.split())


CONTRADICTIONS: list[dict[str, Any]] = [
    {"what": "failed", "csv_path": "x.csv"},
    {"what": "everything", "csv_path": "x.csv"},
    {"what": "listed", "crm_ids": ["501"], "csv_path": "x.csv"},
    {"what": "listed"},
    {"what": "missed", "since": "2026-01-01T00:00:00Z"},
    {"what": "selected", "select": {}},
    {"what": "lately"},
]


@pytest.mark.parametrize("intake", CONTRADICTIONS, ids=str)
def test_an_intake_cannot_contradict_itself(intake: dict[str, Any]) -> None:
    """Prefect refuses the parameters, from the form as from the command line."""
    with pytest.raises(ParameterTypeError):
        ingest_contacts.validate_parameters({"intake": intake})


@pytest.mark.parametrize("intake", [{"what": "new"}, {"what": "missed", "days": 2}, {"what": "failed"}], ids=str)
def test_refresh_is_refused_where_nothing_could_be_refreshed(intake: dict[str, Any]) -> None:
    """New, missed and failed contacts have no result yet."""
    parameters = ingest_contacts.validate_parameters({"intake": intake, "refresh": True})
    with pytest.raises(ConfigurationError, match="leave it out"):
        ingest_contacts.fn(**parameters)


def test_every_kind_of_intake_is_taken_as_plain_values() -> None:
    """As a deployment's parameters have them."""
    for intake, kind in (
        ({}, "NewContacts"),
        ({"what": "new", "since": "2026-01-01T00:00:00"}, "NewContacts"),
        ({"what": "missed", "days": 3}, "MissedContacts"),
        ({"what": "everything"}, "EveryContact"),
        ({"what": "listed", "crm_ids": ["501"]}, "ListedContacts"),
        ({"what": "selected", "select": {"everything": True}}, "SelectedContacts"),
        ({"what": "failed", "run_id": "some-run"}, "FailedContacts"),
    ):
        taken = ingest_contacts.validate_parameters({"intake": intake})["intake"]
        assert type(taken).__name__ == kind


def options(command: Any, name: str = "enrich") -> Iterator[tuple[str, str]]:
    """Yield all options of a command and those below it."""
    for one in command.params:
        yield from ((name, option) for option in one.opts)
    for below, found in getattr(command, "commands", {}).items():
        yield from options(found, f"{name} {below}")


def test_no_command_takes_a_secret_as_an_option() -> None:
    """Everyone on the machine could read it in the list of processes, and the shell's history would keep it."""
    found = [*options(get_command(app))]
    assert ("enrich run", "--provider") in found
    named = [one for one in found if re.search("secret|token|password|api.?key|dsn|credential", one[1])]
    assert named == [("enrich init", "--secrets")]  # which says where they are kept
