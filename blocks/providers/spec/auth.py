"""The section of a provider's spec that says how a call proves who we are; it holds the names of secrets only."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.logins import LOGINS
from blocks.providers.spec.sections import Part


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
