"""The CRM's side of the demo: how contacts come into the queue, what is run, and what the CRM holds in the end."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from sandbox.combination import FILE
from sandbox.place import Place

_COLUMNS = ("email", "firstname", "lastname", "company", "jobtitle", "city")


class CrmSide(Protocol):
    """A CRM as the demo uses it."""

    def prepare(self, place: Place) -> list[str]:
        """Prepare everything, and return the command that enriches all contacts."""

    def held(self, place: Place) -> dict[str, dict[str, Any]]:
        """Return what the CRM holds, by contact."""

    def files(self, place: Place) -> dict[str, str]:
        """Return what it leaves behind: the file, and what is in it."""


class ServedCrm:
    """
    A CRM that has a stand-in.

    Args:
        name: of the CRM.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def prepare(self, place: Place) -> list[str]:
        """Make tables, fields and limits, and stage every contact."""
        place.result("setup")
        place.result("stage", "--all")
        return ["run"]

    def held(self, place: Place) -> dict[str, dict[str, Any]]:
        """Return what the stand-in keeps, without a call of its API."""
        return place.crm_contacts(self._name)

    def files(self, place: Place) -> dict[str, str]:
        """Return nothing: what was written is gone with the stand-in."""
        del place
        return {}


class ContactList:
    """A CSV file of the same people, for users who have no CRM."""

    def prepare(self, place: Place) -> list[str]:
        """Write the list; the command stages it by itself."""
        source, target = place.folder / "contacts.csv", place.folder / "enriched.csv"
        write_list(source, place.crm_contacts())
        return [FILE, str(source), "--out", str(target)]

    def held(self, place: Place) -> dict[str, dict[str, Any]]:
        """Read the output."""
        return read_list(place.folder / "enriched.csv")

    def files(self, place: Place) -> dict[str, str]:
        """Return both lists."""
        return {str(place.folder / "contacts.csv"): "the input", str(place.folder / "enriched.csv"): "the output"}


def write_list(path: Path, contacts: Mapping[str, Mapping[str, Any]]) -> None:
    """Write contacts, as the stand-in of HubSpot has them, as a list."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["crm_id", *_COLUMNS])
        for crm_id, values in contacts.items():
            rows.writerow([crm_id, *(values.get(column) for column in _COLUMNS)])


def read_list(path: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a list by their contact."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["crm_id"]: dict(row) for row in csv.DictReader(file)}


def crm_side(name: str) -> CrmSide:
    """Return the side of a CRM."""
    return ContactList() if name == FILE else ServedCrm(name)
