"""What an intake stages: one of several kinds, each with just the options that make sense for it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from enrichment.selection import Selection


class _Intake(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewContacts(_Intake):
    """The contacts that were created since the last intake, or since a moment."""

    what: Literal["new"] = "new"
    since: datetime | None = Field(
        None,
        description="Created at or after this moment (UTC unless it names a time zone); empty: since the last intake.",
    )

    @field_validator("since")
    @classmethod
    def _is_aware(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


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
    def _selects_somebody(cls, selection: Selection) -> Selection:
        if selection.is_empty:
            raise ValueError("set at least one condition, or `everything`")
        return selection


class FailedContacts(_Intake):
    """Failed contacts, to be tried again."""

    what: Literal["failed"] = "failed"
    run_id: str = Field("", description="Only those of this run; empty: all.")


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
