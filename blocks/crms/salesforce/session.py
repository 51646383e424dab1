"""
Sessions of Salesforce: obtained by ourselves, one at a time, and shared by the whole process.

simple-salesforce can't refresh a session that it was given, logs in anew in every thread at once, and offers neither
timeouts nor the refresh-token grant; so it gets its sessions from here.
"""

import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import httpx

from blocks.crms.salesforce.answers import Trouble, parse_json, word
from blocks.extras import not_installed
from enrichment.errors import ConfigurationError, CredentialsRejectedError, PostponedError, TransientError
from enrichment.retry import Fault, RetryPolicy, Verdict, asked_wait, decide, fault_of_status

try:
    import jwt
except ImportError as error:
    raise not_installed("Salesforce", "PyJWT", "salesforce") from error

logger = logging.getLogger(__name__)

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
    """What a session is asked for with; empty where the flow doesn't need it."""

    auth: Auth
    consumer_key: str
    consumer_secret: str = ""
    username: str = ""
    private_key: str = ""
    refresh_token: str = ""

    def digest(self, login_url: str) -> str:
        """Return what tells these credentials from others without giving them away."""
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
                "ENRICHMENT_SALESFORCE_PRIVATE_KEY is no RSA private key in PEM form without a passphrase"
            ) from None


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A right to call one org for a while; `org_id` has 18 characters, or none if the endpoint didn't say it."""

    token: str
    instance_url: str
    org_id: str = ""


class SessionSource:
    """
    Hands out the present session, and a new one if Salesforce rejects it; safe to share between threads.

    Args:
        login_url: base of the token endpoint, without a slash at the end.
        read_credentials: reads them anew, lest a rotated secret needs a restart.
        timeouts: seconds to connect and to read.
        policy: how often the token endpoint is asked.
    """

    def __init__(
        self,
        login_url: str,
        read_credentials: Callable[[], Credentials],
        timeouts: tuple[float, float],
        policy: RetryPolicy = _POLICY,
    ) -> None:
        self._login_url = login_url
        self._read_credentials = read_credentials
        self._timeouts = httpx.Timeout(timeouts[1], connect=timeouts[0])
        self._policy = policy
        self._lock = threading.Lock()
        self._session: Session | None = None

    def current(self) -> Session:
        """
        Return the session, asked for at the first call.

        Raises:
            CredentialsRejectedError: the token endpoint refuses the credentials.
            PostponedError: it asked for a wait that is too long to sleep.
            TransientError: it can't be reached.
        """
        with self._lock:
            if self._session is None:
                self._session = self._obtain()
            return self._session

    def renew(self, rejected: Session) -> Session:
        """Return another session than the rejected one; it raises as `current` does."""
        with self._lock:
            # Another thread may have asked for the new one already.
            if self._session is None or self._session == rejected:
                self._session = None
                self._session = self._obtain()
                logger.warning("salesforce_session_renewed")
            return self._session

    def _obtain(self) -> Session:
        attempt = 1
        while True:
            outcome = self._ask()
            if isinstance(outcome, Session):
                return outcome
            chance = random.random()  # noqa: S311 - spreads waits, guards nothing
            decision = decide(outcome.fault, attempt, self._policy, server_wait=outcome.wait_seconds, chance=chance)
            if decision.verdict is Verdict.POSTPONE:
                raise PostponedError("Salesforce's token endpoint asked for a pause", decision.wait_seconds)
            if decision.verdict is Verdict.GIVE_UP:
                raise TransientError(f"Salesforce's token endpoint: {outcome.what}, attempt {attempt}")
            time.sleep(decision.wait_seconds)
            attempt += 1

    def _ask(self) -> Session | Trouble:
        form = self._read_credentials().form(self._login_url, datetime.now(UTC))
        try:
            # A proxy of the environment is never meant for this machine itself.
            answer = httpx.post(
                self._login_url + TOKEN_PATH,
                data=form,
                timeout=self._timeouts,
                trust_env=not is_loopback(self._login_url),
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return Trouble(Fault.CONNECT, f"the network failed ({type(error).__name__})")
        except httpx.HTTPError as error:
            return Trouble(Fault.LOST_ANSWER, f"the network failed ({type(error).__name__})")
        return _read_answer(answer, self._login_url)


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    return httpx.URL(url).host in LOOPBACK_HOSTS


def check_address(address: str, variable: str) -> None:
    """Raise a ConfigurationError if secrets shouldn't go to this address, or if it is no API."""
    if address.startswith("http:") and not is_loopback(address):
        raise ConfigurationError(f"{variable} must begin with https://")
    if "lightning.force.com" in address:
        raise ConfigurationError(f"{variable} is the user interface: take https://<domain>.my.salesforce.com")


def session_source(
    login_url: str, read_credentials: Callable[[], Credentials], timeouts: tuple[float, float]
) -> tuple[str, SessionSource]:
    """Return this process's source of sessions for these credentials, and what tells them from others."""
    digest = read_credentials().digest(login_url)
    with _sources_lock:
        return digest, _sources.setdefault(digest, SessionSource(login_url, read_credentials, timeouts))


_sources: dict[str, SessionSource] = {}
_sources_lock = threading.Lock()


def _read_answer(answer: httpx.Response, login_url: str) -> Session | Trouble:
    body = parse_json(answer.content)
    if answer.is_success:
        return _read_session(body) or Trouble(Fault.LOST_ANSWER, f"status {answer.status_code} without a session")
    error = word(body.get("error")) if isinstance(body, dict) else ""
    what = f"status {answer.status_code}" + (f" ({error})" if error else "")
    fault = Fault.THROTTLED if _asks_too_often(body) else fault_of_status(answer.status_code)
    if fault is not None:
        return Trouble(fault, what, asked_wait(answer.headers, now=datetime.now(UTC)))
    if answer.status_code >= 500:
        raise TransientError(f"Salesforce's token endpoint answered {what}")
    mend = _MENDS.get(error, "check ENRICHMENT_SALESFORCE_LOGIN_URL, ENRICHMENT_SALESFORCE_AUTH and the app's settings")
    raise CredentialsRejectedError(f"{login_url} gives no session: {what}; {mend}")


def _read_session(body: Any) -> Session | None:
    if not isinstance(body, dict):
        return None
    token, instance_url = body.get("access_token"), body.get("instance_url")
    if not (isinstance(token, str) and token and isinstance(instance_url, str) and instance_url):
        return None
    found = _ORG.search(str(body.get("id") or ""))
    return Session(token, instance_url.rstrip("/"), found["org"] if found else "")


def _asks_too_often(body: Any) -> bool:
    # "login rate exceeded": a user may log in 3,600 times an hour.
    return isinstance(body, dict) and "rate exceeded" in str(body.get("error_description", "")).lower()
