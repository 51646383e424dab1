"""HubSpot's configuration."""

from pathlib import Path

import pytest

from blocks.crms.base import load_crm
from blocks.crms.hubspot.block import HubSpot
from enrichment.errors import ConfigurationError


def test_a_missing_token_is_named_by_its_variable() -> None:
    """The first thing that goes wrong in every installation says how to fix it."""
    with pytest.raises(ConfigurationError, match="ENRICHMENT_HUBSPOT_ACCESS_TOKEN is not set"):
        load_crm("hubspot")


def test_a_block_is_found_by_name_and_filled_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No registry is edited, and the environment is enough to start."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("- {field: company, source: company_name, rule: always}", encoding="utf-8")
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "made-up")
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_MAPPING_FILE", str(mapping))
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", '["email", "phone"]')
    crm = load_crm("hubspot")
    assert crm.name == "hubspot"
    assert crm.protected == {"email", "phone"}
    assert {rule.field: rule.rule for rule in crm.rules}["company"] == "always"
    crm.close()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("API_VERSION", "v1"),
        ("BASE_URL", "api.hubapi.com"),
        ("CONCURRENCY", "0"),
        ("REQUESTS_PER_10_SECONDS", "none"),
        ("READ_TIMEOUT_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Out of range is found before the first claim."""
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "made-up")
    monkeypatch.setenv(f"ENRICHMENT_HUBSPOT_{variable}", value)
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_HUBSPOT_{variable}"):
        load_crm("hubspot")


def test_every_field_says_what_it_is_for() -> None:
    """The form in Prefect and the table in the documentation are made of these sentences."""
    for name in ("access_token", "base_url", "api_version", "mapping_file", "protected_fields", "concurrency"):
        assert HubSpot.model_fields[name].description.endswith(".")


def test_the_token_stays_out_of_the_representation() -> None:
    """A block that is printed or logged doesn't give its secret away."""
    assert "made-up" not in repr(HubSpot(access_token="made-up"))


def test_both_client_secrets_count_while_they_are_rotated() -> None:
    """Webhooks signed with the previous secret are taken too; without any, the variable is named."""
    assert HubSpot(client_secret="new").client_secrets() == ("new",)
    assert HubSpot(client_secret="new", previous_client_secret="old").client_secrets() == ("new", "old")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_HUBSPOT_CLIENT_SECRET is not set"):
        HubSpot(previous_client_secret="old").client_secrets()
