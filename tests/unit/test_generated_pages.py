"""The pages that `make docs` generates are current."""

import runpy
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "scripts").glob("docs_*.py"))


def pages(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout whose scripts and pages are copies, so that a script changes nothing here."""
    for entry in ROOT.iterdir():
        if entry.name in {"docs", "scripts"}:
            shutil.copytree(entry, tmp_path / entry.name)
        else:
            (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_generated_page_is_current(script: str, checkout: Path) -> None:
    """To run the script again changes no page; if it does, run `make docs` and commit what it made."""
    runpy.run_path(str(checkout / "scripts" / script), run_name="__main__")
    assert pages(checkout / "docs") == pages(ROOT / "docs")


def test_the_table_of_settings_is_among_them() -> None:
    """The parametrised test above has something to run."""
    assert "docs_settings.py" in SCRIPTS
