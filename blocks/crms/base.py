"""The seam to a CRM."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from blocks.base import PipelineBlock, block_class, check_vendor, configure
from enrichment.division import divide
from enrichment.intake import Selection
from enrichment.plan import Reference
from enrichment.records import Contact
from enrichment.wire import FieldDescription
from enrichment.write_policy import Change, FieldRule, Refusal


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact as intake sees it; `created_at` is ISO-8601 UTC."""

    crm_id: str
    email: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Some contacts of a selection, and the position behind them, from which it can be continued."""

    contacts: tuple[NewContact, ...]
    position: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How many contacts the CRM has, and some of them, of all ages."""

    total: int
    contacts: tuple[NewContact, ...]


@dataclass(frozen=True, slots=True)
class CrmContact:
    """
    One contact's present values.

    Args:
        contact: its identifiers, under the id that the CRM knows it by today.
        values: the fields that were requested, as text; blank is None.
        changed_at: when a field was last changed, where that was asked for.
    """

    contact: Contact
    values: Mapping[str, str | None]
    changed_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FieldSet:
    """What to read of each contact: fields, and those of which the last change is to be known."""

    fields: tuple[str, ...] = ()
    history: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiVersion:
    """
    The version of its API by which a CRM is called.

    Args:
        name: empty if it has none.
        until: the month in which the vendor ends its support, such as `2027-09`; empty if that isn't known.
    """

    name: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """The changes of one contact; `trace_id` is unique in its batch."""

    crm_id: str
    trace_id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """
    What became of one update.

    Args:
        trace_id: of the update.
        reason: empty if the CRM confirmed it, else a short code.
        detail: the CRM's own words, free of personal data.
        permanent: whether a repetition could never succeed.
        gone: whether the contact no longer exists.
        wait_seconds: how long the CRM asked us to wait; costs no attempt.
        refused: fields of the update that the CRM refused, while it took the others; it may have refused them all.
    """

    trace_id: str
    reason: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    wait_seconds: float | None = None
    refused: tuple[Refusal, ...] = ()


class Crm(Protocol):
    """
    What the pipeline needs of a CRM.

    Every method raises CredentialsRejectedError, RequestRefusedError or QuotaExhaustedError if no further call can
    succeed, PostponedError if the CRM asked for a wait that is too long to sleep, and TransientError if it can't be
    reached now.
    """

    name: str
    rules: Sequence[FieldRule]
    protected: frozenset[str]
    #: Fields that say whose a record is and where it is from, and when it was created and changed: by `owner`,
    #: `source`, `created` and `changed`; a CRM without such fields has none of them.
    about: Mapping[str, str]

    def list_contacts(self) -> Iterator[list[NewContact]]:
        """Yield every contact, page by page."""

    def created_since(self, since: datetime) -> Iterator[list[NewContact]]:
        """Yield the contacts created at or after a moment, page by page, each once."""

    def select(
        self, selection: Selection, *, after: str = "", among: Sequence[str] | None = None
    ) -> Iterator[ContactPage]:
        """
        Yield the contacts that fulfil a selection's conditions, page by page, each once; a page may be empty.

        Args:
            selection: its conditions; which ids its file lists is the caller's business.
            after: the position of an earlier page; empty for the beginning.
            among: only these contacts, in one page.

        Raises:
            ConfigurationError: the CRM can't judge a condition, or doesn't know a field or list that one names.
        """

    def sample(self, size: int) -> Sample:
        """Return about so many contacts, or all if there are no more."""

    def read(
        self, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
    ) -> dict[str, CrmContact]:
        """Return the contacts by the id that was asked for; those that no longer exist are left out."""

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Send the updates in native batches; the answer has one result for every update."""

    def describe_fields(self) -> Mapping[str, FieldDescription]:
        """Return the CRM's own description of the contact's fields."""

    def ensure_fields(self) -> list[str]:
        """Create those fields of ours that are missing, and return their names."""

    def check(self) -> str:
        """Make one free call, and return a line that says which account answered."""

    def api_version(self) -> ApiVersion:
        """Return the version of its API by which it is called."""

    def contact_page(self) -> str:
        """Return the address of a contact's page, `{crm_id}` in the id's place; empty if it has none; one free call."""

    def finish(self) -> None:
        """End a run's writes: what was confirmed but isn't in its place yet is put there."""

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""

    def close(self) -> None:
        """Give connections back."""


def read_apart(
    crm: Crm, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
) -> tuple[dict[str, CrmContact], dict[str, Exception]]:
    """Return contacts as `Crm.read` does, and the errors of those at which the CRM fails though others pass."""
    read = divide(crm_ids, lambda part: crm.read(part, fields, history=history))
    return {crm_id: one for part in read.results for crm_id, one in part.items()}, dict(read.refused)


class CrmBlock(PipelineBlock):
    """Configuration of a CRM."""

    #: The fields that a listener for this CRM's webhooks needs besides.
    asked_by_listener: ClassVar[tuple[str, ...]] = ()

    def default_rules(self) -> tuple[FieldRule, ...]:
        """Return how fields are filled where no mapping file says otherwise; needs no credentials."""
        raise NotImplementedError

    @classmethod
    def contact_id(cls, text: str) -> str:
        """
        Return a contact's id in the one form by which the pipeline knows it; needs no credentials.

        Raises:
            ConfigurationError: it can't be an id of this CRM; the message says why.
        """
        raise NotImplementedError

    def get_crm(self) -> Crm:
        """Return the adapter."""
        raise NotImplementedError


def crm_name(reference: str) -> str:
    """Return the name by which the contacts of a CRM are known; raise ConfigurationError if there is no such CRM."""
    parsed = Reference.parse(reference)
    check_vendor(__package__, parsed.vendor)
    return parsed.name


def contact_id(reference: str, text: str) -> str:
    """Return a contact's id as the CRM that a reference names has it; raise ConfigurationError if it isn't one."""
    return _block_of(Reference.parse(reference).vendor).contact_id(text)


@functools.cache  # a list has many ids
def _block_of(vendor: str) -> type[CrmBlock]:
    return block_class(__package__, vendor, CrmBlock)


def load_crm(reference: str) -> Crm:
    """Return the CRM that a reference names."""
    parsed = Reference.parse(reference)
    return configure(block_class(__package__, parsed.vendor, CrmBlock), parsed.document).get_crm()


@contextmanager
def open_crm(reference: str) -> Iterator[Crm]:
    """Give the CRM that a reference names, and close it."""
    crm = load_crm(reference)
    try:
        yield crm
    finally:
        crm.close()
