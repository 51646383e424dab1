"""The token endpoint: three grants, and sessions that may end."""

import base64
from collections.abc import Mapping
from itertools import count
from urllib.parse import parse_qs

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.settings import SalesforceSettings

ORG_ID = "00D5e000000abcdEAA"
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenError(Exception):
    """A token request that is refused; unlike all other errors, its body is an object."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code

    def render(self) -> Reply:
        """Return the answer."""
        return json_reply({"error": self.code, "error_description": str(self)}, 400)


class Sessions:
    """Hands out sessions, and knows which of them still hold."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = count(1)
        self._valid: set[str] = set()
        self.issued = 0

    def holds(self, token: str) -> bool:
        """Return whether a session still holds."""
        return token in self._valid

    def end_all(self) -> None:
        """End every session, as an administrator or the idle timeout does."""
        self._valid.clear()

    def issue(self, request: Request, settings: SalesforceSettings) -> Reply:
        """Answer a token request."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        try:
            self._check(form, request, settings)
        except TokenError as error:
            return error.render()
        token = f"{ORG_ID}!session.{next(self._numbers)}"
        self._valid.add(token)
        self.issued += 1
        address = f"http://{request.headers['host']}/salesforce"
        return json_reply(
            {
                "access_token": token,
                "instance_url": address,
                "id": f"{address}/id/{ORG_ID}/0055e000000abcdAAA",
                "token_type": "Bearer",
                "issued_at": str(self._clock.milliseconds()),
                "scope": "api",
                "signature": "c2FuZGJveA==",
            }
        )

    def _check(self, form: Mapping[str, str], request: Request, settings: SalesforceSettings) -> None:
        grant = form.get("grant_type", "")
        if grant == "client_credentials":
            _check_client(_client(form, request), settings)
        elif grant == "refresh_token":
            _check_client(_client(form, request), settings)
            if form.get("refresh_token") != settings.refresh_token:
                raise TokenError("invalid_grant", "expired access/refresh token")
        elif grant == _JWT_GRANT:
            self._check_assertion(form.get("assertion", ""), request, settings)
        else:
            raise TokenError("unsupported_grant_type", "grant type not supported")

    def _check_assertion(self, assertion: str, request: Request, settings: SalesforceSettings) -> None:
        import jwt  # noqa: PLC0415 - the demo does without it

        try:
            # The lifetime is that of the real clock: the assertion comes from outside of this world.
            claims = jwt.decode(
                assertion,
                settings.public_key,
                algorithms=["RS256"],
                audience=f"http://{request.headers['host']}/salesforce",
                options={"require": ["exp", "iss", "sub", "aud"]},
            )
        except jwt.InvalidAudienceError:
            raise TokenError("invalid_grant", "audience is invalid") from None
        except (jwt.PyJWTError, ValueError):
            raise TokenError("invalid_grant", "invalid assertion") from None
        if claims["iss"] != settings.consumer_key:
            raise TokenError("invalid_client_id", "client identifier invalid")
        if claims["sub"] != settings.username:
            raise TokenError("invalid_grant", "user hasn't approved this consumer")


def _client(form: Mapping[str, str], request: Request) -> tuple[str, str]:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        key, _, secret = base64.b64decode(encoded).decode().partition(":")
        return key, secret
    return form.get("client_id", ""), form.get("client_secret", "")


def _check_client(client: tuple[str, str], settings: SalesforceSettings) -> None:
    if client[0] != settings.consumer_key:
        raise TokenError("invalid_client_id", "client identifier invalid")
    if client[1] != settings.consumer_secret:
        raise TokenError("invalid_client", "invalid client credentials")
