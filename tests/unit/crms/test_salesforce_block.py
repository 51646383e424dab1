"""Salesforce's configuration."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.crms.base import load_crm
from blocks.crms.salesforce.block import Salesforce
from blocks.crms.salesforce.session import Credentials
from enrichment.errors import ConfigurationError

MY_DOMAIN = "https://acme.my.salesforce.com"
ENOUGH = {"LOGIN_URL": MY_DOMAIN, "CONSUMER_KEY": "made-up-key", "CONSUMER_SECRET": "made-up-secret"}


def set_variables(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ENRICHMENT_SALESFORCE_{name}", value)


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "CONSUMER_KEY"),
        ({"CONSUMER_KEY": "k"}, "CONSUMER_SECRET"),
        ({"AUTH": "jwt_bearer", "CONSUMER_KEY": "k"}, "PRIVATE_KEY"),
        ({"AUTH": "jwt_bearer", "CONSUMER_KEY": "k", "PRIVATE_KEY": "p"}, "USERNAME"),
        ({"AUTH": "refresh_token", "CONSUMER_KEY": "k"}, "REFRESH_TOKEN"),
    ],
)
def test_a_missing_credential_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], missing: str
) -> None:
    """The first thing that goes wrong in every installation says how to fix it."""
    set_variables(monkeypatch, {"LOGIN_URL": MY_DOMAIN, **given})
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_SALESFORCE_{missing} is not set"):
        load_crm("salesforce")


def test_a_block_is_filled_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No registry is edited, and the environment is enough to start."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("- {field: Department, source: department, rule: fill_blank}", encoding="utf-8")
    set_variables(monkeypatch, {**ENOUGH, "MAPPING_FILE": str(mapping), "PROTECTED_FIELDS": '["Email"]'})
    crm = load_crm("salesforce")
    assert crm.name == "salesforce"
    assert crm.protected == {"Email"}
    rules = {rule.field: rule.rule for rule in crm.rules}
    assert (rules["Department"], rules["Title"], rules["Enr_Provider__c"]) == ("fill_blank", "fill_blank", "always")
    assert [rule.field for rule in crm.rules if rule.stamp] == ["Enr_Enriched_At__c"]
    crm.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AUTH", "password"),
        ("API_VERSION", "v68"),
        ("LOGIN_URL", "acme.my.salesforce.com"),
        ("LOGIN_URL", "https://user:password@acme.my.salesforce.com"),
        ("INSTANCE_URL", "acme"),
        ("CONCURRENCY", "0"),
        ("BULK_THRESHOLD", "1"),
        ("FIELD_PREFIX", "enr"),
        ("REQUESTS_PER_SECOND", "0"),
        ("READ_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Out of range is found before the first claim."""
    set_variables(monkeypatch, {**ENOUGH, variable: value})
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_SALESFORCE_{variable}"):
        load_crm("salesforce")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("LOGIN_URL", "https://login.salesforce.com", "My Domain"),
        ("LOGIN_URL", "https://acme.lightning.force.com", "user interface"),
        ("LOGIN_URL", "http://acme.my.salesforce.com", "https"),
        ("INSTANCE_URL", "http://acme.my.salesforce.com", "https"),
        ("INSTANCE_URL", "http://127.0.0.1.acme.example", "https"),
    ],
)
def test_an_address_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    """Secrets go over TLS, but for stand-ins on this very machine."""
    set_variables(monkeypatch, {**ENOUGH, variable: value})
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_SALESFORCE_{variable}.*{words}"):
        load_crm("salesforce")


def test_secrets_stay_out_of_the_representation() -> None:
    """A block that is printed or logged doesn't give its secrets away."""
    secrets = ("consumer_key", "consumer_secret", "private_key", "refresh_token")
    assert "made-up" not in repr(Salesforce(**dict.fromkeys(secrets, "made-up")))


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is missing, or what signs a JWT: the error comes where it is used."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    signing = Credentials("jwt_bearer", "key", username="u", private_key="k")
    with pytest.raises(ConfigurationError, match=r"PyJWT.*--extra salesforce`"):
        signing.form("https://login.salesforce.com", datetime.now(UTC))
    monkeypatch.delitem(sys.modules, "blocks.crms.salesforce.transport", raising=False)
    monkeypatch.setitem(sys.modules, "simple_salesforce.api", None)
    with pytest.raises(ConfigurationError, match=r"simple-salesforce.*--extra salesforce`"):
        Salesforce().get_crm()
