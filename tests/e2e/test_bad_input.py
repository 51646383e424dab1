"""What a user gets wrong is explained in one clear line, with an exit code, and loses nothing."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from blocks.warehouses.sqlite import SqliteWarehouse
from cli import app
from sandbox.place import ROOT

CONFIGURED = {
    "ENRICHMENT_HUBSPOT_ACCESS_TOKEN": "secret-token",
    "ENRICHMENT_HUBSPOT_BASE_URL": "http://127.0.0.1:9",
    "ENRICHMENT_ZOOMINFO_CLIENT_ID": "id",
    "ENRICHMENT_ZOOMINFO_CLIENT_SECRET": "secret-secret",
    "ENRICHMENT_ZOOMINFO_BASE_URL": "http://127.0.0.1:9",
}


#: Run as a process of its own, as a user does; the others by the same command in this process, which takes less
#: than a tenth of the time.
AS_PROCESSES = (
    "an unknown provider",
    "a warehouse that is down",
)


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def enrich(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run a command as a process that finds nothing but these settings."""
    base = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PREFECT_HOME": str(folder / "prefect"), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=folder,
        env=base | {"PYTHONPATH": str(ROOT)} | settings(folder) | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def enrich_here(folder: Path, *arguments: str, **environment: str) -> Ended:
    """Run a command in this process."""
    with pytest.MonkeyPatch.context() as place:
        place.chdir(folder)
        for name, value in (settings(folder) | environment).items():
            place.setenv(name, value)
        done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def settings(folder: Path) -> dict[str, str]:
    return {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db"), **CONFIGURED}


def prepare(folder: Path) -> None:
    warehouse = SqliteWarehouse(folder / "warehouse.db", 5)
    warehouse.migrate()
    warehouse.close()


BAD: dict[str, tuple[list[str], dict[str, str], int, list[str]]] = {
    "an unknown provider": (
        ["run"],
        {"ENRICHMENT_PROVIDER": "zoomifno"},
        2,
        ["unknown provider 'zoomifno'", "zoominfo"],
    ),
    "an unknown CRM": (["run"], {"ENRICHMENT_CRM": "hubsopt"}, 2, ["unknown crm 'hubsopt'", "hubspot"]),
    "an unknown warehouse": (
        ["run"],
        {"ENRICHMENT_WAREHOUSE": "oracle"},
        2,
        ["unknown warehouse", "postgres", "sqlite"],
    ),
    "a missing credential": (["run"], {"ENRICHMENT_ZOOMINFO_CLIENT_ID": ""}, 2, ["ENRICHMENT_ZOOMINFO_CLIENT_ID"]),
    "a missing token": (["run"], {"ENRICHMENT_HUBSPOT_ACCESS_TOKEN": ""}, 2, ["ENRICHMENT_HUBSPOT_ACCESS_TOKEN"]),
    "a setting out of range": (["run"], {"ENRICHMENT_CHUNK_SIZE": "0"}, 2, ["ENRICHMENT_CHUNK_SIZE", "greater"]),
    "a warehouse that is down": (
        ["run"],
        {"ENRICHMENT_WAREHOUSE": "postgres", "ENRICHMENT_POSTGRES_DSN": "postgresql://u:hidden-pw@127.0.0.1:9/x"},
        1,
        ["PostgreSQL can't be reached", "ENRICHMENT_POSTGRES_DSN"],
    ),
    "a warehouse that isn't set up": (["run"], {"ENRICHMENT_SQLITE_PATH": "other.db"}, 2, ["enrich setup"]),
    "a file that isn't there": (["stage", "--csv", "absent.csv"], {}, 2, ["absent.csv can't be read", "No such file"]),
    "a wrong header": (["stage", "--csv", "wrong.csv"], {}, 2, ["no column 'crm_id'", "found: id, mail"]),
    "an empty id": (["stage", "--csv", "hole.csv"], {}, 2, ["line 3", "the cell is empty"]),
    "an unknown lane": (["stage", "--lane", "fast"], {}, 2, ["'fast' is not a valid queue", "live or backfill"]),
    "no contact to estimate": (["backfill", "--estimate"], {}, 2, ["choose contacts by a condition"]),
    "conditions that exclude each other": (["backfill", "--all", "--owner", "7"], {}, 2, ["everything"]),
    "a price book that isn't there": (
        ["backfill", "--all", "--estimate"],
        {"ENRICHMENT_PRICE_BOOK": "prices.yaml"},
        2,
        ["prices.yaml can't be read"],
    ),
    "a cap that is not a number": (["run"], {"ENRICHMENT_CREDITS_PER_DAY": "lots"}, 2, ["ENRICHMENT_CREDITS_PER_DAY"]),
    "a lane that can't be paused": (["pause", "fast"], {}, 2, ["'fast' is not a valid queue"]),
    "a deployment without a server": (["resume", "backfill", "--start"], {}, 2, ["PREFECT_API_URL"]),
    "an unknown contact": (["why", "4711"], {}, 2, ["doesn't know contact 4711"]),
    "a notifier without an address": (
        ["run"],
        {"ENRICHMENT_NOTIFIERS": "email"},
        2,
        ["ENRICHMENT_EMAIL_HOST is not set"],
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_explained_clearly(mistake: str, tmp_path: Path) -> None:
    """One line says what is wrong and what to do; no traceback, no secret, and the exit code is not 0."""
    arguments, environment, code, words = BAD[mistake]
    prepare(tmp_path)
    (tmp_path / "wrong.csv").write_text("id,mail\n1,a@b.example\n")
    (tmp_path / "hole.csv").write_text("crm_id,email\n1,a@b.example\n,b@b.example\n")
    run = enrich if mistake in AS_PROCESSES else enrich_here
    done = run(tmp_path, *arguments, **environment)
    shown = " ".join(done.err.split())
    assert done.code == code, done.out + done.err
    assert [word for word in words if word not in shown] == [], shown
    assert "Traceback" not in shown
    assert [secret for secret in ("hidden-pw", "secret-token", "secret-secret") if secret in shown + done.out] == []


def test_a_spec_with_a_wrong_key_names_it(tmp_path: Path) -> None:
    """The message names the file, the key and what is allowed."""
    prepare(tmp_path)
    spec = (ROOT / "blocks" / "providers" / "specs" / "zoominfo.yaml").read_text()
    wrong = spec.replace("id: zoominfo", "id: mine", 1).replace("per_seconds: 1\n", "per_second: 1\n", 1)
    (tmp_path / "mine.yaml").write_text(wrong)
    done = enrich_here(tmp_path, "run", ENRICHMENT_PROVIDER="mine", ENRICHMENT_PROVIDER_DIR=str(tmp_path))
    shown = " ".join(done.err.split())
    assert done.code == 2, shown
    assert [word for word in ("mine.yaml", "per_second") if word not in shown] == [], shown


def test_doctor_says_in_one_line_each_what_is_wrong(tmp_path: Path) -> None:
    """Systems that don't answer are named, the others are well, and the exit code says so."""
    prepare(tmp_path)
    done = enrich(tmp_path, "doctor")
    lines = [line for line in done.out.splitlines() if line.startswith(("ok", "BAD"))]
    assert done.code == 1
    assert [line.split()[0] for line in lines] == ["ok", "ok", "ok", "ok", "BAD", "BAD"], done.out + done.err


def test_a_temporary_server_that_is_not_up_in_time_says_what_to_start(tmp_path: Path) -> None:
    """Prefect's own error never reaches the user: one sentence with the command, and nothing is lost."""
    prepare(tmp_path)
    done = enrich(tmp_path, "setup", "--save-blocks", PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="1")
    said = " ".join(done.err.split())
    assert done.code == 1, said
    assert "did not start within 1 seconds" in said
    assert "`prefect server start`" in said
    assert "PREFECT_API_URL" in said
    assert "Traceback" not in said
    assert "server.py" not in said
