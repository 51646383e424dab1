"""
Whether a request was signed lately by a sender that shares a secret with us.

HubSpot signs with the third version of its scheme; contacts from elsewhere are signed as Standard Webhooks are, or by a
scheme of our own. All take an HMAC-SHA256 over the time and the bytes of the body as received. Pure: the moment is an
argument.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from blocks.listeners.receiver import standard_key
from enrichment.errors import EnrichmentError

logger = logging.getLogger(__name__)

_LIFETIME_SECONDS = 60.0
_LEAST_SECONDS = 5.0

Secrets = tuple[str, ...]


class SigningKeys:
    """
    Reads secrets again once a minute, and when a signature doesn't fit, so that a rotated one needs no restart.

    While they can't be read, those that were read last stay in force.

    Args:
        read: gives the secrets.
        lifetime_seconds: after which they are read again.
        least_seconds: between two readings, however many signatures don't fit.

    Raises:
        EnrichmentError: they can't be read the first time.
    """

    def __init__(
        self,
        read: Callable[[], Secrets],
        *,
        lifetime_seconds: float = _LIFETIME_SECONDS,
        least_seconds: float = _LEAST_SECONDS,
    ) -> None:
        self._read = read
        self._lifetime_seconds = lifetime_seconds
        self._least_seconds = least_seconds
        self._secrets = read()
        self._read_at = time.monotonic()
        self._lock = asyncio.Lock()

    async def current(self) -> Secrets:
        """Return the secrets, which are at most a minute old."""
        await self._renew(self._lifetime_seconds)
        return self._secrets

    async def newest(self) -> Secrets:
        """Return the secrets, which are at most some seconds old."""
        await self._renew(self._least_seconds)
        return self._secrets

    async def _renew(self, oldest_seconds: float) -> None:
        if time.monotonic() - self._read_at < oldest_seconds:
            return
        async with self._lock:
            if time.monotonic() - self._read_at < oldest_seconds:  # another request did it meanwhile
                return
            # Before the reading: if it fails, the next attempt waits its time too.
            self._read_at = time.monotonic()
            try:
                self._secrets = await asyncio.to_thread(self._read)
            except EnrichmentError as error:
                logger.warning("secrets_not_read because=%s", type(error).__name__)


#: How far a signature's time may be from ours, in either direction.
WINDOW_MS = 300_000

#: Longer than any time in milliseconds; a number of a thousand digits isn't even read.
_LONGEST_TIMESTAMP = 16

#: A sender that rotates its secret signs with the old and the new one.
_MOST_SIGNATURES = 10

#: What HubSpot decodes in the URL before it signs, and nothing else.
_DECODED = re.compile(r"%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


class Refusal(StrEnum):
    """Why a signature doesn't count."""

    MISSING = "signature_missing"
    """The request isn't signed."""
    OUTDATED = "signature_of_an_older_version"
    """The request is signed in a way that doesn't cover the time, so that it could be replayed for ever."""
    NO_TIME = "timestamp_missing"
    """The request doesn't say when it was signed."""
    UNREADABLE_TIME = "timestamp_unreadable"
    """The time isn't a plain number."""
    TOO_OLD = "timestamp_too_old"
    """The request was signed too long ago."""
    NO_ID = "message_id_missing"
    """The request doesn't say which message it is."""
    AHEAD = "timestamp_in_the_future"
    """The request claims to be signed later than now; a clock is wrong."""
    WRONG = "signature_wrong"
    """None of our secrets gives this signature for this URL and body."""


class SignatureRefusedError(Exception):
    """The request isn't signed as it must be."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stamp:
    """Signature, time and, where the scheme has one, the message's id, as sent; several signatures are spaced."""

    signature: str
    timestamp: str
    message_id: str = ""


Sign = Callable[[str, bytes, Stamp], str]


