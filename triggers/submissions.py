"""Contacts that forms and other systems hand in: what they may look like, and what is wrong with others. Pure."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from blocks.warehouses.base import NewRecord
from enrichment.identifiers import normalise_email
from triggers.batches import Batch

MOST_CONTACTS = 1000

_LONGEST_EMAIL = 320
_MOST_FLAWS = 20


class InvalidContactsError(Exception):
    """
    The body is no list of contacts.

    Args:
        flaws: the first few places and what is wrong there, without the values.
    """

    def __init__(self, flaws: list[dict[str, str]]) -> None:
        super().__init__(f"{len(flaws)} flaws")
        self.flaws = flaws


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must contain printable characters only")
    return text


def _blank_is_nothing(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _address(text: str) -> str:
    if normalise_email(text) is None or not text.isprintable():
        raise ValueError("must be an e-mail address")
    return text


class SubmittedContact(BaseModel):
    """A contact as handed in."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)

    crm_id: Annotated[str, AfterValidator(_printable)] = Field(min_length=1, max_length=200)
    email: Annotated[Annotated[str, AfterValidator(_address)] | None, BeforeValidator(_blank_is_nothing)] = Field(
        None, max_length=_LONGEST_EMAIL
    )
    crm: str = ""


_ONE = TypeAdapter(SubmittedContact)
_MANY = TypeAdapter(Annotated[list[SubmittedContact], Field(min_length=1, max_length=MOST_CONTACTS)])


def read_contacts(body: bytes, *, crm: str, crms: Collection[str]) -> Batch:
    """
    Return what a body asks for: one contact, or a list of them.

    Args:
        body: JSON, as received.
        crm: whose contacts they are, if they don't say so.
        crms: that may be named.

    Raises:
        InvalidContactsError: it isn't as described.
    """
    try:
        alone = body.lstrip()[:1] == b"{"
        contacts = [_ONE.validate_json(body)] if alone else _MANY.validate_json(body)
    except ValidationError as error:
        raise InvalidContactsError([_flaw(each) for each in error.errors(include_input=False)[:_MOST_FLAWS]]) from None
    unknown = [place for place, contact in enumerate(contacts) if contact.crm and contact.crm not in crms]
    if unknown:
        known = ", ".join(sorted(crms))
        raise InvalidContactsError(
            [{"where": f"{place}.crm", "what": f"must be one of: {known}"} for place in unknown[:_MOST_FLAWS]]
        )
    return Batch(tuple(_record(contact, crm) for contact in contacts))


def _record(contact: SubmittedContact, crm: str) -> NewRecord:
    return NewRecord(contact.crm or crm, contact.crm_id, contact.email, "webhook", "live")


def _flaw(error: Mapping[str, Any]) -> dict[str, str]:
    """Say what is wrong, and where; pydantic's sentences name the rule, not the value."""
    return {"where": ".".join(str(part) for part in error["loc"]) or "body", "what": str(error["msg"])}
