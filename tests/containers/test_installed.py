"""Installed from the wheel, without a checkout: the folder that `enrich init` writes is all that a pipeline needs."""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.accounts import account_settings
from sandbox.server import Box, running
from tests.containers.dockerfile import Image, machine

CONTACTS = 12


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with running(contacts=CONTACTS, seed=7) as started:
        yield started


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder outside the checkout and outside pytest's own."""
    with tempfile.TemporaryDirectory(prefix="own-folder-") as name:
        yield Path(name)


def test_a_folder_of_ones_own_is_set_up_checked_and_run(image: Image, box: Box, folder: Path) -> None:
    """`init` with set-up, doctor and dry run, then `stage` and `run`: the CRM is filled, and no checkout is needed."""
    world = box.world
    given = account_settings("hubspot", box.url) | account_settings("zoominfo", box.url)
    environment = machine() | given | {"HOME": str(folder), "PREFECT_HOME": str(folder / ".prefect")}
    environment["PATH"] = f"{image.folder}/.venv/bin:{environment['PATH']}"

    def enrich(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["enrich", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    own = folder / "enrichment"
    said = enrich("init", str(own), "--yes", "--setup", "--json", cwd=folder)
    assert json.loads(said.stdout)["to fill in"] == []
    assert {path.name for path in own.iterdir()} >= {".env", "mapping.yaml", "prices.yaml", "prefect.yaml"}
    assert re.search(r"ok +crm hubspot", said.stderr), said.stderr
    assert "nothing to " in said.stderr.partition("enrich run --dry-run")[2]
    enrich("stage", "--all", cwd=own)
    report = json.loads(enrich("run", "--json", cwd=own).stdout)
    assert report["books"]["claimed"] == CONTACTS
    written = [one for one in world.hubspot.contacts.values() if one.get("enr_enriched_at")]
    assert len(written) == report["books"]["dispositions"]["written"] > 0
