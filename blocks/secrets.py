"""
Secrets by value, by the name of a Prefect secret block, or by the path of a file.

A secret field holds either the secret itself or `block:<block type>/<block name>`, for instance `block:secret/hubspot`,
`block:aws-secret/crm` or `block:gcpsecret/crm`; `#key` behind it selects one key of a JSON secret. `file:<path>` is for
what orchestrators mount, and for keys of several lines. Either is read just before use, so that a rotated secret needs
no restart.
"""

import importlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.base import install_extra
from blocks.server import require_server
from enrichment.errors import ConfigurationError

_BLOCK, _FILE = "block:", "file:"


@dataclass(frozen=True)
class _Library:
    """Where a type of block is defined, what reading it needs beside that, and the extra that installs both."""

    module: str
    name: str
    client: str
    extra: str


_LIBRARIES: Mapping[str, _Library] = {
    "aws-secret": _Library("prefect_aws.secrets_manager", "AwsSecret", "boto3", "aws"),
    "gcpsecret": _Library("prefect_gcp.secret_manager", "GcpSecret", "google.cloud.secretmanager", "gcp"),
}

#: Loggers that at DEBUG repeat whole answers of the clouds, secrets included.
_TALKATIVE = ("botocore.parsers", "google.cloud.secretmanager_v1")


def reveal(secret: SecretStr | None, purpose: str) -> str:
    """
    Return the secret's text.

    Args:
        secret: the value, or a reference to a secret block or a file.
        purpose: what it is for, by which an error names the setting.

    Raises:
        ConfigurationError: it is missing, or its block or file can't be read.
    """
    text = secret.get_secret_value() if secret else ""
    if not text:
        raise ConfigurationError(f"{purpose} is not set: set it in the environment, in .env or in its Prefect block")
    if text.startswith(_FILE):
        return _read_file(Path(text.removeprefix(_FILE)), purpose)
    if not text.startswith(_BLOCK):
        return text
    reference, _, key = text.removeprefix(_BLOCK).partition("#")
    value = _read_block(reference, purpose)
    return _select(value, key, reference) if key else value if isinstance(value, str) else json.dumps(value)


def _read_file(path: Path, purpose: str) -> str:
    try:
        text = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise ConfigurationError(
            f"{purpose} names the file {path.absolute()}, which can't be read ({why}): correct the path, or let the "
            "pipeline's user read it"
        ) from None
    if not text:
        raise ConfigurationError(f"{purpose} names the file {path.absolute()}, which is empty: put the secret into it")
    return text


def _read_block(reference: str, purpose: str) -> Any:
    require_server()
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        block = _load(reference)
        value = block.get() if hasattr(block, "get") else block.read_secret()
        return value.decode() if isinstance(value, bytes) else value
    except Exception as error:  # noqa: BLE001 - every secret store has its own errors, and some repeat the value
        advice = _missing_library(reference) or "check the block's name and its credentials in Prefect"
        raise ConfigurationError(
            f"{purpose} names the secret block '{reference}', which can't be read ({type(error).__name__}): {advice}"
        ) from None


def _load(reference: str) -> Any:
    """Return the block; to find the class of just any type, Prefect imports all its libraries, which takes seconds."""
    library = _LIBRARIES.get(reference.partition("/")[0])
    if not library:
        return Block.load(reference)
    cls = getattr(importlib.import_module(library.module), library.name)
    return cls.load(reference.partition("/")[2])


def _missing_library(reference: str) -> str:
    """Return how to install what the block's type needs; empty if it is there, or nothing of ours."""
    library = _LIBRARIES.get(reference.partition("/")[0])
    if not library:
        return ""
    try:
        importlib.import_module(library.module)
        importlib.import_module(library.client)
    except ImportError:
        return f"its library isn't installed, {install_extra(library.extra)}"
    return ""


def _select(value: Any, key: str, reference: str) -> str:
    try:
        return str((json.loads(value) if isinstance(value, str) else value)[key])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"the secret block '{reference}' is not a JSON object with the key '{key}'") from None
