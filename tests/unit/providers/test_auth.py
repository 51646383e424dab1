"""One grant for everybody."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from pydantic import SecretStr, TypeAdapter

from blocks.calls import credentials
from blocks.calls.credentials import CredentialSource, Grant
from blocks.providers.http.auth import apply_grant, credential_names, fetcher
from blocks.providers.spec.auth import Auth
from enrichment.errors import ConfigurationError, CredentialsRejectedError, EnrichmentError
from tests.unit.providers.samples import CARDFILE


class Office:
    """Issues numbered grants, or an error."""

    def __init__(self, lifetime: float = 600.0, error: Exception | None = None) -> None:
        self.issued = 0
        self.lifetime = lifetime
        self.error = error

    def fetch(self) -> Grant[str]:
        self.issued += 1
        if self.error:
            raise self.error
        return Grant(f"token-{self.issued}", self.lifetime)


CROWD = 8


def ask_together(source: CredentialSource[str], refused: str | None = None) -> list[str | EnrichmentError]:
    """Let a crowd of threads ask at the same moment."""
    ready = threading.Barrier(CROWD)

    def ask(_: int) -> str | EnrichmentError:
        ready.wait(10)
        try:
            return source.get(refused)
        except EnrichmentError as error:
            return error

    with ThreadPoolExecutor(CROWD) as pool:
        return list(pool.map(ask, range(CROWD)))


def test_a_crowd_gets_one_token() -> None:
    """However many threads ask at once, one fetches."""
    office = Office()
    assert ask_together(CredentialSource(office.fetch, "office")) == ["token-1"] * CROWD
    assert office.issued == 1


def test_a_crowd_whose_token_was_refused_gets_one_new_token() -> None:
    """All who found the same token refused share its successor."""
    office = Office()
    source = CredentialSource(office.fetch, "office")
    old = source.get()
    assert ask_together(source, old) == ["token-2"] * CROWD
    assert office.issued == 2


def test_a_late_complaint_about_an_old_token_fetches_nothing() -> None:
    """A caller that finds the token already renewed takes the new one."""
    office = Office()
    source = CredentialSource(office.fetch, "office")
    old = source.get()
    assert [source.get(old), source.get(old), source.get()] == ["token-2"] * 3


def test_a_token_that_ages_is_renewed() -> None:
    """A grant whose time is over is not handed out again."""
    office = Office(lifetime=0.0)
    source = CredentialSource(office.fetch, "office")
    assert [source.get(), source.get()] == ["token-1", "token-2"]
    assert source.at_hand() is None


def test_a_crowd_shares_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who waited while fetching failed don't try the same again; a later caller does."""
    now = [100.0]
    monkeypatch.setattr(credentials, "time", SimpleNamespace(monotonic=lambda: now[0]))
    office = Office(error=CredentialsRejectedError("no"))
    source = CredentialSource(office.fetch, "office")
    assert all(isinstance(one, CredentialsRejectedError) for one in ask_together(source))
    assert office.issued == 1
    now[0] += 1
    with pytest.raises(CredentialsRejectedError):
        source.get()
    assert office.issued == 2


@pytest.mark.parametrize(
    ("written", "secrets", "names", "headers", "query"),
    [
        ({"kind": "header", "name": "X-Key"}, {"api_key": "k"}, ["api_key"], {"X-Key": "k"}, {}),
        ({"kind": "query", "name": "key"}, {"api_key": "k"}, ["api_key"], {}, {"key": "k"}),
        ({"kind": "bearer", "credential": "token"}, {"token": "k"}, ["token"], {"Authorization": "Bearer k"}, {}),
        (
            {"kind": "basic"},
            {"username": "u", "password": "p"},
            ["username", "password"],
            {"Authorization": "Basic dTpw"},
            {},
        ),
        (
            {"kind": "basic", "username": "api_key", "password": None},
            {"api_key": "u"},
            ["api_key"],
            {"Authorization": "Basic dTo="},
            {},
        ),
    ],
)
def test_each_kind_of_auth_carries_its_secret(
    written: dict[str, str], secrets: dict[str, str], names: list[str], headers: dict[str, str], query: dict[str, str]
) -> None:
    """Header, query, bearer and basic credentials go where the provider looks for them."""
    kind = TypeAdapter[Auth](Auth).validate_python(written)
    spec = CARDFILE.model_copy(update={"auth": kind})
    grant = fetcher(spec, "http://x.example", {name: SecretStr(value) for name, value in secrets.items()})()
    assert credential_names(kind) == names
    assert apply_grant(kind, grant.value) == (headers, query)


@pytest.mark.parametrize("secret", [None, "", "kéy", "a\nb"])
def test_a_secret_that_cannot_be_used_is_named_but_not_shown(secret: str | None) -> None:
    """The message says which credential is wrong, and not what it is."""
    secrets = {"api_key": SecretStr(secret) if secret is not None else None}
    with pytest.raises(ConfigurationError, match="api_key of Cardfile") as caught:
        fetcher(CARDFILE, "http://x.example", secrets)()
    assert not secret or secret not in str(caught.value)
