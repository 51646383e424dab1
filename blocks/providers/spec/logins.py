"""Named ways to log in at an endpoint of the provider's own: what the credentials become in the request for a token."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from blocks.extras import not_installed
from enrichment.errors import ConfigurationError

_ASSERTION_SECONDS = 300
#: Clocks differ; an assertion of the future isn't taken.
_BACKDATED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class LoginForm:
    """What is sent to the login endpoint; neither part may be logged."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, str] | None = None


def password(secrets: Mapping[str, str]) -> LoginForm:
    """Send the credentials under their own names as JSON."""
    return LoginForm(body=dict(secrets))


def zoominfo_pki(secrets: Mapping[str, str]) -> LoginForm:
    """
    Send a signed assertion instead of a password.

    The claims are those of https://github.com/Zoominfo/api-auth-python-client.

    Raises:
        ConfigurationError: PyJWT isn't installed, or the key is none.
    """
    issued_at = int(time.time()) - _BACKDATED_SECONDS
    claims: dict[str, str | int] = {
        "aud": "enterprise_api",
        "iss": "api-client@zoominfo.com",
        "client_id": secrets["client_id"],
        "username": secrets["username"],
        "iat": issued_at,
        "exp": issued_at + _ASSERTION_SECONDS,
    }
    return LoginForm(headers={"Authorization": f"Bearer {_sign(claims, secrets['private_key'])}"})


def _sign(claims: Mapping[str, str | int], private_key: str) -> str:
    try:
        import jwt  # noqa: PLC0415 - only this way to log in needs it
    except ImportError:
        raise _needs_extra() from None
    # Environment files hold one line, and indented keys don't parse.
    lines = (line.strip() for line in private_key.replace("\\n", "\n").splitlines())
    try:
        return jwt.encode(dict(claims), "\n".join(lines), algorithm="RS256")
    except NotImplementedError:
        raise _needs_extra() from None
    except (ValueError, TypeError, jwt.PyJWTError):
        raise ConfigurationError(
            "private_key is not a valid RSA key in PEM form: copy the whole file, from its first line to its last"
        ) from None


def _needs_extra() -> ConfigurationError:
    return not_installed("Logging in with a private key", "PyJWT with cryptography", "zoominfo-legacy")


LOGINS: Mapping[str, Callable[[Mapping[str, str]], LoginForm]] = {"password": password, "zoominfo_pki": zoominfo_pki}
