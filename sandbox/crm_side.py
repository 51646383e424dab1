"""The CRM's side of the demo: how contacts come into the queue, what is run, and what the CRM holds in the end."""

import csv
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
    """A CSV file of the same people, for those who have no CRM."""

    def prepare(self, place: Place) -> list[str]:
        """Write the list; the command stages it by itself."""
        source, target = place.folder / "contacts.csv", place.folder / "enriched.csv"
        with source.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["crm_id", *_COLUMNS])
            for crm_id, values in place.crm_contacts().items():
                rows.writerow([crm_id, *(values.get(column) for column in _COLUMNS)])
        return [FILE, str(source), "--out", str(target)]

    def held(self, place: Place) -> dict[str, dict[str, Any]]:
        """Read the output."""
        with (place.folder / "enriched.csv").open(newline="", encoding="utf-8") as file:
            return {row["crm_id"]: dict(row) for row in csv.DictReader(file)}

    def files(self, place: Place) -> dict[str, str]:
        """Return both lists."""
        return {str(place.folder / "contacts.csv"): "the input", str(place.folder / "enriched.csv"): "the output"}


def crm_side(name: str) -> CrmSide:
    """Return the side of a CRM."""
    return ContactList() if name == FILE else ServedCrm(name)
