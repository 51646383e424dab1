"""A run that fails alerts people, whatever else fails with it."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed, State

from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from tasks import failed_runs


def broken(*_: Any, **__: Any) -> Any:
    raise ValueError("quotes ada@acme.example")


@pytest.mark.parametrize(
    ("function", "others"),
    [
        (failed_runs.fail_books, ("open_warehouse", "get_client")),
        (failed_runs.fail_books, ("load_settings", "get_client")),
        (failed_runs.alert_failure, ("get_client",)),
    ],
)
def test_people_are_alerted_while_warehouse_and_server_fail(
    function: Callable[..., None], others: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with the cause of the run, and without what foreign errors quote."""
    sent: list[str] = []

    def notify(subject: str, body: str, _: Sequence[str], *, kind: str) -> int:
        sent.append(f"{kind}: {subject}\n{body}")
        return 1

    monkeypatch.setattr(failed_runs, "notify", notify)
    for name in others:
        monkeypatch.setattr(failed_runs, name, broken)
    run = FlowRun(flow_id=uuid.uuid4(), name="bold-otter", deployment_id=uuid.uuid4())
    state: State[Any] = Crashed(message="The process exited with status 137")
    function(enrich_contacts if function is failed_runs.fail_books else ingest_contacts, run, state)
    (message,) = sent
    assert message.startswith("failed: ")
    assert "The process exited with status 137" in message
    assert "ada@" not in message
