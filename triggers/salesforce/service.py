"""The subscriber as a process: put together from the settings, committing events to the queue, ended by a signal."""

import logging
import queue
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack

from blocks.base import configure
from blocks.crms.salesforce.block import Salesforce
from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError, sealed
from enrichment.plan import Reference
from triggers.pulse import Pulse, told_over_http
from triggers.salesforce.client import Endpoint
from triggers.salesforce.intake import CRM, EventIntake
from triggers.salesforce.listener import Listener, Patience
from triggers.salesforce.topic import Fields, Topic

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Two streams in a row may be silent before it is said that something is wrong.
_SILENCES, _MARGIN_SECONDS = 2, 60.0


@sealed
def listen(staged: Callable[[], None], *, health_host: str, health_port: int) -> None:
    """
    Listen to the topic of the settings until SIGTERM or SIGINT; to be called by the main thread.

    Args:
        staged: called after new records were committed, from another thread; returns at once.
        health_host: where `GET /health` is answered.
        health_port: 0 for any.

    Raises:
        ConfigurationError: a setting or a permission has to be fixed.
        CredentialsRejectedError: Salesforce refuses our credentials.
    """
    settings = load_settings()
    block = _block(settings.crm)
    patience = Patience(silence=block.events_silence_seconds)
    pulse = Pulse(_SILENCES * patience.silence + _MARGIN_SECONDS)
    with ExitStack() as stack:
        crm = block.get_crm()
        stack.callback(crm.close)
        warehouse = stack.enter_context(open_warehouse(settings.warehouse))
        warehouse.check_schema()
        listener = Listener(
            Endpoint.read(block.events_endpoint, block.events_ca_file),
            Topic(block.events_topic, Fields(block.events_id_field, block.events_email_field)),
            block.get_sessions()[1],
            EventIntake(warehouse, crm, staged),
            pulse,
            patience,
        )
        port = stack.enter_context(told_over_http(pulse, health_host, health_port))
        logger.info(
            "salesforce_listener_started topic=%s health=http://%s:%s/health", block.events_topic, health_host, port
        )
        _run_until_signalled(listener)


def _block(reference: str) -> Salesforce:
    parsed = Reference.parse(reference)
    if parsed.name != CRM:
        raise ConfigurationError(
            f"ENRICHMENT_CRM is {parsed.name}, so no run would enrich the contacts that this listener queues: "
            "set it to "
            "salesforce"
        )
    return configure(Salesforce, parsed.document)


def _run_until_signalled(listener: Listener) -> None:
    """Run the listener in a separate thread, so that a signal finds the main thread free to stop it."""
    # Unlike other locks, this queue may be used by a signal handler in the midst of itself.
    ends = queue.SimpleQueue[BaseException | None]()

    def work() -> None:
        try:
            listener.run()
        except BaseException as error:  # noqa: BLE001 - raised again by the main thread
            ends.put(error)
        else:
            ends.put(None)

    worker = threading.Thread(target=work, name="salesforce-listener")
    before = {number: signal.signal(number, lambda *_: ends.put(None)) for number in _SIGNALS}
    try:
        worker.start()
        error = ends.get()
        listener.stop()
        worker.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if error:
        raise error
