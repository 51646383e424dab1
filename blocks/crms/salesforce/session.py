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
from urllib.parse import urlsplit

import httpx

from blocks.base import not_installed
from blocks.calls.credentials import CredentialSource, Grant
from blocks.calls.judging import Dialect, judge
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, Call, in_lower_case, network_trouble, parse_json, word
from enrichment.errors import ConfigurationError
from enrichment.retry import Fault, RetryPolicy, Trouble, asked_wait
from enrichment.text import storable

try:
    import requests
    from requests.adapters import HTTPAdapter
    from simple_salesforce.api import Salesforce as Client
    from simple_salesforce.exceptions import SalesforceError
except ImportError as error:
    raise not_installed("Salesforce", "simple-salesforce", "salesforce") from error

#: What change events name as the origin of our own changes.
CLIENT_NAME = "contact-enrichment"
MOST_CONNECTIONS = 32


class Transport:
    """
    Sends calls in a session; safe to share between threads.

    Args:
        api_version: such as `68.0`.
        timeouts: seconds to connect and to read.
    """

    def __init__(self, api_version: str, timeouts: tuple[float, float]) -> None:
        self._version = api_version
        self._timeouts = timeouts
        self._http = requests.Session()
        self._http.mount("https://", _PatientAdapter(timeouts))
        self._http.headers["Sforce-Call-Options"] = f"client={CLIENT_NAME}"
        # A duplicate rule that only warns would else refuse the update; one that blocks still does.
        self._http.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
        # Without an explicit authorisation, requests would put that of a .netrc file in the place of ours.
        self._http.auth = _Unchanged()

    def send(self, session: "Session", call: Call) -> Answer | Trouble:
        """Send a call, and return what came back."""
        received: list[requests.Response] = []
        options = {**_body(call), "hooks": {"response": lambda response, **_: received.append(response)}}
        try:
            body = self._client(session).restful(
                call.path, dict(call.query), call.method, allow_redirects=False, **options
            )
        except SalesforceError:
            body = parse_json(received[-1].content)
        except requests.exceptions.JSONDecodeError:
            body = received[-1].content.decode(errors="replace")  # a CSV, whose charset requests would guess
        except (requests.exceptions.ConnectTimeout, requests.exceptions.ProxyError) as error:
            return Trouble(Fault.CONNECT, f"the network failed ({type(error).__name__})")
        except requests.exceptions.RequestException as error:
            return Trouble(_network_fault(error), f"the network failed ({type(error).__name__})")
        return Answer(received[-1].status_code, in_lower_case(received[-1].headers), storable(body))

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def _client(self, session: "Session") -> Client:
        address = session.instance_url
        if address.startswith("http:"):
            self._reach_loopback(address)
        return Client(
            session_id=session.token,
            instance_url=address,
            version=self._version,
            session=self._http,
            object_pairs_hook=dict,
        )

    def _reach_loopback(self, address: str) -> None:
        prefix = f"https://{urlsplit(address).netloc}/"
        if not is_loopback(address):
            raise ConfigurationError(
                "the instance URL of Salesforce must begin with https://: check ENRICHMENT_SALESFORCE_INSTANCE_URL"
            )
        if prefix not in self._http.adapters:
            self._http.trust_env = False  # a proxy of the environment is never meant for this machine itself
            self._http.mount(prefix, _LoopbackAdapter(self._timeouts, prefix, address + "/"))


class _PatientAdapter(HTTPAdapter):
    """Sets timeouts where the caller set none, which are all calls."""

    def __init__(self, timeouts: tuple[float, float]) -> None:
        super().__init__(pool_maxsize=MOST_CONNECTIONS)
        self._timeouts = timeouts

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request."""
        return super().send(request, *args, **{**options, "timeout": options.get("timeout") or self._timeouts})


class _LoopbackAdapter(_PatientAdapter):
    """Puts back the scheme and path of an instance URL on this machine, which simple-salesforce drops."""

    def __init__(self, timeouts: tuple[float, float], given: str, meant: str) -> None:
        super().__init__(timeouts)
        self._given = given
        self._meant = meant

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """Send a request to where it was meant to go."""
        request.url = (request.url or "").replace(self._given, self._meant, 1)
        return super().send(request, *args, **options)


class _Unchanged(requests.auth.AuthBase):
    """Leaves a request as it is."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request."""
        return request


def _body(call: Call) -> dict[str, Any]:
    if call.content is not None:
        return {"data": call.content, "headers": dict(call.headers)}
    return {} if call.body is None else {"json": call.body}


def _network_fault(error: requests.exceptions.RequestException) -> Fault:
    # requests shows only by its cause whether a connection was refused, or lost after the request had left.
    text = type(getattr(error.args[0], "reason", None)).__name__ if error.args else ""
    return Fault.CONNECT if text in {"NewConnectionError", "NameResolutionError"} else Fault.LOST_ANSWER


try:
    import jwt
except ImportError as error:
    raise not_installed("Salesforce", "PyJWT", "salesforce") from error

Auth = Literal["client_credentials", "jwt_bearer", "refresh_token"]

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Salesforce refuses assertions that are valid for longer than some minutes.
ASSERTION_SECONDS = 180
#: An address without user name, query or fragment.
ADDRESS = r"^https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(/[^\s?#]*)?$"
#: The org in the address of the user, `https://<host>/id/<org>/<user>`.
_ORG = re.compile(r"/id/(?P<org>00D[A-Za-z0-9]{15})/")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
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


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine."""
    return httpx.URL(url).host in LOOPBACK_HOSTS


def check_address(address: str, variable: str) -> None:
    """Raise a ConfigurationError if secrets shouldn't go to this address, or if it isn't an API."""
    if address.startswith("http:") and not is_loopback(address):
        raise ConfigurationError(f"{variable} must begin with https://")
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
        answer = httpx.post(login_url + TOKEN_PATH, data=form, timeout=patience, trust_env=not is_loopback(login_url))
    except httpx.HTTPError as error:
        return network_trouble(error)
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
