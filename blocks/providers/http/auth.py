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

from blocks.calls.pacing import Pacer
from blocks.providers.spec.auth import (
    Auth,
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    LoginAuth,
    QueryAuth,
)
from blocks.providers.spec.codes import short_code
from blocks.providers.spec.logins import LOGINS
from blocks.providers.spec.model import ProviderSpec
from blocks.secrets import reveal
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    TransientError,
)
from enrichment.fields import number
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

    def get(self, refused: str | None = None, asked_at: float | None = None) -> str:
        """
        Return a grant; may block for as long as fetching takes.

        Args:
            refused: a grant that the provider didn't take, which is dropped.
            asked_at: the monotonic time since which the caller has waited, also for a thread to wait in; now if None.
        """
        asked_at = time.monotonic() if asked_at is None else asked_at
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


def credential_ways(auth: Auth) -> list[list[str]]:
    """Return the names of the secrets that a kind of auth needs; each list of them is enough."""
    match auth:
        case ClientCredentialsAuth():
            return [["client_id", "client_secret"]]
        case BasicAuth():
            return [[name for name in (auth.username, auth.password) if name]]
        case LoginAuth():
            return [list(way.credentials) for way in auth.ways]
        case _:
            return [[auth.credential]]


def credential_names(auth: Auth) -> list[str]:
    """Return the names of all secrets that a kind of auth may use."""
    return list(dict.fromkeys(name for way in credential_ways(auth) for name in way))


def is_set(secret: SecretStr | None) -> bool:
    """Tell whether there is a secret at all."""
    return secret is not None and bool(secret.get_secret_value())


def apply_grant(auth: Auth, value: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the query parameters that carry a grant."""
    match auth:
        case HeaderAuth():
            return {auth.name: value}, {}
        case QueryAuth():
            return {}, {auth.name: value}
        case BasicAuth():
            return {"Authorization": f"Basic {value}"}, {}
        case BearerAuth() | ClientCredentialsAuth() | LoginAuth():
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
        case LoginAuth():
            return _login_fetcher(spec, auth, base_url, secrets)
        case HeaderAuth() | QueryAuth() | BearerAuth():
            return lambda: _static(secret(auth.credential))


def _static(value: str) -> Grant:
    return Grant(value, STATIC_LIFETIME_SECONDS)


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def token_url(auth: ClientCredentialsAuth, base_url: str) -> str:
    """Return where tokens come from: below the base URL, unless the spec names a whole URL."""
    return auth.token_path if "://" in auth.token_path else f"{base_url.rstrip('/')}/{auth.token_path.lstrip('/')}"


def _login_fetcher(
    spec: ProviderSpec, auth: LoginAuth, base_url: str, secrets: Mapping[str, SecretStr | None]
) -> Callable[[], Grant]:
    pacer = Pacer(f"{spec.title}'s token endpoint", auth.per_second)
    url = f"{base_url.rstrip('/')}/{auth.path.lstrip('/')}"

    def fetch() -> Grant:
        way = next(one for one in auth.ways if all(is_set(secrets.get(name)) for name in one.credentials))
        shown = {name: reveal(secrets.get(name), f"{name} of {spec.title}").strip() for name in way.credentials}
        form = LOGINS[way.plugin](shown)
        pacer.turn_blocking()
        answer = _post(spec, url, headers={"Accept": "application/json", **form.headers}, json=form.body)
        token = auth.token.find(_json_object(answer))
        if answer.is_success and isinstance(token, str) and token:
            return Grant(token, max(auth.lifetime_seconds - auth.renew_before_seconds, auth.lifetime_seconds / 2))
        raise _no_token(spec, answer, f"check {' and '.join(way.credentials)}")

    return fetch


def _post(spec: ProviderSpec, url: str, **content: Any) -> httpx.Response:
    limits = spec.timeouts
    timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
    try:
        return httpx.post(url, timeout=timeout, **content)
    except httpx.HTTPError as error:
        raise TransientError(f"{spec.title}'s token endpoint can't be reached ({type(error).__name__})") from None


def _fetch_token(spec: ProviderSpec, auth: ClientCredentialsAuth, base_url: str, basic: str) -> Grant:
    headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
    form = {"grant_type": "client_credentials"}
    return _read_grant(spec, auth, _post(spec, token_url(auth, base_url), data=form, headers=headers))


def _read_grant(spec: ProviderSpec, auth: ClientCredentialsAuth, answer: httpx.Response) -> Grant:
    body = _json_object(answer)
    if answer.is_success and isinstance(body.get("access_token"), str):
        stated = number(body.get("expires_in"))
        seconds = stated if stated and stated > 0 else auth.default_lifetime_seconds
        # A token that lives shorter than the margin would otherwise be renewed before each call.
        return Grant(body["access_token"], max(seconds - auth.renew_before_seconds, seconds / 2))
    advice = "check client_id and client_secret, and that the app is approved for the client-credentials grant"
    raise _no_token(spec, answer, advice)


def _no_token(spec: ProviderSpec, answer: httpx.Response, advice: str) -> EnrichmentError:
    if not answer.is_success and not fault_of_status(answer.status_code):
        code = short_code(_json_object(answer).get("error")) or f"status_{answer.status_code}"
        return CredentialsRejectedError(f"{spec.title} gives no token for these credentials ({code}): {advice}")
    message = f"{spec.title}'s token endpoint answers {answer.status_code} and no token"
    wait = asked_wait({name.lower(): value for name, value in answer.headers.items()}, now=datetime.now(UTC))
    return TransientError(message) if wait is None else PostponedError(message, wait)


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
