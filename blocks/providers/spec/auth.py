"""The section of a provider's spec that says how a call proves who we are; it holds the names of secrets only."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, field_validator

from blocks.base import not_installed
from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.sections import Part
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
        ConfigurationError: PyJWT isn't installed, or the key isn't a valid one.
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


class HeaderAuth(Part):
    """A secret in a header of the provider's own."""

    kind: Literal["header"]
    name: str
    credential: str = "api_key"


class BearerAuth(Part):
    """A long-lived bearer token."""

    kind: Literal["bearer"]
    credential: str = "api_key"


class BasicAuth(Part):
    """HTTP Basic; some providers take the key as user name and no password."""

    kind: Literal["basic"]
    username: str = "username"
    password: str | None = "password"  # noqa: S105  a field's name


class QueryAuth(Part):
    """A secret in the query string; only for providers that take it nowhere else."""

    kind: Literal["query"]
    name: str
    credential: str = "api_key"


class ClientCredentialsAuth(Part):
    """OAuth2 client credentials: id and secret by HTTP Basic, no scope asked for, so that all granted ones come."""

    kind: Literal["oauth2_client_credentials"]
    token_path: str
    default_lifetime_seconds: float = Field(3600, gt=0)
    renew_before_seconds: float = Field(60, ge=0)


class LoginWay(Part):
    """A way to log in by its name, and the credentials that it takes."""

    plugin: str
    credentials: tuple[str, ...] = Field(min_length=1)

    @field_validator("plugin")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in LOGINS:
            raise ValueError(f"unknown way to log in '{name}'; choose one of {', '.join(LOGINS)}")
        return name


class LoginAuth(Part):
    """
    A bearer token from an endpoint of the provider's own.

    Args:
        kind: of auth.
        path: of the endpoint.
        ways: to log in; the first whose credentials are all set is taken.
        token: where it stands in the endpoint's answer.
        lifetime_seconds: of a token; the answer doesn't say.
        renew_before_seconds: how long before its end it is renewed.
        per_second: calls that the endpoint takes.
    """

    kind: Literal["login"]
    path: str
    ways: tuple[LoginWay, ...] = Field(min_length=1)
    token: Expression
    lifetime_seconds: float = Field(gt=0)
    renew_before_seconds: float = Field(60, ge=0)
    per_second: float = Field(1, gt=0)


Auth = Annotated[
    HeaderAuth | BearerAuth | BasicAuth | QueryAuth | ClientCredentialsAuth | LoginAuth, Field(discriminator="kind")
]
