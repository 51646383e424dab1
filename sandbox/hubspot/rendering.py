"""The JSON of a contact."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.clock import iso_of
from sandbox.hubspot.store import Record

DEFAULT_PROPERTIES = (
    "createdate",
    "email",
    "firstname",
    "hs_object_id",
    "lastmodifieddate",
    "lastname",
)
ALWAYS = ("createdate", "hs_object_id", "lastmodifieddate")


@dataclass(frozen=True, slots=True)
class View:
    """Which properties of a contact are shown, with or without their history."""

    names: tuple[str, ...]
    history: tuple[str, ...] = ()

    def render(self, record: Record) -> dict[str, Any]:
        """Return the contact's JSON."""
        values = record.values
        shown: dict[str, Any] = {
            "id": record.id,
            "properties": {name: values.get(name) for name in self.names},
            "createdAt": values["createdate"],
            "updatedAt": values["lastmodifieddate"],
            "archived": record.archived,
        }
        if self.history:
            shown["propertiesWithHistory"] = {name: _versions(record, name) for name in self.history}
        return shown


def view_of(definitions: Mapping[str, Any], wanted: Iterable[str], history: Iterable[str] = ()) -> View:
    """Return the view that was asked for; names that aren't defined are left out without a word."""
    wanted = list(wanted)
    names = dict.fromkeys((*ALWAYS, *wanted) if wanted else DEFAULT_PROPERTIES)
    return View(
        names=tuple(name for name in names if name in definitions),
        history=tuple(name for name in dict.fromkeys(history) if name in definitions),
    )


def split_names(values: Sequence[str]) -> list[str]:
    """Return the names in a query parameter that may be repeated, and hold several with commas."""
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _versions(record: Record, name: str) -> list[dict[str, str]]:
    return [
        {"value": version.value, "timestamp": iso_of(version.at_ms), "sourceType": version.source}
        for version in reversed(record.history(name))
    ]
