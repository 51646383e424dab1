"""How HubSpot signs what it sends: the third version of its scheme, and beside it the first, which it still sends."""

import hashlib
import hmac
from base64 import b64encode
from urllib.parse import unquote

#: What is decoded in the URL before it is signed; everything else stays as it is.
_DECODED = ("%3A", "%2F", "%3F", "%40", "%21", "%24", "%27", "%28", "%29", "%2A", "%2C", "%3B")


def sign_v3(secret: str, url: str, body: bytes, timestamp_ms: int) -> str:
    """Return the signature of a request."""
    for code in _DECODED:
        url = url.replace(code, unquote(code))
    message = b"POST" + url.encode() + body + str(timestamp_ms).encode()
    return b64encode(hmac.digest(secret.encode(), message, "sha256")).decode()


def sign_v1(secret: str, body: bytes) -> str:
    """Return the signature that covers neither time nor URL."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def signed_headers(secret: str, url: str, body: bytes, timestamp_ms: int) -> dict[str, str]:
    """Return the headers of a delivery."""
    return {
        "Content-Type": "application/json",
        "X-HubSpot-Signature-v3": sign_v3(secret, url, body, timestamp_ms),
        "X-HubSpot-Request-Timestamp": str(timestamp_ms),
        "X-HubSpot-Signature": sign_v1(secret, body),
        "X-HubSpot-Signature-Version": "v1",
    }
