"""Commands that wait for new contacts; each runs until it is stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from commands.terminal import reported_errors

if TYPE_CHECKING:
    from triggers.starting import RunStarter

listen = typer.Typer(help="Listen for new contacts, and put them into the queue as they appear.", no_args_is_help=True)

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all addresses of the machine.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 for any.")]
HealthHost = Annotated[str, typer.Option(help="Address of the health check, `GET /health`.")]
HealthPort = Annotated[int, typer.Option(min=0, max=65_535, help="Port of the health check; 0 for any.")]


@contextmanager
def _starter() -> Iterator["RunStarter"]:
    """Give what starts runs for staged contacts, with log lines shown as long as it is open."""
    from triggers.serving import shown_on_stderr  # noqa: PLC0415 - Prefect takes seconds to import
    from triggers.starting import RunStarter  # noqa: PLC0415

    with reported_errors(), shown_on_stderr(), RunStarter.from_settings() as starter:
        yield starter


@listen.command("hubspot", epilog="Example: `enrich listen hubspot --host 0.0.0.0 --port 8080`")
def listen_hubspot(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Receive HubSpot's webhooks, and signed contacts from other systems, until SIGTERM or SIGINT."""
    with _starter() as starter:
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.contact import erase_contact  # noqa: PLC0415
        from triggers.serving import serve_hubspot  # noqa: PLC0415

        erase = partial(erase_contact, load_settings().warehouse, "hubspot", by="hubspot")
        serve_hubspot(host, port, staged=starter.staged, erase=erase)


@listen.command("contacts", epilog="Example: `enrich listen contacts --port 8081`")
def listen_contacts(host: Host = "127.0.0.1", port: Port = 8080) -> None:
    """Receive signed contacts only, for a CRM that sends no webhooks, until SIGTERM or SIGINT."""
    with _starter() as starter:
        from triggers.serving import serve_contacts  # noqa: PLC0415

        serve_contacts(host, port, staged=starter.staged)


@listen.command("salesforce", epilog="Example: `enrich listen salesforce`")
def listen_salesforce(health_host: HealthHost = "127.0.0.1", health_port: HealthPort = 8081) -> None:
    """Receive contacts from Salesforce's events (Pub/Sub API), until SIGTERM or SIGINT."""
    with _starter() as starter:
        from triggers.salesforce.service import listen as listen_to_events  # noqa: PLC0415

        listen_to_events(starter.staged, health_host=health_host, health_port=health_port)


@listen.command("queue", epilog="Example: `ENRICHMENT_START_RUNS_BY=resident enrich listen queue`")
def listen_queue(health_host: HealthHost = "127.0.0.1", health_port: HealthPort = 8082) -> None:
    """Enrich live contacts as soon as they are queued, in this process, until SIGTERM or SIGINT."""
    from triggers.serving import shown_on_stderr  # noqa: PLC0415 - Prefect takes seconds to import

    with reported_errors(), shown_on_stderr():
        from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415
        from triggers.live_runs import serve_live_runs  # noqa: PLC0415

        serve_live_runs(partial(enrich_contacts, lane="live"), health_host=health_host, health_port=health_port)
