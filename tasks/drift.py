"""Looking at the mapping: a sample of the saved replies against the rules that read them, and the CRM's fields."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from prefect.runtime import flow_run

from blocks.crms.base import open_crm
from blocks.log import event
from blocks.notifiers.base import notify
from blocks.providers.http.follow_ups import follow_up_spec
from blocks.providers.http.interpret import given_values, read_reply
from blocks.providers.spec.model import ProviderSpec, load_spec
from blocks.providers.spec.paths import contact_paths, follow_up_paths
from blocks.settings import Settings, load_settings
from blocks.warehouses.base import SavedReply, Warehouse, open_warehouse
from enrichment.drift import (
    CrmFit,
    Finding,
    Words,
    not_understood,
    reply_findings,
    support_findings,
    version_findings,
)
from enrichment.drift_page import Drift
from enrichment.errors import EnrichmentError, sealed
from enrichment.moments import read_moment, utc_text
from enrichment.names import names_in
from enrichment.plan import Reference
from enrichment.records import ENRICHED
from enrichment.shapes import ReadPaths, Shapes
from tasks.artifacts import publish_markdown
from tasks.steps import step

#: So many replies of each provider are read at most; the keys by which they are taken are hashes.
MOST_REPLIES = 5000
_PAGE = 500
#: So many changes stand in a message.
_MOST_LINES = 20


@sealed
def find_drift(days: int, warehouse: str = "") -> Drift:
    """
    Compare replies and CRM fields with what reads and writes them; only free calls are made, and nothing is changed.

    Args:
        days: how far to look back.
        warehouse: reference of the warehouse; empty: the setting.
    """
    settings = load_settings()
    notes: list[str] = []
    with open_warehouse(warehouse or settings.warehouse) as source:
        now = source.now()
        since = utc_text(datetime.fromisoformat(now) - timedelta(days=days))
        look = _Look(source, since, _fit(settings, notes))
        findings = [one for name in names_in(settings.provider) for one in look.at_provider(Reference.parse(name).name)]
    if look.fit:
        findings += look.fit.findings()
        findings += _support(settings, now)
    done = Drift(days, now[:10], look.replies, MOST_REPLIES, tuple(findings), tuple(notes))
    event("mapping_reviewed", days=days, findings=len(findings), serious=len(done.serious))
    return done


def _fit(settings: Settings, notes: list[str]) -> CrmFit | None:
    """Return what judges the CRM's fields; a CRM that can't be used is noted."""
    try:
        with open_crm(settings.crm) as crm:
            return CrmFit(crm.name, crm.rules, crm.describe_fields(), crm.protected)
    except EnrichmentError as error:
        notes.append(f"crm {settings.crm}: not checked: {error}")
        return None


def _support(settings: Settings, now: str) -> Iterator[Finding]:
    with open_crm(settings.crm) as crm:
        version = crm.api_version()
        yield from support_findings(crm.name, version.name, version.until, now[:10])


@dataclass
class _Replies:
    """Replies of one kind: about contacts, or of one of the follow-ups."""

    system: str
    spec: ProviderSpec
    paths: ReadPaths
    shapes: Shapes = field(default_factory=Shapes)
    left_out: Words = field(default_factory=Words)

    def findings(self) -> list[Finding]:
        return reply_findings(self.system, self.shapes, self.paths, self.left_out) if self.shapes.total else []


@dataclass
class _Look:
    """Goes through the saved replies, some at a time, and keeps counts only."""

    warehouse: Warehouse
    since: str
    fit: CrmFit | None
    replies: dict[str, int] = field(default_factory=dict)

    def at_provider(self, name: str) -> list[Finding]:
        """Return what has changed in a provider's replies."""
        kinds, versions, unread = _kinds(load_spec(name)), dict[str, set[str]](), 0
        self.replies[name] = 0
        for reply in self._sample(name):
            self.replies[name] += 1
            versions.setdefault(reply.api_version or "", set()).add(reply.received_at[:10])
            unread += not self._take(kinds, reply)
        versions.pop("", None)
        return [
            *(one for kind in kinds for one in kind.findings()),
            *not_understood(name, unread, self.replies[name]),
            *version_findings(name, versions),
        ]

    def _sample(self, name: str) -> Iterator[SavedReply]:
        after, left = "", MOST_REPLIES
        while left > 0:
            page = self.warehouse.reply_page(name, since=self.since, after=after, limit=min(_PAGE, left))
            yield from page
            left = left - len(page) if len(page) == _PAGE else 0
            after = page[-1].request_key if page else ""

    def _take(self, kinds: list[_Replies], reply: SavedReply) -> bool:
        """Count a reply as what today's rules read it as; return whether they do."""
        for kind in kinds:
            reading = read_reply(kind.spec, reply.body)
            if reading.outcome in ENRICHED:
                kind.shapes.add(reply.body, read_moment(reply.received_at).date().isoformat())
                self._count(kind, reply.body, reading.left_out)
                if self.fit:
                    self.fit.add(reading.fields)
                return True
        return False

    def _count(self, kind: _Replies, body: Any, left_out: Any) -> None:
        given = given_values(kind.spec, body) if left_out else {}
        for name, reason in left_out.items():
            kind.left_out.add(name, reason, name, given[name])


def _kinds(spec: ProviderSpec) -> list[_Replies]:
    follow_ups = (
        _Replies(f"{spec.id} ({one.name})", follow_up_spec(spec, one, ()), follow_up_paths(one))
        for one in spec.follow_ups
    )
    return [_Replies(spec.id, spec, contact_paths(spec)), *follow_ups]


@step(name="find-drift")
def drift_step(days: int, warehouse: str) -> Drift:
    """Do the same as a task."""
    return find_drift(days, warehouse)


@step(name="publish-drift")
def publish_drift(done: Drift) -> None:
    """Publish what has changed, and what to write instead, as an artifact."""
    publish_markdown(done.markdown(), key="mapping-review", description=f"Mapping, {done.days} days up to {done.day}")


@step(name="send-drift")
def send_drift(done: Drift, notifiers: Sequence[str]) -> None:
    """Send a message if values are lost until a person changes the mapping."""
    if done.serious:
        lines = [f"* {one.system}: {one.subject}: {one.says}" for one in done.serious[:_MOST_LINES]]
        where = flow_run.ui_url or "`enrich drift` shows them"
        body = "\n".join([f"{done.sentence}:", *lines, f"What to write instead: {where}"])
        notify("Contact enrichment: the mapping has to be changed", body, notifiers, kind="mapping_review")
