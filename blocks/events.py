"""
What the pipeline reports to Prefect as events, on which automations react: names and resources stand here alone.

A payload holds counts and short codes, never ids or data of contacts. docs/alerts.md lists the events.
"""

from prefect.events import emit_event
from prefect.settings import get_current_settings

#: The event and the resource by which the trigger in prefect.yaml knows that live contacts were queued.
STAGED_EVENT = "contact-enrichment.contacts-staged"
QUEUE_RESOURCE = {"prefect.resource.id": "contact-enrichment.queue", "prefect.resource.name": "Staged contacts"}
#: The same for the process of `enrich listen queue` alone, which knows both by their resource.
RESIDENT_EVENT = "contact-enrichment.live-run-requested"
#: Contacts that wait for a backfill start no run.
BACKFILL_RESOURCE = {
    "prefect.resource.id": "contact-enrichment.backfill-queue",
    "prefect.resource.name": "Staged contacts of the backfill queue",
}

ENRICHED_EVENT = "contact-enrichment.contacts-enriched"
FAILED_EVENT = "contact-enrichment.run-failed"
MESSAGE_EVENT = "contact-enrichment.message-sent"
CAP_EVENT = "contact-enrichment.credit-cap-reached"
SPENDING_EVENT = "contact-enrichment.credits-nearly-spent"
STALE_EVENT = "contact-enrichment.queue-stale"


def resource(kind: str, name: str, label: str = "") -> dict[str, str]:
    """Return what an event is about, such as a CRM, a flow, or the credits of a provider."""
    return {"prefect.resource.id": f"contact-enrichment.{kind}.{name}", "prefect.resource.name": label or name}


def are_taken() -> bool:
    """Return whether there is a server that takes events."""
    return bool(get_current_settings().api.url)


def emit(name: str, about: dict[str, str], **payload: object) -> None:
    """Send an event in the background if there is a server; Prefect adds the run that it arises in."""
    if are_taken():
        emit_event(name, resource=about, payload=payload)
