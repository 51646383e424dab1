"""Secrets by value; those by reference are tested with Prefect's store in test_saved_blocks.py."""

import pytest
from pydantic import SecretStr

from blocks.secrets import reveal
from enrichment.errors import ConfigurationError


@pytest.mark.parametrize("text", ["s3cr3t", " s3cr3t ", "with#hash", "blockade:secret/x", '{"a": 1}', "pässwörd"])
def test_a_secret_by_value_is_that_value(text: str) -> None:
    """What isn't a reference is given back letter by letter."""
    assert reveal(SecretStr(text), "ENRICHMENT_X_TOKEN") == text


@pytest.mark.parametrize("secret", [None, SecretStr("")])
def test_a_missing_secret_names_its_setting(secret: SecretStr | None) -> None:
    """The message says which setting is missing and where it can be set."""
    with pytest.raises(ConfigurationError, match=r"ENRICHMENT_X_TOKEN is not set: .*environment.*\.env.*block"):
        reveal(secret, "ENRICHMENT_X_TOKEN")
