"""ZoomInfo's OAuth tokens, by client credentials."""

import base64
import binascii
import secrets
from typing import Any
from urllib.parse import parse_qs

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.settings import ZoomInfoSettings


class TokenIssuer:
    """Issues access tokens, and knows those that are still valid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expires_at: dict[str, float] = {}
        self.issued = 0

    def answer(self, request: Request, settings: ZoomInfoSettings) -> Reply:
        """Answer a request for a token."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        if _credentials(request, form) != (settings.client_id, settings.client_secret):
            return _error(401, "invalid_client", "Client authentication failed")
        if form.get("grant_type") != "client_credentials":
            return _error(400, "unsupported_grant_type", "Only client_credentials is enabled for this app")
        if set(form.get("scope", "").split()) - set(settings.scopes):
            return _error(400, "invalid_scope", "One or more scopes are not configured for this app")
        return json_reply(self._issue(settings))

    def is_valid(self, authorization: str) -> bool:
        """Return whether the header carries a token that hasn't expired."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self._expires_at.get(token, 0.0) > self._clock.monotonic()

    def revoke_all(self) -> None:
        """Make every token invalid."""
        self._expires_at.clear()

    def _issue(self, settings: ZoomInfoSettings) -> dict[str, Any]:
        self.issued += 1
        token = secrets.token_urlsafe(24)  # never that of an earlier world
        self._expires_at[token] = self._clock.monotonic() + settings.token_lifetime_seconds
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(settings.token_lifetime_seconds),
            "scope": " ".join(settings.scopes),
        }


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Return the client's id and secret; the body counts only without the header."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


def _error(status: int, code: str, text: str) -> Reply:
    return json_reply({"error": code, "error_description": text}, status)
