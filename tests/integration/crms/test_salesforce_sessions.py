"""The three ways to a session, over real sockets."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from enrichment.errors import ConfigurationError, CredentialsRejectedError
from tests.integration.crms.salesforce_org import Org

USER = "integration@sandbox.example"


@pytest.fixture(scope="module")
def key_pair() -> tuple[str, str]:
    """Give a private and a public key in PEM form."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("written", [lambda pem: pem, lambda pem: pem.replace("\n", "\\n")])
def test_an_assertion_is_signed_and_taken(org: Org, key_pair: tuple[str, str], written: Callable[[str], str]) -> None:
    """The key may come with real line ends, or as environment variables often have them."""
    org.box.configure(salesforce={"public_key": key_pair[1]})
    crm = org.crm(auth="jwt_bearer", username=USER, private_key=written(key_pair[0]))
    assert crm.read(org.ids, []).keys() == set(org.ids)


def test_an_assertion_of_another_user_is_refused(org: Org, key_pair: tuple[str, str]) -> None:
    """The message says what may be wrong, and not with which key it was signed."""
    org.box.configure(salesforce={"public_key": key_pair[1]})
    crm = org.crm(auth="jwt_bearer", username="somebody@sandbox.example", private_key=key_pair[0])
    with pytest.raises(CredentialsRejectedError, match=r"invalid_grant.*user name") as caught:
        crm.read(org.ids, [])
    assert "somebody" not in str(caught.value)


def test_an_invalid_key_is_a_setting_to_fix(org: Org) -> None:
    """It never leaves the machine, so no other party can say it."""
    crm = org.crm(auth="jwt_bearer", username=USER, private_key="no-key")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_SALESFORCE_PRIVATE_KEY"):
        crm.read(org.ids, [])


def test_a_refresh_token_gives_a_session(org: Org) -> None:
    """The library doesn't know this flow."""
    crm = org.crm(auth="refresh_token", refresh_token="sandbox-refresh")
    assert crm.read(org.ids, []).keys() == set(org.ids)


def test_an_ended_refresh_token_is_refused(org: Org) -> None:
    """A person has to approve the app again."""
    crm = org.crm(auth="refresh_token", refresh_token="ended")
    with pytest.raises(CredentialsRejectedError, match="refresh token"):
        crm.read(org.ids, [])


def test_the_stand_in_checks_signatures(org: Org, key_pair: tuple[str, str]) -> None:
    """Else the tests above would prove nothing."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    org.box.configure(salesforce={"public_key": key_pair[1]})
    crm = org.crm(auth="jwt_bearer", username=USER, private_key=pem.decode())
    with pytest.raises(CredentialsRejectedError, match="invalid_grant"):
        crm.read(org.ids, [])
