"""Secrets by value; those by reference are tested with Prefect's store in test_saved_blocks.py."""

from pathlib import Path

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


def test_a_secret_in_a_file_is_its_text(tmp_path: Path) -> None:
    """A key keeps its lines; the line end behind it, which editors and `echo` add, isn't a part of it."""
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN KEY-----\nYWJj\n-----END KEY-----\n")
    assert reveal(SecretStr(f"file:{file}"), "ENRICHMENT_X_KEY") == "-----BEGIN KEY-----\nYWJj\n-----END KEY-----"
    file.write_text("rotated")
    assert reveal(SecretStr(f"file:{file}"), "ENRICHMENT_X_KEY") == "rotated"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, r"can't be read \(No such file or directory\): correct the path"),
        (b"\xff\xfes3cr3t", r"can't be read \(it is not text\)"),
        (b" \n", "is empty: put the secret into it"),
    ],
)
def test_a_file_without_a_secret_is_named_with_its_setting(tmp_path: Path, content: bytes | None, why: str) -> None:
    """The message has the whole path, and nothing of what the file holds."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_X_TOKEN names the file {file}.*{why}") as raised:
        reveal(SecretStr(f"file:{file}"), "ENRICHMENT_X_TOKEN")
    assert "s3cr3t" not in str(raised.value)
