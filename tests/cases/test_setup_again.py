"""
`enrich setup --deploy` creates what is missing and nothing else.

What people changed in Prefect is tried where `docker compose up` runs it: tests/containers/test_services.py.
"""

from pathlib import Path

import pytest
from click.testing import Result
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

import cli


def setup() -> Result:
    return CliRunner().invoke(cli.app, ["setup", "--deploy"])


def test_deployments_need_a_server_that_stays() -> None:
    """Without one they would be gone with the command, so it says so before anything is changed."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        done = setup()
    assert done.exit_code == 2
    assert "PREFECT_API_URL" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read"),
        ("deployments: [", "not a valid list of deployments"),
        ("name: x", "not a valid list of deployments"),
        ("- a", "not a valid list of deployments"),
        (b"\xff\xfe", "not a valid list of deployments"),
    ],
    ids=["absent", "cut", "no deployments", "a list", "encoding"],
)
def test_a_file_of_deployments_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | bytes | None, message: str
) -> None:
    """One sentence names the file."""
    if content is not None:
        (tmp_path / "prefect.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.chdir(tmp_path)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        done = setup()
    assert done.exit_code == 2
    assert str(tmp_path / "prefect.yaml") in " ".join(done.stderr.split())
    assert message in " ".join(done.stderr.split())
