"""
Secrets by value or by the name of a Prefect secret block.

A secret field holds either the secret itself or `block:<block type>/<block name>`, for instance `block:secret/hubspot`,
`block:aws-secret/crm` or `block:gcpsecret/crm`; `#key` behind it selects one key of a JSON secret. The block is read
just before use, so that a rotated secret needs no restart.
"""

import json
from typing import Any

from prefect.blocks.core import Block
from pydantic import SecretStr

from enrichment.errors import ConfigurationError

REFERENCE_PREFIX = "block:"


def reveal(secret: SecretStr | None, purpose: str) -> str:
    """
    Return the secret's text.

    Args:
        secret: the value, or a reference to a secret block.
        purpose: what it is for, by which an error names the setting.

    Raises:
        ConfigurationError: it is missing, or its block can't be read.
    """
    text = secret.get_secret_value() if secret else ""
    if not text:
        raise ConfigurationError(f"{purpose} is not set: set it in the environment, in .env or in its Prefect block")
    if not text.startswith(REFERENCE_PREFIX):
        return text
    reference, _, key = text.removeprefix(REFERENCE_PREFIX).partition("#")
    value = _read_block(reference, purpose)
    return _select(value, key, reference) if key else value if isinstance(value, str) else json.dumps(value)


def _read_block(reference: str, purpose: str) -> Any:
    try:
        block: Any = Block.load(reference)
        value = block.get() if hasattr(block, "get") else block.read_secret()
    except Exception as error:  # noqa: BLE001 - every secret store has its own errors, and some repeat the value
        raise ConfigurationError(
            f"{purpose} names the secret block '{reference}', which can't be read ({type(error).__name__}): "
            "check the block's name and its credentials in Prefect"
        ) from None
    return value.decode() if isinstance(value, bytes) else value


def _select(value: Any, key: str, reference: str) -> str:
    try:
        return str((json.loads(value) if isinstance(value, str) else value)[key])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"the secret block '{reference}' is no JSON object with the key '{key}'") from None
