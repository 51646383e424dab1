"""
Automations of Prefect's server: the net below the alerts that runs send themselves.

A run that was killed, or never began, can't alert anyone; the server can. It knows only Prefect's own notification
blocks, so people are reached through one of these.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from prefect import get_client
from prefect.blocks.core import Block
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import PrefectHTTPStatusError
from prefect.types import SecretDict
from prefect.variables import Variable

from blocks import events
from blocks.log import event
from blocks.notifiers.base import load_notifier
from blocks.notifiers.notification_block import PrefectNotifier
from blocks.notifiers.slack import SlackNotifier
from enrichment.errors import EnrichmentError

#: The Prefect Variable that knows what was made, by an automation's name.
SHIPPED = "enrichment-automations"
#: The notification block that is saved of the Slack notifier, since the server can't use ours.
SLACK_BLOCK = "contact-enrichment"

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
#: More than three times what Prefect lets runs wait between two signs of life (PREFECT_FLOWS_HEARTBEAT_FREQUENCY).
_SILENCE = timedelta(minutes=10)
_ENDED = ("Completed", "Failed", "Crashed", "Cancelled")


def make_automations(notifiers: Sequence[str], *, save: bool) -> list[str]:
    """
    Make the automations that are absent, bring those up to date that people left alone, and return their names.

    What people changed stays as it is, and what they deleted stays away: a Prefect Variable has a digest of each
    automation, as the server had it once it was made.

    Args:
        notifiers: references of the configured notifiers.
        save: whether a Slack webhook's URL may be saved as a notification block.
    """
    blocks = [found for reference in notifiers if (found := _notification_block(reference, save=save))]
    kept: Any = Variable.get(SHIPPED, {})
    shipped = dict(kept)
    made = []
    with get_client(sync_client=True) as client:
        for automation in (_declare_dead(), *(chain(_warnings(blocks), _notices(blocks)) if blocks else ())):
            try:
                if known := _ship(client, automation, shipped.get(automation.name, {})):
                    shipped[automation.name] = known
                    made.append(automation.name)
            except PrefectHTTPStatusError as error:  # a plan of Prefect Cloud may have no room for it
                event("automation_not_made", automation=automation.name, status=error.response.status_code)
    if made:
        Variable.set(SHIPPED, shipped, overwrite=True)
    return made


def _ship(client: SyncPrefectClient, wanted: AutomationCore, known: Mapping[str, str]) -> dict[str, str] | None:
    """Make an automation, or bring it up to date, and return what to remember of it; None if it stays as it is."""
    there = next(iter(client.read_automations_by_name(wanted.name)), None)
    if known and (there is None or known["there"] != _digest(there)):
        event("automation_left_alone", automation=wanted.name, because="a person has changed or deleted it")
        return None
    if there is None:
        client.create_automation(wanted)
    elif known and known["shipped"] != _digest(wanted):
        client.update_automation(there.id, wanted.model_copy(update={"enabled": there.enabled}))
    else:
        return None
    (now,) = client.read_automations_by_name(wanted.name)
    return {"shipped": _digest(wanted), "there": _digest(now)}


def _digest(automation: AutomationCore) -> str:
    """Return what two automations have in common that do the same; whether it is switched on makes no difference."""
    compared = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    return hashlib.sha256(json.dumps(_sorted(compared), sort_keys=True).encode()).hexdigest()[:16]


def _sorted(value: Any) -> Any:
    """Return plain values with every list in one order, since the events of a trigger are a set."""
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in value.items()}
    return sorted(map(_sorted, value), key=str) if isinstance(value, list) else value


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


def _notices(blocks: Sequence[UUID]) -> Iterator[AutomationCore]:
    """Give the automations that react on what runs report as events."""
    yield AutomationCore(
        name="Contact enrichment: a live contact has waited for an hour",
        description="Runs end, and leave it in the queue.",
        trigger=EventTrigger(
            match={"prefect.resource.id": events.QUEUE_RESOURCE["prefect.resource.id"]},
            expect={events.STALE_EVENT},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(hours=6),
        ),
        actions=_send(blocks, "a live contact has waited for an hour", "{{ event.payload.says }}"),
    )
    yield AutomationCore(
        name="Contact enrichment: a provider has used 80 % of its credits of the day",
        description="Beyond the cap contacts wait for the next day (UTC).",
        trigger=EventTrigger(
            match={"prefect.resource.id": "contact-enrichment.credits.*"},
            expect={events.SPENDING_EVENT},
            # The day is a part of the resource: one message for each provider and day.
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(days=1),
        ),
        actions=_send(
            blocks,
            "80 % of the day's credits are used",
            "{{ event.payload.says }}. Beyond the cap contacts wait for the next day (UTC); ENRICHMENT_CREDITS_PER_DAY "
            "sets it.",
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
