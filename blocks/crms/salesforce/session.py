"""
Sessions of Salesforce: obtained by ourselves, one at a time, and shared by the whole process.

simple-salesforce can't refresh a session that it was given, logs in again in every thread at once, and offers neither
timeouts nor the refresh-token grant; so it gets its sessions from here.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from blocks.base import not_installed
from blocks.calls.credentials import CredentialSource, Grant
from blocks.calls.judging import Dialect, judge
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, in_lower_case, network_fault, network_trouble, parse_json, word
from blocks.calls.tls import check_address, is_loopback, tls
from enrichment.errors import ConfigurationError
from enrichment.retry import Fault, RetryPolicy, Trouble, asked_wait

#: What change events name as the origin of our own changes.
CLIENT_NAME = "contact-enrichment"
MOST_CONNECTIONS = 32

Auth = Literal["client_credentials", "jwt_bearer", "refresh_token"]

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Salesforce refuses assertions that are valid for longer than some minutes.
ASSERTION_SECONDS = 180
#: An address without user name, query or fragment.
ADDRESS = r"^https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[^\s?#]*)?$"
#: The org in the address of the user, `https://<host>/id/<org>/<user>`.
_ORG = re.compile(r"/id/(?P<org>00D[A-Za-z0-9]{15})/")
_POLICY = RetryPolicy(attempts_after_lost_answer=3)
_ENDPOINT = "Salesforce's token endpoint"

#: Which setting is wrong, by the token endpoint's error.
_MENDS: Mapping[str, str] = {
    "invalid_client_id": "check ENRICHMENT_SALESFORCE_CONSUMER_KEY",
    "invalid_client": "check ENRICHMENT_SALESFORCE_CONSUMER_KEY and ENRICHMENT_SALESFORCE_CONSUMER_SECRET",
    "invalid_grant": "check the user's approval of the app, the user name, the certificate or the refresh token",
    "invalid_app_access": "let the integration user use the app: permission set or profile, see docs/salesforce.md",
    "unsupported_grant_type": "enable this flow in the app, or choose another ENRICHMENT_SALESFORCE_AUTH",
}


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a session is requested with; empty where the flow doesn't need it."""

    auth: Auth
    consumer_key: str
    consumer_secret: str = ""
    username: str = ""
    private_key: str = ""
    refresh_token: str = ""

    def digest(self, login_url: str) -> str:
        """Return what identifies these credentials without giving them away."""
        parts = (login_url, self.auth, self.consumer_key, self.consumer_secret, self.username)
        text = "\0".join((*parts, self.private_key, self.refresh_token))
        return hashlib.sha256(text.encode()).hexdigest()

    def form(self, login_url: str, now: datetime) -> dict[str, str]:
        """Return the form that asks the token endpoint for a session."""
        if self.auth == "jwt_bearer":
            return {"grant_type": JWT_GRANT, "assertion": self._assertion(login_url, now)}
        client = {"client_id": self.consumer_key, "client_secret": self.consumer_secret}
        if self.auth == "client_credentials":
            return {"grant_type": "client_credentials", **client}
        # An app may be registered without a secret for this flow.
        given = {name: value for name, value in client.items() if value}
        return {"grant_type": "refresh_token", **given, "refresh_token": self.refresh_token}

    def _assertion(self, login_url: str, now: datetime) -> str:
        try:
            import jwt  # noqa: PLC0415 - an extra, of this flow only
        except ImportError as error:
            raise not_installed("Salesforce", "PyJWT", "salesforce") from error
        claims = {
            "iss": self.consumer_key,
            "sub": self.username,
            "aud": login_url,
            "exp": int(now.timestamp()) + ASSERTION_SECONDS,
        }
        # In environment variables, line ends are often written as backslash and n.
        key = self.private_key.replace("\\n", "\n")
        try:
            return jwt.encode(claims, key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ConfigurationError(
                "ENRICHMENT_SALESFORCE_PRIVATE_KEY is not a valid RSA private key in PEM form without a passphrase"
            ) from None


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A right to call one org for a while; `org_id` has 18 characters, or none if the endpoint didn't say it."""

    token: str
    instance_url: str
    org_id: str = ""


SessionSource = CredentialSource[Session]


def open_sessions(
    login_url: str,
    read_credentials: Callable[[], Credentials],
    timeouts: tuple[float, float],
    policy: RetryPolicy = _POLICY,
) -> SessionSource:
    """
    Return a source of sessions; the first is requested at the first call.

    Args:
        login_url: base of the token endpoint, without a slash at the end.
        read_credentials: reads them again, so that a rotated secret needs no restart.
        timeouts: seconds to connect and to read.
        policy: how often the token endpoint is called.
    """
    line: Line[None] = Line("salesforce", _ENDPOINT, policy)
    patience = httpx.Timeout(timeouts[1], connect=timeouts[0])

    def fetch() -> Grant[Session]:
        answer = make_call(
            line,
            Purpose(f"POST {TOKEN_PATH}"),
            lambda _: _post(login_url, read_credentials().form(login_url, datetime.now(UTC)), patience),
            lambda answer: judge(answer, _read_session, _dialect(login_url), at=login_url, now=datetime.now(UTC)),
        )
        session = _read_session(answer.body)
        assert session is not None  # noqa: S101  no other answer is accepted
        return Grant(session)

    return CredentialSource(fetch, "salesforce")


def check_api_address(address: str, variable: str) -> None:
    """Raise a ConfigurationError if secrets shouldn't go to this address, or if it isn't an API."""
    check_address(address, variable)
    if "lightning.force.com" in address:
        raise ConfigurationError(f"{variable} is the URL of the user interface: use https://<domain>.my.salesforce.com")


def session_source(
    login_url: str, read_credentials: Callable[[], Credentials], timeouts: tuple[float, float]
) -> tuple[str, SessionSource]:
    """Return this process's source of sessions for these credentials, and what identifies them."""
    digest = read_credentials().digest(login_url)
    with _sources_lock:
        return digest, _sources.setdefault(digest, open_sessions(login_url, read_credentials, timeouts))


_sources: dict[str, SessionSource] = {}
_sources_lock = threading.Lock()


def _post(login_url: str, form: Mapping[str, str], patience: httpx.Timeout) -> Answer | Trouble:
    try:
        # A proxy of the environment is never meant for this machine itself.
        answer = httpx.post(
            login_url + TOKEN_PATH, data=form, timeout=patience, verify=tls(), trust_env=not is_loopback(login_url)
        )
    except httpx.HTTPError as error:
        return network_trouble(error, network_fault(error))
    return Answer(answer.status_code, in_lower_case(answer.headers), parse_json(answer.content))


def _dialect(login_url: str) -> Dialect:
    def explain(_status: int, error: str, what: str) -> str:
        advice = "check ENRICHMENT_SALESFORCE_LOGIN_URL, ENRICHMENT_SALESFORCE_AUTH and the app's settings"
        return f"{login_url} gives no session: {what}; {_MENDS.get(error, advice)}"

    return Dialect(_ENDPOINT, _read_error, _read_limit, explain, grants=True)


def _read_error(body: Any) -> str:
    return word(body.get("error")) if isinstance(body, dict) else ""


def _read_limit(answer: Answer, _error: str, what: str, now: datetime) -> Trouble | None:
    # "login rate exceeded": a user may log in 3,600 times an hour.
    said = str(answer.body.get("error_description", "")) if isinstance(answer.body, dict) else ""
    if "rate exceeded" not in said.lower():
        return None
    return Trouble(Fault.THROTTLED, what, asked_wait(answer.headers, now=now))


def _read_session(body: Any) -> Session | None:
    if not isinstance(body, dict):
        return None
    token, instance_url = body.get("access_token"), body.get("instance_url")
    if not (isinstance(token, str) and token and isinstance(instance_url, str) and instance_url):
        return None
    found = _ORG.search(str(body.get("id") or ""))
    return Session(token, instance_url.rstrip("/"), found["org"] if found else "")
