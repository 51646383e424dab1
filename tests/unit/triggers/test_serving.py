"""Starting the receiver: each setting that is missing or wrong is named before anything listens."""

import socket
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from blocks.listeners.receiver import load_receiver
from blocks.warehouses.base import Warehouse
from cli import app
from enrichment.errors import ConfigurationError
from triggers.serving import serve_contacts, serve_hubspot

HUBSPOT = {
    "ENRICHMENT_HUBSPOT_CLIENT_SECRET": "m4rk3r",
    "ENRICHMENT_HUBSPOT_TARGET_URL": "https://hooks.example.com/hubspot/webhook",
}


@pytest.fixture
def configured(make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set all that the receiver needs; a test takes something away."""
    make_warehouse("sqlite")
    for name, value in HUBSPOT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ENRICHMENT_HUBSPOT_CLIENT_SECRET", "", "ENRICHMENT_HUBSPOT_CLIENT_SECRET is not set"),
        ("ENRICHMENT_HUBSPOT_TARGET_URL", "", "ENRICHMENT_HUBSPOT_TARGET_URL is not set"),
        ("ENRICHMENT_HUBSPOT_TARGET_URL", "hooks.example.com", "ENRICHMENT_HUBSPOT_TARGET_URL"),
        ("ENRICHMENT_HUBSPOT_APP_ID", "my app", "ENRICHMENT_HUBSPOT_APP_ID"),
        ("ENRICHMENT_RECEIVER_DELIVERIES_AT_ONCE", "9", "ENRICHMENT_RECEIVER_DELIVERIES_AT_ONCE"),
        ("ENRICHMENT_RECEIVER_ANSWER_WITHIN_SECONDS", "5", "ENRICHMENT_RECEIVER_ANSWER_WITHIN_SECONDS"),
        ("ENRICHMENT_CRM", "salesforce", "ENRICHMENT_CRM is salesforce"),
        ("ENRICHMENT_SQLITE_PATH", "absent.db", "enrich setup"),
    ],
)
def test_what_is_missing_or_wrong_is_named(configured: pytest.MonkeyPatch, name: str, value: str, words: str) -> None:
    """The message has the variable or the command that fixes it, and no secret."""
    configured.setenv(name, value)
    with pytest.raises(ConfigurationError, match=words) as raised:
        serve_hubspot("127.0.0.1", 0, staged=lambda: None)
    assert "m4rk3r" not in str(raised.value)


def test_a_port_that_is_taken_is_named(configured: pytest.MonkeyPatch) -> None:
    """Two receivers can't share a port."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match=r"can't listen on 127\.0\.0\.1 port"),
    ):
        serve_hubspot("127.0.0.1", taken.getsockname()[1], staged=lambda: None)


def test_contacts_alone_need_their_secret(configured: pytest.MonkeyPatch) -> None:
    """Unsigned contacts are never taken."""
    with pytest.raises(ConfigurationError, match="ENRICHMENT_RECEIVER_SHARED_SECRET is not set"):
        serve_contacts("127.0.0.1", 0, staged=lambda: None)


def test_the_command_exits_with_2_for_wrong_settings() -> None:
    """As every command does."""
    result = CliRunner().invoke(app, ["listen", "hubspot", "--port", "0"])
    assert result.exit_code == 2


def test_both_shared_secrets_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """During a rotation the previous one is in force too."""
    assert load_receiver().shared_secrets() == ()
    monkeypatch.setenv("ENRICHMENT_RECEIVER_SHARED_SECRET", "new")
    monkeypatch.setenv("ENRICHMENT_RECEIVER_PREVIOUS_SHARED_SECRET", "old")
    assert load_receiver().shared_secrets() == ("new", "old")


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_m4rk3r m4rk3r m4rk3r m4rk3r m4rk3r m4rk3r"])
def test_a_secret_that_only_looks_like_one_of_standard_webhooks_is_named(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    """Else every delivery would be refused, and no one would know why."""
    monkeypatch.setenv("ENRICHMENT_RECEIVER_PREVIOUS_SHARED_SECRET", secret)
    with pytest.raises(
        ConfigurationError, match="ENRICHMENT_RECEIVER_PREVIOUS_SHARED_SECRET begins with whsec_"
    ) as raised:
        load_receiver().shared_secrets()
    assert "m4rk3r" not in str(raised.value)
    monkeypatch.setenv("ENRICHMENT_RECEIVER_PREVIOUS_SHARED_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert len(load_receiver().shared_secrets()) == 1
