"""Which contacts are staged: by conditions (a selection), or in one of several other ways, each with its options."""

import hashlib
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from enrichment.errors import ConfigurationError
from enrichment.moments import in_utc

#: A moment; without a time zone it is in UTC.
Moment = Annotated[datetime, AfterValidator(in_utc)]
#: A moment or none, with titles for the choice that forms make of it.
_A_MOMENT, _NONE = {"title": "moment", "type": "string", "format": "date-time"}, {"title": "not set", "type": "null"}
OptionalMoment = Annotated[Moment | None, WithJsonSchema({"anyOf": [_A_MOMENT, _NONE]})]


class Selection(BaseModel):
    """Which contacts of the CRM to take: those that fulfil every condition that is set. Without any: none."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    everything: bool = Field(False, description="Every contact of the CRM; excludes every other condition.")
    created_from: OptionalMoment = Field(
        None, description="Created at or after this moment (UTC unless it names a time zone)."
    )
    created_until: OptionalMoment = Field(
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
        """Return whether it selects no contact."""
        return not (self.everything or self.conditions or self.csv_path)

    @property
    def source(self) -> str:
        """Return what stages the contacts: a mere list names ids that the CRM hasn't confirmed."""
        return "manual" if self.csv_path and not self.conditions else "backfill"

    @property
    def fingerprint(self) -> str:
        """Return a short text that equal selections share; it shows none of their values."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


#: Selects no contact.
NO_SELECTION = Selection()


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


class _Intake(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewContacts(_Intake):
    """The contacts that were created since the last intake, or since a moment."""

    what: Literal["new"] = "new"
    since: OptionalMoment = Field(
        None,
        description="Created at or after this moment (UTC unless it names a time zone); empty: since the last intake.",
    )


class MissedContacts(_Intake):
    """The contacts of the last days that are neither queued nor have a result."""

    what: Literal["missed"] = "missed"
    days: int = Field(3, ge=1, le=366, description="How many days to look back.")


class EveryContact(_Intake):
    """Every contact of the CRM."""

    what: Literal["everything"] = "everything"


class ListedContacts(_Intake):
    """The contacts whose ids are listed: here, or in a CSV file."""

    what: Literal["listed"] = "listed"
    crm_ids: Annotated[list[str], Field(max_length=10_000)] = Field(
        default_factory=list, description="CRM ids, at most 10,000."
    )
    csv_path: str = Field("", description="CSV file with the column `crm_id`; a path on the worker's machine.")

    @model_validator(mode="after")
    def _lists_something(self) -> Self:
        if bool(self.crm_ids) == bool(self.csv_path):
            raise ValueError("give either `crm_ids` or `csv_path`")
        return self


class SelectedContacts(_Intake):
    """The contacts that meet all conditions."""

    what: Literal["selected"] = "selected"
    select: Selection = Field(description="The conditions.")

    @field_validator("select")
    @classmethod
    def _selects_contacts(cls, selection: Selection) -> Selection:
        if selection.is_empty:
            raise ValueError("set at least one condition, or `everything`")
        return selection


class FailedContacts(_Intake):
    """Failed contacts, or contacts with a field that was not written, to be tried again; saved replies are reused."""

    what: Literal["failed"] = "failed"
    run_id: str = Field("", description="Only those of this run; empty: of all runs.")
    reason: str = Field("", description="Only those with this cause, such as `validation_error`; empty: any.")
    field: str = Field("", description="Contacts in which this CRM field was not written, instead of failed ones.")
    crm_ids: Annotated[list[str], Field(max_length=10_000)] = Field(
        default_factory=list,
        description="Only these contacts, failed or with a field that was not written, by CRM id; empty: all.",
    )


Intake = NewContacts | MissedContacts | EveryContact | ListedContacts | SelectedContacts | FailedContacts


def intake_kind(value: Any) -> str:
    """Return what an intake stages, also of the plain values that Prefect keeps of a run's parameters."""
    kind = value.get("what", "new") if isinstance(value, dict) else getattr(value, "what", "new")
    return str(kind)


#: What each kind stages, in words for a run's name.
INTAKE_LABELS = {
    "new": "new contacts",
    "missed": "missed contacts",
    "everything": "all contacts",
    "listed": "listed contacts",
    "selected": "selected contacts",
    "failed": "failed contacts",
}
