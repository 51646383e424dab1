"""Which contacts a backfill takes: conditions only, never the contacts themselves."""

import hashlib
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from enrichment.errors import ConfigurationError


class Selection(BaseModel):
    """Which contacts of the CRM to take: those that fulfil every condition that is set. Without any: none."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    everything: bool = Field(False, description="Every contact of the CRM; excludes every other condition.")
    created_from: datetime | None = Field(
        None, description="Created at or after this moment (UTC unless it names a time zone)."
    )
    created_until: datetime | None = Field(
        None, description="Created before this moment (UTC unless it names a time zone)."
    )
    owner: str = Field("", description="Owned by this user, by the CRM's user id.")
    list_id: str = Field("", description="In this list or segment of HubSpot, or campaign of Salesforce, by its id.")
    condition: str = Field(
        "", description="A further condition in Salesforce's query language, such as `Department = 'Sales'`."
    )
    missing: tuple[str, ...] = Field(
        (),
        description="At least one of these fields is blank: fields of the CRM, or canonical fields such as `industry`.",
    )
    csv_path: str = Field("", description="Listed in this CSV file, column `crm_id`; a path on the worker's machine.")

    @field_validator("created_from", "created_until")
    @classmethod
    def _is_aware(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment

    @field_validator("missing")
    @classmethod
    def _names_something(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in names if name))

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.everything and (self.conditions or self.csv_path):
            raise ValueError("`everything` and another condition exclude each other: choose one")
        if self.created_from and self.created_until and self.created_from >= self.created_until:
            raise ValueError("`created_until` must be later than `created_from`")
        return self

    @property
    def conditions(self) -> frozenset[str]:
        """Return the names of the conditions that only the CRM can judge."""
        names = ("created_from", "created_until", "owner", "list_id", "condition", "missing")
        return frozenset(name for name in names if getattr(self, name))

    @property
    def is_empty(self) -> bool:
        """Return whether it selects nobody."""
        return not (self.everything or self.conditions or self.csv_path)

    @property
    def fingerprint(self) -> str:
        """Return a short text that equal selections share; it shows none of their values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


#: Selects nobody.
NOBODY = Selection()


def select_by(**conditions: Any) -> Selection:
    """
    Return a selection.

    Raises:
        ConfigurationError: a condition makes no sense; the message says which.
    """
    try:
        return Selection(**conditions)
    except ValidationError as error:
        flaws = [
            f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}" if flaw["loc"] else flaw["msg"]
            for flaw in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigurationError(f"wrong selection: {'; '.join(flaws)}") from None
