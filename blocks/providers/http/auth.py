"""How a call proves who we are: credentials revealed just before use, and tokens. No message holds a secret."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.calls.credentials import Grant
from blocks.calls.judging import Dialect, judge
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, in_lower_case, network_fault, network_trouble, parse_json
from blocks.calls.pacing import Pacer
from blocks.calls.tls import check_address, tls
from blocks.providers.http.steps import retry_policy
from blocks.providers.spec.auth import (
    LOGINS,
    Auth,
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    LoginAuth,
    QueryAuth,
)
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.transforms import short_code
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError
from enrichment.retry import Trouble
from enrichment.values import number

#: A secret from a secret block is read again after this many seconds, so that a rotated one is picked up.
STATIC_LIFETIME_SECONDS = 300.0

#: Goes with every request: bot protection in front of an API refuses the default one of an HTTP client.
AGENT: Mapping[str, str] = {"User-Agent": "contact-enrichment"}


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
    """Return whether there is a secret at all."""
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


def fetcher(spec: ProviderSpec, base_url: str, secrets: Mapping[str, SecretStr | None]) -> Callable[[], Grant[str]]:
    """Return what gets a new grant by the spec's kind of auth."""

    def secret(name: str) -> str:
        text = reveal(secrets.get(name), f"{name} of {spec.title}").strip()
        if not (text.isascii() and text.isprintable()):
            raise ConfigurationError(
                f"{name} of {spec.title} holds a character that isn't allowed in a header: copy it again"
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


def _static(value: str) -> Grant[str]:
    return Grant(value, STATIC_LIFETIME_SECONDS)


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def _login_fetcher(
    spec: ProviderSpec, auth: LoginAuth, base_url: str, secrets: Mapping[str, SecretStr | None]
) -> Callable[[], Grant[str]]:
    pacer = Pacer(f"{spec.title}'s token endpoint", auth.per_second)
    lifetime = max(auth.lifetime_seconds - auth.renew_before_seconds, auth.lifetime_seconds / 2)

    def fetch() -> Grant[str]:
        way = next(one for one in auth.ways if all(is_set(secrets.get(name)) for name in one.credentials))
        shown = {name: reveal(secrets.get(name), f"{name} of {spec.title}").strip() for name in way.credentials}
        form = LOGINS[way.plugin](shown)
        advice = f"check {' and '.join(way.credentials)}"
        endpoint = _TokenEndpoint(spec, _below(base_url, auth.path), auth.token.find, advice, pacer)
        body = endpoint.post(headers={"Accept": "application/json", **form.headers}, json=form.body)
        return Grant(str(endpoint.find(body)), lifetime)

    return fetch


def _fetch_token(spec: ProviderSpec, auth: ClientCredentialsAuth, base_url: str, basic: str) -> Grant[str]:
    headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
    advice = "check client_id and client_secret, and that the app is approved for the client-credentials grant"
    endpoint = _TokenEndpoint(spec, _below(base_url, auth.token_path), lambda body: body.get("access_token"), advice)
    body = endpoint.post(headers=headers, data={"grant_type": "client_credentials"})
    stated = number(body.get("expires_in"))
    seconds = stated if stated and stated > 0 else auth.default_lifetime_seconds
    # A token that lives shorter than the margin would otherwise be renewed before each call.
    return Grant(str(endpoint.find(body)), max(seconds - auth.renew_before_seconds, seconds / 2))


def _below(base_url: str, path: str) -> str:
    """Return where a path leads: below the base URL, unless it is a whole URL."""
    return path if "://" in path else f"{base_url.rstrip('/')}/{path.lstrip('/')}"


@dataclass(frozen=True, slots=True)
class _TokenEndpoint:
    """
    Where a provider hands out tokens.

    Args:
        spec: the spec of the provider.
        url: of the endpoint.
        find: returns the token of an answer's body.
        advice: what to do if the credentials are refused.
        pacer: of the endpoint, if it has a separate limit.
    """

    spec: ProviderSpec
    url: str
    find: Callable[[Any], Any]
    advice: str
    pacer: Pacer | None = None

    def post(self, headers: Mapping[str, str], **content: Any) -> Mapping[str, Any]:
        """
        Return the body that holds a token.

        Args:
            headers: of the request.
            content: its body, as httpx takes it.

        Raises:
            ConfigurationError: it would go over plain HTTP.
            CredentialsRejectedError: there is none for these credentials.
            TransientError: there is none now.
        """
        title = f"{self.spec.title}'s token endpoint"
        check_address(self.url, f"the address of {title}")
        # A token is free: asking for it again costs nothing.
        policy = replace(retry_policy(self.spec), attempts_after_lost_answer=self.spec.retry.attempts)
        dialect = Dialect(title, self._read_code, lambda *_: None, self._explain, grants=True)
        line: Line[None] = Line(self.spec.id, title, policy, self.pacer)
        answer: Answer = make_call(
            line,
            Purpose("the token endpoint"),
            lambda _: self._send(headers, content),
            lambda answer: judge(answer, self._has_token, dialect, at=self.url, now=datetime.now(UTC)),
        )
        body: Mapping[str, Any] = answer.body
        return body

    def _send(self, headers: Mapping[str, str], content: Mapping[str, Any]) -> Answer | Trouble:
        limits = self.spec.timeouts
        timeout = httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds)
        try:
            answer = httpx.post(self.url, timeout=timeout, verify=tls(), headers={**AGENT, **headers}, **content)
        except httpx.HTTPError as error:
            return network_trouble(error, network_fault(error))
        return Answer(answer.status_code, in_lower_case(answer.headers), parse_json(answer.content))

    def _has_token(self, body: Any) -> bool:
        token = self.find(body) if isinstance(body, Mapping) else None
        return isinstance(token, str) and bool(token)

    def _read_code(self, body: Any) -> str:
        return short_code(body.get("error")) if isinstance(body, Mapping) else ""

    def _explain(self, status: int, code: str, _what: str) -> str:
        return f"{self.spec.title} gives no token for these credentials ({code or f'status_{status}'}): {self.advice}"
