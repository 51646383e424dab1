"""What Prefect keeps for us: secret blocks and saved configuration, on a real server."""

import json
import math
from typing import Any, ClassVar

import pytest
from prefect import flow, task
from prefect.blocks.core import Block
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings
from pydantic import Field, SecretStr

from blocks import base
from blocks.base import PipelineBlock, configure
from blocks.notifiers.slack import Slack
from blocks.registration import block_classes, make_limit, register_blocks, save_blocks
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError, EnrichmentError

VALUE = "s3cr3t-v4lue"
SETTING = "ENRICHMENT_X_TOKEN"


class Crate(PipelineBlock):
    """A block with a plain and a secret field."""

    _block_type_name = "Test Crate"
    vendor: ClassVar[str] = "test_crate"

    weight: int = Field(default=1, ge=1, description="How heavy it is.")
    address: str = Field(default="home", description="Where it goes.")
    seal: SecretStr | None = Field(default=None, description="What keeps it shut.")


class BrokenStore(Block):
    """A secret store that fails, and repeats the secret while it does."""

    _block_type_name = "Test Broken Store"

    def read_secret(self) -> str:
        raise RuntimeError(f"cannot read {VALUE}")


class ByteStore(Block):
    """A secret store that gives bytes, as those of the clouds do."""

    _block_type_name = "Test Byte Store"

    def read_secret(self) -> bytes:
        return VALUE.encode()


@pytest.fixture(scope="module", autouse=True)
def kept(prefect_server: None) -> None:
    """Keep a few secrets in Prefect."""
    save_secrets()


def save_secrets() -> None:
    """Save a few secrets of different forms."""
    Secret(value=VALUE).save("plain")
    Secret(value={"token": VALUE, "port": 5432}).save("object")
    Secret(value=json.dumps({"token": VALUE})).save("text-of-an-object")
    Secret(value=json.dumps([VALUE])).save("text-of-a-list")
    BrokenStore().save("broken")
    ByteStore().save("bytes")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("secret/plain", VALUE),
        ("test-byte-store/bytes", VALUE),
        ("secret/object#token", VALUE),
        ("secret/object#port", "5432"),
        ("secret/text-of-an-object#token", VALUE),
    ],
)
def test_a_reference_is_read_from_its_block(reference: str, text: str) -> None:
    """A secret block gives its value, and a JSON secret the key that is asked for."""
    assert reveal(SecretStr(f"block:{reference}"), SETTING) == text


def test_a_json_secret_without_a_key_is_its_whole_text() -> None:
    """An object that no key selects from arrives as JSON."""
    assert json.loads(reveal(SecretStr("block:secret/object"), SETTING)) == {"token": VALUE, "port": 5432}


@pytest.mark.parametrize(
    "reference",
    ["secret/nobody", "no-such-type/plain", "secret", "", "#token", "secret/nobody#token", "test-broken-store/broken"],
)
def test_a_block_that_can_not_be_read_names_setting_and_block(reference: str) -> None:
    """The message says which setting leads to which block, and nothing of what a store may have said."""
    with pytest.raises(ConfigurationError) as caught:
        reveal(SecretStr(f"block:{reference}"), SETTING)
    assert SETTING in str(caught.value)
    assert f"'{reference.partition('#')[0]}'" in str(caught.value)
    assert VALUE not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["plain", "object", "text-of-an-object", "text-of-a-list"])
def test_a_key_that_a_secret_lacks_is_named_without_the_secret(name: str) -> None:
    """The message says which block lacks which key, and shows none of its values."""
    with pytest.raises(ConfigurationError) as caught:
        reveal(SecretStr(f"block:secret/{name}#absent"), SETTING)
    assert f"'secret/{name}'" in str(caught.value)
    assert "'absent'" in str(caught.value)
    assert VALUE not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_rotated_secret_is_read_again() -> None:
    """The next use of a reference sees the new value, without a restart."""
    Secret(value="old").save("rotated", overwrite=True)
    assert reveal(SecretStr("block:secret/rotated"), SETTING) == "old"
    Secret(value="new").save("rotated", overwrite=True)
    assert reveal(SecretStr("block:secret/rotated"), SETTING) == "new"


