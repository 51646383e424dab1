"""Contacts that forms and other systems hand in: what they may look like, and what is wrong with others. Pure."""

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request

from blocks.calls.messages import whole
from blocks.crms.base import contact_id
from blocks.warehouses.base import NewRecord
from enrichment.errors import ConfigurationError
from enrichment.identifiers import normalise_email
from triggers.staging import Batch


class RefusedError(Exception):
    """
    A request is answered without being done.

    Args:
        status: of HTTP.
        reason: a short code, for the answer and the log.
        retry_after_seconds: when it may be repeated, if it may.
    """

    def __init__(self, status: int, reason: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Gate:
    """
    Lets this many requests in at once.

    Each endpoint has its own gates, so that none can keep another one's callers out.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let a request in until the block ends, or raise RefusedError."""
        if self._free <= 0:
            raise RefusedError(503, "too_many_at_once", retry_after_seconds=1)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class Pace:
    """Lets this many requests pass a second on average; as many may come at one moment."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = self._most_tokens = max(1.0, per_second)
        self._filled_at = time.monotonic()

    def take(self) -> None:
        """Let a request pass, or raise RefusedError."""
        now = time.monotonic()
        self._tokens = min(self._most_tokens, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            wait = (1 - self._tokens) / self._per_second
            raise RefusedError(429, "too_many_per_second", retry_after_seconds=int(wait) + 1)
        self._tokens -= 1


class Taken:
    """
    Remembers which messages were committed, by id and content: a sender repeats one whose answer it didn't get.

    After a restart, or at another receiver, the contacts of such a message are queued again. That costs nothing: those
    that were enriched meanwhile are fresh.

    Args:
        most: messages that are remembered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._contacts: dict[tuple[str, bytes], int] = {}

    def contacts_of(self, message_id: str, body: bytes) -> int:
        """Return how many contacts of this message were committed before; 0 if it is new, or has no id."""
        return self._contacts.get(_key(message_id, body), 0)

    def note(self, message_id: str, body: bytes, contacts: int) -> None:
        """Remember a message that was committed."""
        if message_id:
            self._contacts[_key(message_id, body)] = contacts
        while len(self._contacts) > self._most:
            del self._contacts[next(iter(self._contacts))]


def _key(message_id: str, body: bytes) -> tuple[str, bytes]:
    return message_id, hashlib.sha256(body).digest()


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, or raise RefusedError as soon as it is longer than the limit."""
    if (whole(request.headers.get("content-length", "")) or 0) > limit:
        raise RefusedError(413, "body_too_large")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise RefusedError(413, "body_too_large")
        parts.append(part)
    return b"".join(parts)


MOST_CONTACTS = 1000

_LONGEST_EMAIL = 320
_MOST_FLAWS = 20


class InvalidContactsError(Exception):
    """
    The body isn't a list of contacts.

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
    address = normalise_email(text)
    if address is None:
        raise ValueError("must be an e-mail address")
    return address


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
    return Batch(tuple(_records(contacts, crm)))


def _records(contacts: Sequence[SubmittedContact], crm: str) -> Iterator[NewRecord]:
    flaws = []
    for place, contact in enumerate(contacts):
        try:
            crm_id = contact_id(contact.crm or crm, contact.crm_id)
        except ConfigurationError:
            flaws.append({"where": f"{place}.crm_id", "what": f"must be a contact id of {contact.crm or crm}"})
        else:
            yield NewRecord(contact.crm or crm, crm_id, contact.email, "submission", "live")
    if flaws:
        raise InvalidContactsError(flaws[:_MOST_FLAWS])


def _flaw(error: Mapping[str, Any]) -> dict[str, str]:
    """Say what is wrong, and where; pydantic's sentences name the rule, not the value."""
    return {"where": ".".join(str(part) for part in error["loc"]) or "body", "what": str(error["msg"])}
