"""Every block that Prefect's UI offers: described, documented, and silent about its secrets."""

import re
import typing

import pytest
from prefect.blocks.core import Block, block_schema_to_key
from prefect.utilities.dispatch import lookup_type
from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from blocks.base import PipelineBlock, module_names, own_fields
from blocks.providers.spec.model import spec_names
from blocks.registration import block_classes

PACKAGES = ("blocks.crms", "blocks.warehouses", "blocks.notifiers", "blocks.listeners")
VENDORS = [*spec_names(), *(name for package in PACKAGES for name in module_names(package))]
MARKER = "m4rk3r-of-a-secret"
#: A field whose name has one of these words holds a secret.
SECRET_WORDS = {"token", "password", "secret", "credential", "credentials", "dsn", "webhook", "key", "private"}


def is_secret(info: FieldInfo) -> bool:
    """Return whether a field's type hides its value."""
    return bool({SecretStr, SecretBytes} & {info.annotation, *typing.get_args(info.annotation)})


@pytest.fixture(params=VENDORS)
def cls(request: pytest.FixtureRequest) -> type[PipelineBlock]:
    """Give each block's class: not as a parameter, for which every test process would import every vendor's library."""
    return next(each for each in block_classes() if each.vendor == request.param)


def filled(cls: type[PipelineBlock]) -> PipelineBlock:
    """Return the block with the marker in each of its secrets."""
    return cls(**{name: MARKER for name, info in own_fields(cls).items() if is_secret(info)})


def test_every_vendor_has_its_block() -> None:
    """All providers, CRMs, warehouses, notifiers and listeners that are there are offered."""
    assert sorted(cls.vendor for cls in block_classes()) == sorted(VENDORS)


def test_no_two_blocks_share_a_type() -> None:
    """Prefect distinguishes block types by their slug."""
    slugs = [cls.get_block_type_slug() for cls in block_classes()]
    assert len(slugs) == len(set(slugs))


def test_prefect_finds_a_block_by_the_key_of_its_schema(cls: type[PipelineBlock]) -> None:
    """The key that is given at once is the one that Prefect would build the schema for."""
    assert cls.__dispatch_key__() == block_schema_to_key(cls._to_block_schema())
    assert lookup_type(Block, cls.__dispatch_key__()) is cls


def test_a_block_is_described(cls: type[PipelineBlock]) -> None:
    """Prefect's catalogue shows what the block is for, in sentences."""
    assert str(cls.get_description()).strip().endswith(".")


def test_a_block_leads_to_its_documentation(cls: type[PipelineBlock]) -> None:
    """Prefect's catalogue links to the vendor's own page."""
    assert re.match(r"https://[^/]+\.[^/]+", str(cls._documentation_url))


def test_a_block_shows_how_it_is_used(cls: type[PipelineBlock]) -> None:
    """The docstring holds an example that saves or loads this very block."""
    example = cls.get_code_example()
    assert example, "the docstring needs a section 'Example:'"
    assert cls.__name__ in example
    assert ".save(" in example or ".load(" in example


def test_every_field_is_described_in_a_sentence(cls: type[PipelineBlock]) -> None:
    """The form says of each field what belongs there."""
    fields = own_fields(cls).items()
    assert [name for name, info in fields if not str(info.description).strip().endswith(".")] == []


def test_every_field_that_holds_a_secret_hides_it(cls: type[PipelineBlock]) -> None:
    """What is called a token, a password or the like is of a type that shows only asterisks."""
    fields = own_fields(cls).items()
    assert [name for name, info in fields if SECRET_WORDS & set(name.split("_")) and not is_secret(info)] == []


def test_a_filled_block_shows_no_secret(cls: type[PipelineBlock]) -> None:
    """Neither the text, the JSON nor the dump of a block shows a secret; the fields themselves hold it."""
    block = filled(cls)
    shown = f"{block!r} {block!s} {block.model_dump_json()} {block.model_dump()} {cls.model_json_schema()}"
    assert MARKER not in shown
    secrets = [getattr(block, name) for name, info in own_fields(cls).items() if is_secret(info)]
    assert all(secret.get_secret_value() == MARKER for secret in secrets)


def test_prefect_knows_every_secret_of_a_block(cls: type[PipelineBlock]) -> None:
    """The schema that is registered marks the secrets, so that Prefect encrypts them and its UI masks them."""
    secrets = {name for name, info in own_fields(cls).items() if is_secret(info)}
    assert set(cls.model_json_schema()["secret_fields"]) == secrets
