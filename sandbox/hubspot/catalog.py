"""The contact properties of a HubSpot account: what there is, and what may be added."""

import re
from collections.abc import Mapping
from typing import Any

from sandbox.clock import Clock, iso_of
from sandbox.hubspot.errors import HubSpotError, invalid
from sandbox.hubspot.standard_properties import standard_properties

ALREADY_EXISTS = "OBJECT_ALREADY_EXISTS"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_REQUIRED = ("name", "label", "type", "fieldType", "groupName")
_FIELD_TYPES: Mapping[str, tuple[str, ...]] = {
    "string": ("text", "textarea", "phonenumber", "html", "file"),
    "number": ("number",),
    "date": ("date",),
    "datetime": ("date",),
    "bool": ("booleancheckbox",),
    "enumeration": ("select", "radio", "checkbox", "booleancheckbox"),
}
_DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "options": [],
    "displayOrder": -1,
    "calculated": False,
    "externalOptions": False,
    "hasUniqueValue": False,
    "hidden": False,
    "formField": False,
    "hubspotDefined": False,
    "archived": False,
    "modificationMetadata": {
        "archivable": True,
        "readOnlyDefinition": False,
        "readOnlyValue": False,
    },
}


class PropertyCatalog:
    """Holds groups and definitions by name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.groups: dict[str, dict[str, Any]] = {}
        self.definitions: dict[str, dict[str, Any]] = {}
        self.create_group({"name": "contactinformation", "label": "Contact information"})
        for each in standard_properties():
            self._add(each)

    def create_group(self, wanted: Any) -> dict[str, Any]:
        """
        Add a group, and return it.

        Raises:
            HubSpotError: it is not well-formed, or exists.
        """
        if not isinstance(wanted, dict) or not wanted.get("name") or not wanted.get("label"):
            raise invalid("A property group needs a name and a label")
        if wanted["name"] in self.groups:
            raise _exists("group", wanted["name"])
        group = {"displayOrder": -1, "archived": False, **wanted}
        self.groups[wanted["name"]] = group
        return group

    def create(self, wanted: Any) -> dict[str, Any]:
        """
        Add a property, and return its definition.

        Raises:
            HubSpotError: it is not well-formed, or exists.
        """
        self._check(wanted)
        if wanted["name"] in self.definitions:
            raise _exists("property", wanted["name"])
        return self._add(wanted)

    def _add(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        now = iso_of(self._clock.milliseconds())
        definition = {"createdAt": now, "updatedAt": now, **_DEFAULTS, **wanted}
        self.definitions[wanted["name"]] = definition
        return definition

    def _check(self, wanted: Any) -> None:
        if not isinstance(wanted, dict) or not all(isinstance(wanted.get(name), str) for name in _REQUIRED):
            raise invalid(f"A property needs {', '.join(_REQUIRED)}")
        if not _NAME.fullmatch(wanted["name"]):
            raise invalid(f"The name '{wanted['name']}' must be lower-case letters, digits and underscores")
        if wanted["fieldType"] not in _FIELD_TYPES.get(wanted["type"], ()):
            raise invalid(f"The fieldType '{wanted['fieldType']}' doesn't go with the type '{wanted['type']}'")
        if wanted["groupName"] not in self.groups:
            raise invalid(f"The property group '{wanted['groupName']}' doesn't exist")
        if wanted["type"] == "enumeration" and not wanted.get("options"):
            raise invalid("A property of type enumeration needs options")


def _exists(what: str, name: str) -> HubSpotError:
    return HubSpotError(409, ALREADY_EXISTS, f"A {what} named '{name}' already exists.")