@dataclass(frozen=True, slots=True)
class Scheme:
    """
    How a kind of request is signed.

    Args:
        signature_header: has the signature.
        timestamp_header: has the time of signing.
        millisecond_units: how many milliseconds one unit of that time is.
        sign: gives the signature by secret, body and what was sent with it; empty if the secret is of another form.
        outdated_headers: have signatures that are too weak.
        id_header: has the message's id, which stays the same when the message is sent again; empty for none.
    """

    signature_header: str
    timestamp_header: str
    millisecond_units: int
    sign: Sign
    outdated_headers: tuple[str, ...] = ()
    id_header: str = ""


def hubspot_scheme(target_url: str) -> Scheme:
    """
    Return how HubSpot signs what it sends to a URL.

    Args:
        target_url: as HubSpot has it. What the request itself says of its host isn't trusted.
    """
    url = _DECODED.sub(lambda found: chr(int(found[1], 16)), target_url)

    def sign(secret: str, body: bytes, stamp: Stamp) -> str:
        signed = b"POST" + url.encode() + body + stamp.timestamp.encode()
        return base64.b64encode(_digest(secret.encode(), signed)).decode()

    return Scheme("x-hubspot-signature-v3", "x-hubspot-request-timestamp", 1, sign, ("x-hubspot-signature",))


def _sign_standard(secret: str, body: bytes, stamp: Stamp) -> str:
    if not (key := standard_key(secret)):
        return ""
    signed = f"{stamp.message_id}.{stamp.timestamp}.".encode() + body
    return "v1," + base64.b64encode(_digest(key, signed)).decode()


#: https://github.com/standard-webhooks/standard-webhooks: for it there are libraries in most languages.
STANDARD_SCHEME = Scheme("webhook-signature", "webhook-timestamp", 1000, _sign_standard, id_header="webhook-id")


def _sign_contacts(secret: str, body: bytes, stamp: Stamp) -> str:
    return "sha256=" + _digest(secret.encode(), stamp.timestamp.encode() + b"." + body).hex()


#: The other way to sign contacts from forms and other systems; docs/webhooks.md shows it in shell.
CONTACTS_SCHEME = Scheme("x-enrichment-signature", "x-enrichment-timestamp", 1000, _sign_contacts)


def read_stamp(scheme: Scheme, headers: Mapping[str, str], now_ms: int) -> Stamp:
    """
    Return a request's signature and time; the body isn't needed for this.

    Args:
        scheme: how the request must be signed.
        headers: of the request, by names in lower case.
        now_ms: milliseconds since 1970.

    Raises:
        SignatureRefusedError: one is missing, or the time is too far from now.
    """
    signature = headers.get(scheme.signature_header, "")
    if not signature:
        outdated = any(headers.get(name) for name in scheme.outdated_headers)
        raise SignatureRefusedError(Refusal.OUTDATED if outdated else Refusal.MISSING)
    timestamp = headers.get(scheme.timestamp_header, "")
    if not timestamp:
        raise SignatureRefusedError(Refusal.NO_TIME)
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _LONGEST_TIMESTAMP):
        raise SignatureRefusedError(Refusal.UNREADABLE_TIME)
    age = now_ms - int(timestamp) * scheme.millisecond_units
    if abs(age) > WINDOW_MS:
        raise SignatureRefusedError(Refusal.TOO_OLD if age > 0 else Refusal.AHEAD)
    message_id = headers.get(scheme.id_header, "") if scheme.id_header else ""
    if scheme.id_header and not message_id:
        raise SignatureRefusedError(Refusal.NO_ID)
    return Stamp(signature, timestamp, message_id)


def check_signature(scheme: Scheme, stamp: Stamp, body: bytes, secrets: Sequence[str]) -> None:
    """
    Raise SignatureRefusedError unless one of the secrets gives one of the signatures.

    Every comparison takes the same time however much is right, and all of them are made.
    """
    given = [one.encode() for one in stamp.signature.split(" ")[:_MOST_SIGNATURES]]
    right = [signature.encode() for secret in secrets if secret and (signature := scheme.sign(secret, body, stamp))]
    matches = [hmac.compare_digest(ours, theirs) for ours in right for theirs in given]
    if not any(matches):
        raise SignatureRefusedError(Refusal.WRONG)


def _digest(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()
