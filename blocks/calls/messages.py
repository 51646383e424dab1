"""A call and its answer, the same for every service and client library."""

import base64
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from enrichment.retry import Fault, Trouble
from enrichment.text import UnreadableError, is_storable, read_json

logger = logging.getLogger(__name__)

#: The request never left.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


#: How OpenSSL, and so every client library, says that it doesn't trust a certificate.
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"


def network_fault(error: httpx.HTTPError | TimeoutError) -> Fault:
    """Return the fault of a request that got no whole answer."""
    if _UNTRUSTED in str(error):
        return Fault.UNTRUSTED
    return Fault.CONNECT if isinstance(error, _UNSENT) else Fault.LOST_ANSWER


def network_trouble(error: Exception, fault: Fault) -> Trouble:
    """Return the trouble of a request that got no whole answer, in words; `fault` holds if the server is trusted."""
    if _UNTRUSTED in str(error):
        return Trouble(
            Fault.UNTRUSTED,
            "the server's certificate isn't trusted: if a proxy intercepts TLS, add its authority to the file that "
            "SSL_CERT_FILE names",
        )
    return Trouble(fault, f"the network failed ({type(error).__name__})")


#: More than any count, and than any time in milliseconds.
_MOST_DIGITS = 16
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


@dataclass(frozen=True, slots=True)
class Call:
    """
    One HTTP request, still without credentials.

    Args:
        method: of HTTP.
        path: below the service's base URL.
        query: its parameters.
        headers: those that the client library doesn't add by itself.
        body: its JSON.
        content: its body as bytes, if they are made already, or aren't JSON.
        repeatable: whether it may be sent again after its answer was lost.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """
    A whole HTTP answer.

    Args:
        status: the HTTP status.
        headers: names in lower case.
        body: its JSON; where it isn't valid JSON, its text or nothing, as its reader needs it.
        readable: whether the body is what its content type says.
        cut: whether the connection ended before the body did.
    """

    status: int
    headers: Mapping[str, str]
    body: Any = None
    readable: bool = True
    cut: bool = False

    @property
    def success(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def seen(self) -> dict[str, Any]:
        """Return what the rules for whole answers see."""
        return {"status": self.status, "headers": dict(self.headers), "body": self.body}


def in_lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def whole(text: str) -> int | None:
    """Return the whole number that a header states; None if it states none, or one that can't be meant."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def parse_json(data: bytes | str | None) -> Any:
    """Return the JSON of a body as it can be stored, or None if it isn't JSON (an HTML page, a truncated text)."""
    try:
        return decoded(data or b"")
    except UnreadableError:
        return None


def decoded(data: bytes | str, charset: str = "") -> Any:
    """
    Return the JSON of a body, without what no warehouse can store; the log says what was left out, and where.

    Raises:
        UnreadableError: it isn't JSON.
    """
    parsed = read_json(data, charset)
    if parsed.repairs:
        logger.warning("values_repaired what=%r", "; ".join(parsed.repairs))
    return parsed.value


def as_received(content: bytes) -> Any:
    """Return a body that can't be read, for the journal: as text if it can be stored so, else in base64."""
    text = content.decode(errors="surrogateescape")
    return text if is_storable(text) else {"base64": base64.b64encode(content).decode()}


def word(value: Any) -> str:
    """Return a plain code or name; anything else could be a person's name or address."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def is_object(body: Any) -> bool:
    """Return whether a body is a JSON object."""
    return isinstance(body, dict)
