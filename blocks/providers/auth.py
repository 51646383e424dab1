"""
How a call proves who we are: credentials revealed just before use, tokens fetched once for the whole process.

A token is shared by all threads and event loops. Whoever finds it missing, ageing or refused fetches it while the
others wait for the result, also for a failure. No message holds a secret.
"""

import base64
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.providers.codes import short_code
from blocks.providers.spec import ProviderSpec
from blocks.providers.spec_sections import Auth, BasicAuth, BearerAuth, ClientCredentialsAuth, HeaderAuth, QueryAuth
from blocks.providers.transforms import number
from blocks.secrets import reveal
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    TransientError,
)
from enrichment.retry import asked_wait, fault_of_status

#: A secret from a secret block is read again after so many seconds, so that a rotated one is picked up.
STATIC_LIFETIME_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What proves who we are, and for how many seconds it is to be used."""

    value: str
    lifetime_seconds: float


class CredentialSource:
    """
    Hands out one grant to everybody and renews it once for all.

    Args:
        fetch: gets a new grant.
    """

    def __init__(self, fetch: Callable[[], Grant]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value: str | None = None
        self._renew_at = 0.0
        self._failure: tuple[float, EnrichmentError] | None = None

    def at_hand(self) -> str | None:
        """Return the grant if there is a good one, without waiting."""
        value, renew_at = self._value, self._renew_at
        return value if time.monotonic() < renew_at else None

    def get(self, refused: str | None = None) -> str:
        """
        Return a grant; may block for as long as fetching takes.

        Args:
            refused: a grant that the provider didn't take, which is dropped.
        """
        asked_at = time.monotonic()
        with self._lock:
            if self._failure and self._failure[0] >= asked_at:  # it failed while we waited for the same thing
                raise self._failure[1]
            value = self.at_hand()
            return value if value is not None and value != refused else self._renew()

    def _renew(self) -> str:
        self._renew_at = 0.0
        try:
            grant = self._fetch()
        except EnrichmentError as error:
            self._failure = (time.monotonic(), error)
            raise
        self._value, self._renew_at = grant.value, time.monotonic() + grant.lifetime_seconds
        return grant.value


def credential_names(auth: Auth) -> list[str]:
    """Return the names of the secrets that a kind of auth needs."""
    match auth:
        case ClientCredentialsAuth():
            return ["client_id", "client_secret"]
        case BasicAuth():
            return [name for name in (auth.username, auth.password) if name]
        case _:
            return [auth.credential]


def apply_grant(auth: Auth, value: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the query parameters that carry a grant."""
    match auth:
        case HeaderAuth():
            return {auth.name: value}, {}
        case QueryAuth():
            return {}, {auth.name: value}
        case BasicAuth():
            return {"Authorization": f"Basic {value}"}, {}
        case BearerAuth() | ClientCredentialsAuth():
            return {"Authorization": f"Bearer {value}"}, {}


def fetcher(spec: ProviderSpec, base_url: str, secrets: Mapping[str, SecretStr | None]) -> Callable[[], Grant]:
    """Return what gets a new grant by the spec's kind of auth."""

    def secret(name: str) -> str:
        text = reveal(secrets.get(name), f"{name} of {spec.title}").strip()
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError(
                f"{name} of {spec.title} holds a character that no header can carry: copy it again"
            )
        return text

    auth = spec.auth
    match auth:
        case ClientCredentialsAuth():
            return lambda: _fetch_token(spec, auth, base_url, _basic(secret("client_id"), secret("client_secret")))
        case BasicAuth(username=username, password=password):
            return lambda: _static(_basic(secret(username), secret(password) if password else ""))
        case HeaderAuth() | QueryAuth() | BearerAuth():
            return lambda: _static(secret(auth.credential))


def _static(value: str) -> Grant:
    return Grant(value, STATIC_LIFETIME_SECONDS)


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def token_url(auth: ClientCredentialsAuth, base_url: str) -> str:
    """Return where tokens come from: below the base URL, unless the spec names a whole URL."""
    return auth.token_path if "://" in auth.token_path else f"{base_url.rstrip('/')}/{auth.token_path.lstrip('/')}"


def _fetch_token(spec: ProviderSpec, auth: ClientCredentialsAuth, base_url: str, basic: str) -> Grant:
    limits = spec.timeouts
    try:
        answer = httpx.post(
            token_url(auth, base_url),
            data={"grant_type": "client_credentials"},
            headers={"Authorization": f"Basic {basic}", "Accept": "application/json"},
            timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
        )
    except httpx.HTTPError as error:
        raise TransientError(f"{spec.title}'s token endpoint can't be reached ({type(error).__name__})") from None
    return _read_grant(spec, auth, answer)


def _read_grant(spec: ProviderSpec, auth: ClientCredentialsAuth, answer: httpx.Response) -> Grant:
    body = _json_object(answer)
    if answer.is_success and isinstance(body.get("access_token"), str):
        stated = number(body.get("expires_in"))
        seconds = stated if stated and stated > 0 else auth.default_lifetime_seconds
        # A token that lives shorter than the margin would otherwise be renewed before each call.
        return Grant(body["access_token"], max(seconds - auth.renew_before_seconds, seconds / 2))
    if answer.is_success or fault_of_status(answer.status_code):
        _raise_transient(spec, answer)
    code = short_code(body.get("error")) or f"status_{answer.status_code}"
    raise CredentialsRejectedError(
        f"{spec.title} gives no token for these credentials ({code}): check client_id and client_secret, "
        "and that the app is approved for the client-credentials grant"
    )


def _raise_transient(spec: ProviderSpec, answer: httpx.Response) -> None:
    message = f"{spec.title}'s token endpoint answers {answer.status_code} and no token"
    wait = asked_wait({name.lower(): value for name, value in answer.headers.items()}, now=datetime.now(UTC))
    if wait is not None:
        raise PostponedError(message, wait)
    raise TransientError(message)


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
