"""What the documents claim is checked here where a machine can check it."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dotenv import dotenv_values
from typer.main import get_command
from typer.testing import CliRunner

import cli
from blocks.crms.base import load_crm
from blocks.notifiers.base import load_notifier
from blocks.providers.block import load_provider
from blocks.settings import load_settings
from blocks.warehouses.base import load_warehouse
from enrichment.books import Books
from enrichment.causes import ADVICE
from enrichment.credits import ANY_PROVIDER
from enrichment.records import Disposition
from enrichment.summary import ProviderUse, RunReport, summary_lines

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
README = DOCUMENTS["README.md"]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
#: What looks like a setting and isn't one: the schema, and the provider that the walk-through makes up.
NO_SETTINGS = re.compile(r"ENRICHMENT_(PIPELINE|NAMEBOOK_\w+)")


def blocks_of(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, without the indentation of the list that they stand in."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words behind each `enrich` in a block of shell commands, and in the text."""
    for line in [line for block in blocks_of(text, "sh") for line in block.splitlines()]:
        if re.match(r"(\S*/)?enrich ", line):
            yield shlex.split(line, comments=True)[1:]
    yield from (words.split() for words in re.findall(r"`enrich ([a-z][^`\n]*)`", text))


def check_command(words: list[str]) -> None:
    """Fail unless the words behind `enrich` name a command that is there, and options that it has."""
    command: Any = get_command(cli.app)
    for word in words:
        if hasattr(command, "commands"):
            assert word in command.commands, f"enrich {' '.join(words)}"
            command = command.commands[word]
        elif word.startswith("--") and word != "--help":
            options = {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
            assert word.rstrip(",.").partition("=")[0] in options, f"enrich {' '.join(words)}"


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_commands_of_a_document_exist(name: str) -> None:
    """Every `enrich` command that it names is there, with the options that it shows."""
    for words in command_lines(DOCUMENTS[name]):
        check_command(words)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_make_targets_of_a_document_exist(name: str) -> None:
    """Every `make` target that it names is there."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^ *)make ([a-z-]+)\b", DOCUMENTS[name], re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_deployments_of_a_document_exist(name: str) -> None:
    """Every deployment that it names is in prefect.yaml."""
    flows: dict[str, set[str]] = {}
    for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        flow = entry["entrypoint"].rpartition(".")[2].replace("_", "-")
        flows.setdefault(flow, set()).add(entry["name"])
    for flow, deployment in re.findall(rf"\b({'|'.join(flows)})/([a-z-]+)\b", DOCUMENTS[name]):
        assert deployment in flows[flow], f"{flow}/{deployment}"


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "CHANGELOG.md"])
def test_the_settings_of_a_document_exist(name: str) -> None:
    """Every variable that it names is in the generated table of settings, or is named above it."""
    known = set(re.findall(r"ENRICHMENT_\w+", DOCUMENTS["docs/settings.md"]))
    named = re.findall(r"ENRICHMENT_[A-Z0-9_]*[A-Z0-9]\b", DOCUMENTS[name])
    assert [one for one in named if one not in known and not NO_SETTINGS.fullmatch(one)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_links_of_a_document_lead_somewhere(name: str) -> None:
    """Every relative link names a file that is there, and a heading of it."""
    folder = (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", DOCUMENTS[name]):
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / name
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


def test_every_page_is_in_an_index() -> None:
    """The index of docs/ leads to every page below it, and the index of the decisions to every decision."""
    for index in (ROOT / "docs" / "README.md", ROOT / "docs" / "decisions" / "README.md"):
        linked = re.findall(r"\]\(([\w.-]+\.md)", index.read_text("utf-8"))
        pages = {path.name for path in index.parent.glob("*.md")} - {index.name}
        assert pages - set(linked) == set(), index


def test_every_alert_has_its_section_in_the_runbook() -> None:
    """Whatever an alert may be about, the runbook says its cause, what to do, and what isn't lost."""
    sections = DOCUMENTS["docs/runbook.md"].split("\n## ")[1:]
    for kind in (*ADVICE, "api_version", "needs_approval", "mapping_review"):
        (section,) = [text for text in sections if f"(`{kind}`)" in text]
        assert [part for part in ("**Cause", "**Not lost.**") if part not in section] == []
        assert "do** " in section or "**Do.**" in section


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_units_of_systemd_start_commands_that_exist(path: Path, tmp_path: Path) -> None:
    """Each is in docs/services.md, its command is ours or one that the containers run too, and systemd takes it."""
    text = path.read_text()
    assert f"`{path.name}`" in DOCUMENTS["docs/services.md"]
    (line,) = re.findall(r"^ExecStart=/opt/contact-enrichment/.venv/bin/(.*)$", text, re.MULTILINE)
    if line.startswith("enrich "):
        check_command(line.split()[1:])
    else:
        in_containers = (ROOT / "compose.yaml").read_text() + (ROOT / "Dockerfile").read_text()
        assert [word for word in line.split() if word.startswith("--") and word not in in_containers] == []
    here = text.replace("/opt/contact-enrichment/.venv/bin", str(Path(sys.executable).parent))
    (tmp_path / path.name).write_text(re.sub(r"(User|WorkingDirectory)=.*\n", "", here))
    if analyze := shutil.which("systemd-analyze"):
        done = subprocess.run(
            [analyze, "verify", "--man=no", tmp_path / path.name], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_is_short_and_says_how_far_it_is() -> None:
    """The third line has the status; what needs more room is in docs/."""
    lines = README.splitlines()
    assert lines[2].startswith("**Status: beta.**")
    assert len(lines) <= 125


def test_the_quickstart_sets_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folder that it writes, and values of one's own, every system of the pipeline can be built."""
    (words,) = [words for words in command_lines(README) if words[0] == "init"]
    done = CliRunner().invoke(cli.app, ["init", str(tmp_path), "--yes", *words[2:]])
    assert done.exit_code == 0, done.output
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    own = {"ENRICHMENT_SNOWFLAKE_PRIVATE_KEY": key.decode().replace("\n", "\\n"), "ENRICHMENT_NOTIFIERS": "slack"}
    for name, value in dotenv_values(tmp_path / ".env").items():
        monkeypatch.setenv(name, value or own.get(name, "made-up"))
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert settings.credit_caps == {ANY_PROVIDER: 500}
    load_crm(settings.crm).close()
    assert load_provider(settings.provider).name == "zoominfo"
    load_warehouse(settings.warehouse).close()
    assert [load_notifier(reference).name for reference in settings.notifier_references] == ["slack"]


def test_the_demo_of_the_readme_is_what_the_demo_prints() -> None:
    """Each line of the summary is one that the command line makes of these figures."""
    ends = {
        Disposition.WRITTEN: 677,
        Disposition.UNMATCHED: 282,
        Disposition.SUPPRESSED: 20,
        Disposition.INVALID: 21,
    }
    zoominfo = ProviderUse("zoominfo", {"matched": 659, "unmatched": 291}, 659.0, ("v1",))
    printed = dict(summary_lines(RunReport("run", Books(claimed=1000, dispositions=ends), [zoominfo])))
    shown = re.findall(r"^│ (.+?) +│ (.+?) +│$", README, re.MULTILINE)
    assert len(shown) >= len(ends)
    assert [line for line in shown if printed.get(line[0]) != line[1]] == []
