"""The listener as a process would run it: health, settings, signals."""

import os
import signal
import socket
import threading
import time

import httpx
import pytest
from typer.testing import CliRunner

from cli import app
from enrichment.errors import ConfigurationError
from tests.integration.crms.salesforce_org import SECRET
from tests.integration.salesforce_events.listening import Listening
from triggers.pulse import Pulse, told_over_http
from triggers.salesforce.service import listen


def test_a_listener_that_is_well_says_so() -> None:
    """With what it is doing; other paths are unknown."""
    pulse = Pulse(60)
    pulse.beat("listening")
    with told_over_http(pulse, "127.0.0.1", 0) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False)
        elsewhere = httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["doing"] == "listening"
    assert elsewhere.status_code == 404


def test_a_listener_that_took_nothing_in_for_long_is_not_well() -> None:
    """Whatever the reason: a stream, a warehouse, or a thread that hangs."""
    with told_over_http(Pulse(-1), "127.0.0.1", 0) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 503


def test_a_port_that_is_taken_is_a_setting_to_fix() -> None:
    """The message names the option."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with (
            pytest.raises(ConfigurationError, match="--health-port"),
            told_over_http(Pulse(1), "127.0.0.1", other.getsockname()[1]),
        ):
            pass


def test_another_crm_is_a_setting_to_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is staged for a CRM that no run serves would wait for ever."""
    monkeypatch.setenv("ENRICHMENT_CRM", "hubspot")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_CRM is hubspot"):
        listen(lambda: None, health_host="127.0.0.1", health_port=0)


def test_the_command_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with the exit code of wrong settings."""
    monkeypatch.setenv("ENRICHMENT_CRM", "hubspot")
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", "schedule")
    ended = CliRunner().invoke(app, ["listen", "salesforce", "--health-port", "0"])
    assert ended.exit_code == 2
    assert "ENRICHMENT_CRM is hubspot" in ended.stderr


def test_the_settings_make_a_listener_and_a_signal_ends_it(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the main thread until then, and leaves the signals as they were."""
    settings = {
        "CRM": "salesforce",
        "WAREHOUSE": "sqlite",
        "SALESFORCE_LOGIN_URL": listening.box.salesforce_url,
        "SALESFORCE_CONSUMER_KEY": listening.key,
        "SALESFORCE_CONSUMER_SECRET": SECRET,
        "SALESFORCE_EVENTS_ENDPOINT": listening.address.endpoint,
        "SALESFORCE_EVENTS_CA_FILE": str(listening.address.ca_file),
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"ENRICHMENT_{name}", value)
    before = signal.getsignal(signal.SIGTERM)
    found: list[bool] = []

    def end_when_staged() -> None:
        deadline = time.monotonic() + 60
        ids = listening.create(3)
        while not set(ids) <= listening.staged().keys() and time.monotonic() < deadline:
            time.sleep(0.01)
        found.append(set(ids) <= listening.staged().keys())
        os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=end_when_staged)
    helper.start()
    listen(listening.notified.set, health_host="127.0.0.1", health_port=0)
    helper.join()
    assert found == [True]
    assert listening.notified.is_set()
    assert signal.getsignal(signal.SIGTERM) == before
