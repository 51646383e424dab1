"""
Automations of Prefect's server: the net below the alerts that runs send themselves.

A run that was killed, or never began, can't alert anyone; the server can. It knows only Prefect's own notification
blocks, so people are reached through one of these.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import PrefectHTTPStatusError
from prefect.types import SecretDict

from blocks.log import event
from blocks.notifiers.base import load_notifier
from blocks.notifiers.notification_block import PrefectNotifier
from blocks.notifiers.slack import SlackNotifier
from enrichment.errors import EnrichmentError

#: The notification block that is saved of the Slack notifier, since the server can't use ours.
SLACK_BLOCK = "contact-enrichment"

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
#: More than three times what Prefect lets runs wait between two signs of life (PREFECT_FLOWS_HEARTBEAT_FREQUENCY).
_SILENCE = timedelta(minutes=10)
_ENDED = ("Completed", "Failed", "Crashed", "Cancelled")


def make_automations(notifiers: Sequence[str], *, save: bool) -> list[str]:
    """
    Make the automations that are absent, and return their names; those of these names stay as people made them.

    Args:
        notifiers: references of the configured notifiers.
        save: whether a Slack webhook's URL may be saved as a notification block.
    """
    blocks = [found for reference in notifiers if (found := _notification_block(reference, save=save))]
    made = []
    with get_client(sync_client=True) as client:
        for automation in (_declare_dead(), *(_warnings(blocks) if blocks else ())):
            try:
                if not client.read_automations_by_name(automation.name):
                    client.create_automation(automation)
                    made.append(automation.name)
            except PrefectHTTPStatusError as error:  # a plan of Prefect Cloud may have no room for it
                event("automation_not_made", automation=automation.name, status=error.response.status_code)
    return made


def _notification_block(reference: str, *, save: bool) -> UUID | None:
    """Return the id of the notification block by which the server can reach a notifier; None if there is none."""
    try:
        notifier = load_notifier(reference)
    except EnrichmentError:  # `enrich doctor` says what is wrong with it
        return None
    if isinstance(notifier, PrefectNotifier):
        return notifier.block_id
    if isinstance(notifier, SlackNotifier):
        return _slack_block(notifier, save=save)
    return None


def _slack_block(notifier: SlackNotifier, *, save: bool) -> UUID | None:
    if save:
        # Prefect's own Slack block takes no other host than Slack's, and so no compatible service.
        block = CustomWebhookNotificationBlock(
            name="Slack",
            url="{{webhook}}",
            json_data={"text": "*{{subject}}*\n{{body}}"},
            secrets=SecretDict({"webhook": notifier.url}),
        )
        return UUID(str(block.save(SLACK_BLOCK, overwrite=True)))
    try:
        loaded: Any = Block.load(f"{CustomWebhookNotificationBlock.get_block_type_slug()}/{SLACK_BLOCK}")
    except ValueError:
        return None
    return UUID(str(loaded._block_document_id))  # noqa: SLF001 - Prefect has no other way to it


def _declare_dead() -> AutomationCore:
    """Declare a run crashed that gives no sign of life; by default, runs give one every three minutes."""
    beat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name="Contact enrichment: a run without a sign of life has crashed",
        description="Frees the slot of a run whose process was killed; the next run continues its work.",
        trigger=EventTrigger(
            match=_RUNS,
            match_related=_tagged("enrichment"),
            for_each={"prefect.resource.id"},
            after={beat},
            expect={beat, *(f"prefect.flow-run.{name}" for name in _ENDED)},
            posture=Posture.Proactive,
            threshold=1,
            within=_SILENCE,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="The run gave no sign of life for ten minutes.")],
    )


def _warnings(blocks: Sequence[UUID]) -> Iterator[AutomationCore]:
    """Give the automations that alert people to what a run can't say itself."""
    yield AutomationCore(
        name="Contact enrichment: a run crashed",
        description="Its process was killed, or its machine went away.",
        trigger=_reactive("prefect.flow-run.Crashed", minutes=10),
        actions=_send(blocks, "a run crashed", "Nothing is lost: locks expire by themselves, the next run continues."),
    )
    yield AutomationCore(
        name="Contact enrichment: runs are late",
        description="No worker takes them.",
        trigger=_reactive("prefect.flow-run.Late", minutes=60),
        actions=_send(
            blocks, "runs are late", "No worker takes them: start one with `prefect worker start --pool enrichment`."
        ),
    )
    yield AutomationCore(
        name="Contact enrichment: no run of the live queue has begun for an hour",
        description="The schedule is off, or nothing schedules or takes its runs.",
        trigger=EventTrigger(
            match=_RUNS,
            match_related=_tagged("live"),
            expect={"prefect.flow-run.Running"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(hours=1),
        ),
        actions=_send(
            blocks,
            "no run of the live queue has begun for an hour",
            "Check the schedule of the deployment enrich-contacts/live and its worker. If you paused it on purpose, "
            "switch this automation off.",
        ),
    )


def _reactive(expected: str, *, minutes: int) -> EventTrigger:
    """Return a trigger that fires at the first such event, and no more within this time."""
    return EventTrigger(
        match=_RUNS,
        match_related=_tagged("enrichment"),
        expect={expected},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(minutes=minutes),
    )


def _tagged(tag: str) -> dict[str, str | list[str]]:
    return {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{tag}"}


def _send(blocks: Sequence[UUID], subject: str, advice: str) -> list[Any]:
    body = "{{ flow.name }}, flow run {{ flow_run.name }}\n" if "crashed" in subject else ""
    return [
        SendNotification(block_document_id=one, subject=f"Contact enrichment: {subject}", body=f"{body}{advice}")
        for one in blocks
    ]