def test_a_saved_block_is_used_by_its_name_and_overridden_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document fills the fields, and a variable replaces single ones."""
    Crate(weight=5, seal=SecretStr(VALUE)).save("heavy", overwrite=True)
    assert configure(Crate, "heavy").weight == 5
    monkeypatch.setenv("ENRICHMENT_TEST_CRATE_WEIGHT", "6")
    crate = configure(Crate, "heavy")
    assert (crate.weight, crate.address) == (6, "home")
    assert reveal(crate.seal, SETTING) == VALUE


def test_a_saved_block_can_lead_on_to_a_secret_block() -> None:
    """A reference that was saved stays a reference until it is used."""
    Crate(seal=SecretStr("block:secret/plain")).save("referring", overwrite=True)
    assert reveal(configure(Crate, "referring").seal, SETTING) == VALUE


@pytest.mark.parametrize(("seconds", "weights"), [(math.inf, (5, 5)), (1e-9, (5, 6))])
def test_a_run_reads_a_block_once_in_a_while(
    seconds: float, weights: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps share what one has read; another run, or a command outside a run, sees what was saved since."""
    monkeypatch.setattr(base, "_READ_AGAIN_SECONDS", seconds)

    @task
    def weigh() -> int:
        return configure(Crate, "changing").weight

    @flow
    def run(weight: int) -> tuple[int, int]:
        Crate(weight=weight).save("changing", overwrite=True)
        first = weigh()
        Crate(weight=weight + 1).save("changing", overwrite=True)
        return first, weigh.submit().result()

    assert run(5) == weights
    assert configure(Crate, "changing").weight == 6
    assert run(1)[0] == 1


def test_an_unknown_block_is_named_with_its_type() -> None:
    """A document that isn't there is not a silent default."""
    with pytest.raises(ConfigurationError, match="no block 'nobody' of the type 'test-crate'"):
        configure(Crate, "nobody")


@pytest.mark.parametrize("by_environment", [True, False])
def test_the_default_block_is_used_wherever_prefect_knows_its_server(
    monkeypatch: pytest.MonkeyPatch, by_environment: bool
) -> None:
    """Prefect's server may be named by the environment or by the profile: the saved default is found either way."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if by_environment:
        monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    Crate(weight=9).save("default", overwrite=True)
    assert configure(Crate, "").weight == 9


def test_a_prefect_server_that_is_down_is_said_in_our_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No foreign error escapes where saved configuration can't be read."""
    nobody = "http://127.0.0.1:9/api"
    monkeypatch.setenv("PREFECT_API_URL", nobody)
    with temporary_settings({PREFECT_API_URL: nobody}), pytest.raises(EnrichmentError, match="Prefect"):
        configure(Crate, "")


def test_without_a_saved_default_a_block_has_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing saved and no name given is not an error."""
    monkeypatch.setenv("PREFECT_API_URL", str(get_current_settings().api.url))
    assert configure(Slack, "").timeout_seconds == Slack().timeout_seconds


def test_the_present_configuration_can_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setup saves what the environment holds now, as the default block of the vendors asked for and of no other."""
    monkeypatch.setenv("ENRICHMENT_EMAIL_HOST", "smtp.example.com")
    assert save_blocks({"email"}) == ["e-mail-notifier/default"]
    monkeypatch.delenv("ENRICHMENT_EMAIL_HOST")
    email: Any = next(cls for cls in block_classes() if cls.vendor == "email")
    assert email.load("default").host == "smtp.example.com"
    email.delete("default")  # other tests on this server send e-mail by the environment alone


def test_every_block_can_be_registered() -> None:
    """Prefect takes the type and the schema of each block, and its UI can offer the form."""
    assert register_blocks() == [cls.get_block_type_name() for cls in block_classes()]


def test_a_limit_is_made_once_and_left_alone_afterwards() -> None:
    """People may have changed its slots."""
    assert make_limit("test-limit", 2)
    assert not make_limit("test-limit", 5)
