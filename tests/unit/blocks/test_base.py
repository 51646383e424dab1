"""Blocks are found by name and filled from the environment."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from blocks.base import (
    PipelineBlock,
    block_class,
    configure,
    env_file,
    environment_values,
    module_names,
    own_fields,
    variable_prefix,
)
from blocks.crms.base import CrmBlock, load_crm
from blocks.notifiers.base import NotifierBlock, load_notifier
from blocks.providers.block import load_provider
from blocks.providers.spec.model import spec_names
from blocks.registration import block_classes
from blocks.warehouses.base import WarehouseBlock, load_warehouse
from enrichment.errors import ConfigurationError

KINDS: dict[str, type[PipelineBlock]] = {
    "blocks.crms": CrmBlock,
    "blocks.warehouses": WarehouseBlock,
    "blocks.notifiers": NotifierBlock,
}


class Parcel(PipelineBlock):
    """A block of each kind of field."""

    _block_type_name = "Test Parcel"
    vendor: ClassVar[str] = "test-parcel"

    weight: int = Field(default=1, ge=1, le=10, description="How heavy it is.")
    address: str = Field(default="home", pattern="^[a-z]+$", description="Where it goes.")
    label: Path | None = Field(default=None, description="What is printed on it.")
    contents: list[str] = Field(default=[], description="What is in it.")
    seal: SecretStr | None = Field(default=None, description="What keeps it shut.")


@pytest.mark.parametrize("package", KINDS)
def test_every_vendor_of_a_package_is_found_by_its_module_s_name(package: str) -> None:
    """Being there is enough: the module's name gives the block class, which calls itself by it."""
    names = module_names(package)
    assert names
    assert "base" not in names
    assert not [name for name in names if name.startswith("_")]
    assert [block_class(package, name, KINDS[package]).vendor for name in names] == [*names]


@pytest.mark.parametrize(
    ("load", "kind", "known"),
    [
        (load_crm, "crm", lambda: module_names("blocks.crms")),
        (load_warehouse, "warehouse", lambda: module_names("blocks.warehouses")),
        (load_notifier, "notifier", lambda: module_names("blocks.notifiers")),
        (load_provider, "provider", spec_names),
    ],
)
@pytest.mark.parametrize("reference", ["nobody", "nobody/special", "base", "_private", "", "../secrets"])
def test_an_unknown_vendor_lists_those_that_there_are(
    load: Callable[[str], object], kind: str, known: Callable[[], list[str]], reference: str
) -> None:
    """A misspelled name is answered with the kind of thing it should be and the names to choose from."""
    with pytest.raises(ConfigurationError) as caught:
        load(reference)
    assert kind in str(caught.value)
    assert all(name in str(caught.value) for name in known())


def test_every_vendor_has_environment_variables_of_its_own() -> None:
    """No two blocks share a variable, nor does one hide behind another's prefix."""
    names = [f"{variable_prefix(cls.vendor)}{field}".upper() for cls in block_classes() for field in own_fields(cls)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"ENRICHMENT_[A-Z0-9_]+", name) for name in names)


def test_a_block_s_own_fields_are_those_that_it_declares() -> None:
    """What Prefect adds to a block is not a setting of ours."""
    assert list(own_fields(Parcel)) == ["weight", "address", "label", "contents", "seal"]


def test_without_settings_a_block_has_its_defaults() -> None:
    """Nothing set is not an error."""
    assert configure(Parcel, "") == Parcel()
    assert environment_values(Parcel) == {}


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("ENRICHMENT_TEST_PARCEL_WEIGHT", "7", "weight", 7),
        ("enrichment_test_parcel_weight", "7", "weight", 7),
        ("ENRICHMENT_TEST_PARCEL_ADDRESS", "office", "address", "office"),
        ("ENRICHMENT_TEST_PARCEL_LABEL", "/tmp/label.txt", "label", Path("/tmp/label.txt")),
        ("ENRICHMENT_TEST_PARCEL_CONTENTS", '["a", "b"]', "contents", ["a", "b"]),
        ("ENRICHMENT_TEST_PARCEL_SEAL", "wax", "seal", SecretStr("wax")),
        ("ENRICHMENT_TEST_PARCEL_WEIGHT", "", "weight", 1),
        ("ENRICHMENT_PARCEL_WEIGHT", "7", "weight", 1),
    ],
)
def test_the_environment_overrides_single_fields(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: object
) -> None:
    """A variable sets its field and no other; an empty one sets nothing."""
    monkeypatch.setenv(variable, text)
    expected = Parcel().model_dump() | {field: value}
    assert configure(Parcel, "").model_dump() == expected


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("ENRICHMENT_TEST_PARCEL_WEIGHT", "heavyweight"),
        ("ENRICHMENT_TEST_PARCEL_WEIGHT", "4711"),
        ("ENRICHMENT_TEST_PARCEL_ADDRESS", "Unter den Linden 1"),
        ("ENRICHMENT_TEST_PARCEL_CONTENTS", "apples,pears"),
        ("ENRICHMENT_TEST_PARCEL_CONTENTS", '{"apples": 4711}'),
    ],
)
def test_a_wrong_value_names_its_variable_and_not_itself(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    """The message says which variable is wrong and why, and repeats nothing that may be a secret."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError) as caught:
        configure(Parcel, "")
    assert f"{variable}:" in str(caught.value)
    assert text not in str(caught.value)
    assert caught.value.__suppress_context__


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mistakes take one look, not two."""
    monkeypatch.setenv("ENRICHMENT_TEST_PARCEL_WEIGHT", "0")
    monkeypatch.setenv("ENRICHMENT_TEST_PARCEL_ADDRESS", "Ä")
    with pytest.raises(ConfigurationError, match=r"PARCEL_WEIGHT: .*; ENRICHMENT_TEST_PARCEL_ADDRESS: "):
        configure(Parcel, "")


def test_the_env_file_is_read_below_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`ENRICHMENT_ENV_FILE` names the file; a variable of the environment wins over a line of the file."""
    settings = tmp_path / "settings.env"
    settings.write_text(
        "# a comment\nENRICHMENT_TEST_PARCEL_WEIGHT=3\nENRICHMENT_TEST_PARCEL_ADDRESS='office'\nUNRELATED=1\n"
        "ENRICHMENT_TEST_PARCEL_LABEL=\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(settings))
    monkeypatch.setenv("ENRICHMENT_TEST_PARCEL_WEIGHT", "4")
    parcel = configure(Parcel, "")
    assert (parcel.weight, parcel.address, parcel.label) == (4, "office", None)


def test_a_wrong_line_of_the_env_file_names_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It makes no difference where a wrong value stands."""
    settings = tmp_path / "settings.env"
    settings.write_text("ENRICHMENT_TEST_PARCEL_WEIGHT=heavyweight\n", encoding="utf-8")
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(settings))
    with pytest.raises(ConfigurationError, match="ENRICHMENT_TEST_PARCEL_WEIGHT") as caught:
        configure(Parcel, "")
    assert "heavyweight" not in str(caught.value)


def test_the_env_file_is_the_one_of_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, `.env` is read."""
    monkeypatch.delenv("ENRICHMENT_ENV_FILE")
    assert env_file() == Path(".env")
