"""compose.yaml as data, read as Docker Compose reads it: variables filled in, anchors merged."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.place import ROOT

COMPOSE = ROOT / "compose.yaml"

#: `${NAME}`, `${NAME:-default}` or `${NAME:?what to do}`.
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


class VariableMissingError(Exception):
    """A variable that has no default is not set."""


@dataclass(frozen=True)
class Service:
    """One service, as far as it is run here."""

    name: str
    entry: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """Return what the file itself sets."""
        return {name: str(value) for name, value in (self.entry.get("environment") or {}).items()}

    @property
    def ours(self) -> bool:
        """Return whether it runs our image."""
        return "build" in self.entry

    @property
    def needs(self) -> dict[str, str]:
        """Return what it waits for, and in which condition."""
        return {name: needed["condition"] for name, needed in self.entry.get("depends_on", {}).items()}


def project(variables: dict[str, str]) -> dict[str, Any]:
    """
    Return the file's content.

    Raises:
        VariableMissingError: the message is the file's own.
    """

    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise VariableMissingError(f"{name}: {text}")
        return text or ""

    content: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, COMPOSE.read_text()))
    return content


def services(variables: dict[str, str]) -> dict[str, Service]:
    """Return the services by name."""
    return {name: Service(name, entry) for name, entry in project(variables)["services"].items()}


def env_file() -> dict[str, str]:
    """Return the variables of `.env.example`, which the user's own file is made from."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
