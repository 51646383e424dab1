"""An environment without any extra: everything imports, or says which extra to install."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

#: What asks for a library only when it is needed, by extra; secrets are tested where their clouds are.
LATE = {
    "report": "from tasks.report import render_report\nrender_report(None)",
    "zoominfo-legacy": (
        "from blocks.providers.spec.auth import LOGINS\n"
        "LOGINS['zoominfo_pki']({'client_id': 'c', 'username': 'u', 'private_key': 'k'})"
    ),
}

#: Runs each statement where the hidden modules can't be imported, and prints what each raised.
SCRIPT = """
import json, sys
hidden, statements = json.loads(sys.stdin.read())
class Hider:
    def find_spec(self, name, path=None, target=None):
        if any(name == one or name.startswith(one + ".") for one in hidden):
            asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hider())
shown = {}
for key, statement in statements.items():
    asked = []
    try:
        exec(statement, {})
    except Exception as error:
        shown[key] = [type(error).__name__, str(error), asked]
print(json.dumps(shown))
"""


def brought(requirements: Iterable[str]) -> set[str]:
    """Return the installed distributions that come with these."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        requirement = waiting.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in found:
            continue
        found |= {key, name}
        waiting += needed_by(name, frozenset(requirement.extras))
    return {name for name in found if "[" not in name}


@cache
def needed_by(name: str, extras: frozenset[str]) -> tuple[Requirement, ...]:
    try:
        listed = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # for another platform or Python
        return ()
    parsed = [Requirement(one) for one in listed]
    return tuple(
        one
        for one in parsed
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    )


def modules_of(name: str) -> Iterator[str]:
    """Return the outermost modules of a distribution, those of namespace packages by their whole names."""
    try:
        files = [PurePosixPath(file) for file in metadata.files(name) or []]
    except metadata.PackageNotFoundError:
        return
    packages = {file.parent for file in files if file.name == "__init__.py"}
    yield from (".".join(one.parts) for one in packages if not packages & set(one.parents))
    yield from (file.stem for file in files if len(file.parts) == 1 and file.suffix == ".py")


def product_modules() -> list[str]:
    """Return every module that others import, but for the sandbox, which has needs of its own."""
    folders = ("blocks", "enrichment", "flows", "lookup", "tasks", "triggers")
    paths = [path.relative_to(ROOT).with_suffix("") for name in folders for path in (ROOT / name).rglob("[!_]*.py")]
    return ["cli", *(".".join(path.parts) for path in sorted(paths))]


@pytest.fixture(scope="module")
def shown() -> dict[str, tuple[str, str, list[str]]]:
    """Import every module where no extra is installed, and return what was raised, by module or extra."""
    own = "contact-enrichment"
    all_extras = [one for requirements in EXTRAS.values() for one in requirements if not one.startswith(own)]
    only_extras = brought(all_extras) - brought(PROJECT["dependencies"])
    hidden = sorted({module for name in only_extras for module in modules_of(name)})
    assert {"psycopg", "snowflake.connector", "google.cloud.bigquery", "prefect_aws", "simple_salesforce"} <= set(
        hidden
    )
    statements = {name: f"import {name}" for name in product_modules()} | LATE
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([hidden, statements]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    return {name: tuple(found) for name, found in json.loads(done.stdout).items()}


def test_whatever_lacks_its_library_names_the_extra(shown: dict[str, tuple[str, str, list[str]]]) -> None:
    """The error is ours, and the extra that it names brings the library that was looked for."""
    for module, (kind, message, asked) in shown.items():
        assert kind == "ConfigurationError", (module, kind, message)
        [extra] = set(re.findall(r"--extra ([\w-]+)`", message))
        assert extra in EXTRAS, (module, message)
        brings = {one for name in brought(EXTRAS[extra]) for one in modules_of(name)}
        assert any(asked[0] == one or asked[0].startswith(f"{one}.") for one in brings), (module, asked[0], extra)


def test_only_the_vendors_own_modules_lack_anything(shown: dict[str, tuple[str, str, list[str]]]) -> None:
    """Command line, flows, tasks, domain and all other vendors work without any extra."""
    vendors = {"salesforce", "postgres", "redshift", "snowflake", "bigquery"}
    modules = {name for name in shown if name not in EXTRAS and not name.startswith("triggers.")} - {"flows.cluster"}
    assert {name.split(".")[2] for name in modules} == vendors
    assert {name.partition(".")[0] for name in modules} == {"blocks"}


def test_an_extra_is_named_for_both_ways_of_installing(shown: dict[str, tuple[str, str, list[str]]]) -> None:
    """In a clone it is the bootstrap's option, elsewhere pip's name in brackets."""
    message = shown["blocks.warehouses.postgres"][1]
    assert message == (
        "PostgreSQL needs psycopg, which isn't installed: "
        "in the clone, `scripts/bootstrap --inexact --no-dev --extra postgres` or `pip install '.[postgres]'`"
    )
