"""ZoomInfo's older login: a password, or an assertion that is signed with a private key."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from sandbox.clock import Clock
from sandbox.exchange import Request
from sandbox.limits import RateLimiter
from sandbox.settings import ZoomInfoLegacySettings

AUDIENCE = "enterprise_api"


class Logins:
    """Gives tokens, and knows those that are still valid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires_at: dict[str, float] = {}
        self.limiter = RateLimiter(clock, {"second": 1.0})
        self.given = 0

    def token_for(self, request: Request, settings: ZoomInfoLegacySettings) -> str | None:
        """Return a token if the credentials are right."""
        scheme, _, assertion = request.headers.get("authorization", "").partition(" ")
        right = _is_signed(assertion, settings) if scheme.lower() == "bearer" else _is_known(request, settings)
        if not right:
            return None
        self.given += 1
        token = secrets.token_urlsafe(24)  # never that of an earlier world
        self._expires_at[token] = self._clock.monotonic() + settings.token_lifetime_seconds
        return token

    def is_valid(self, authorization: str) -> bool:
        """Return whether the header carries a token that hasn't expired."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expires_at.get(token, 0.0) > self._clock.monotonic()

    def revoke_all(self) -> None:
        """Make every token invalid."""
        self._expires_at.clear()


def _is_known(request: Request, settings: ZoomInfoLegacySettings) -> bool:
    given = _credentials(request)
    return (given.get("username"), given.get("password")) == (settings.username, settings.password)


def _credentials(request: Request) -> Mapping[str, Any]:
    """Return the pair, which the documents send as JSON and the vendor's client as a form."""
    if "json" not in request.headers.get("content-type", ""):
        return {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
    try:
        found = request.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_signed(assertion: str, settings: ZoomInfoLegacySettings) -> bool:
    if not settings.public_key:
        return False
    import jwt  # noqa: PLC0415 - the demo does without it

    try:
        claims = jwt.decode(assertion, settings.public_key, algorithms=["RS256"], audience=AUDIENCE)
    except jwt.PyJWTError:
        return False
    return bool((claims.get("client_id"), claims.get("username")) == (settings.client_id, settings.username))
