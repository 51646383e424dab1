"""Which API version every provider spoke in a run, and by which id it knows the last call: kept, logged, compared."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from blocks.providers.spec.model import load_spec, spec_names, spec_path
from blocks.warehouses.base import Usage
from enrichment.intake import EveryContact
from enrichment.summary import ProviderUse, RunReport, summary_lines
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")

CONTACTS = 8


@pytest.fixture
def everybody_asked(pipeline: Pipeline) -> Pipeline:
    """Give a pipeline that asks every provider there is, because none has the field that is wanted."""
    settings = {"PROVIDER": ",".join(spec_names()), "REQUIRED_FIELDS": "intent_keywords", "FRESH_DAYS": "0"}
    for name, value in settings.items():
        pipeline.setenv(f"ENRICHMENT_{name}", value)
    pipeline.new_world(CONTACTS, clearbit={"per_minute": 60_000})
    return pipeline


def run(pipeline: Pipeline, *, without_journal: bool = False) -> RunReport:
    """Enrich everybody once more, by the journal, or without it as if it were empty."""
    if without_journal:
        pipeline.tampered = True
        with pipeline.warehouse._transaction() as session:
            session._connection.execute("DELETE FROM provider_replies")
    ingest_contacts(EveryContact())
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    assert report.books.balanced
    return report


def speak_other_versions(pipeline: Pipeline, folder: Path) -> dict[str, str]:
    """Let all answers name another version, or where only the path has one, the spec; return them by provider."""
    versions = {}
    for name in spec_names():
        if load_spec(name).version_header:
            versions[name] = "2031-01-01"
            pipeline.box.configure(**{name: {"api_version": versions[name]}})
        else:
            versions[name] = "v99"
            text = re.sub(r"^api_version: .*$", "api_version: v99", spec_path(name).read_text(), flags=re.MULTILINE)
            (folder / f"{name}.yaml").write_text(text)
    pipeline.setenv("ENRICHMENT_PROVIDER_DIR", str(folder))
    return versions


def logged(use: ProviderUse, report: RunReport) -> str:
    return (
        f"provider_used run={report.run_id} provider={use.provider} replies={use.replies} credits={use.credits} "
        f"api_version={use.api_versions[0]} request_id={use.request_id}"
    )


def kept(usage: Iterable[Usage]) -> dict[str, set[str]]:
    """Return what the books have of each provider: its versions."""
    found: dict[str, set[str]] = {}
    for one in usage:
        found.setdefault(one.provider, set()).add(one.api_version)
    return found


def test_version_and_last_request_of_every_provider_are_kept_and_logged(
    everybody_asked: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    """The header's version, else the path's, and the id of the last answer where the provider gives one."""
    report = run(everybody_asked)
    assert sorted(use.provider for use in report.providers) == spec_names()
    for use in report.providers:
        spec = load_spec(use.provider)
        assert len(use.api_versions) == 1
        assert spec.version_header or use.api_versions == [spec.api_version]
        assert bool(use.request_id) == bool(spec.request_id_headers or spec.request_id_path)
        assert logged(use, report) in caplog.text
    books = everybody_asked.warehouse.read_run(report.run_id)
    assert books.api_versions == report.api_versions
    usage = everybody_asked.warehouse.read_usage(report.run_id)
    assert kept(usage) == {use.provider: set(use.api_versions) for use in report.providers}
    assert {one.request_id for one in usage} >= {use.request_id for use in report.providers}


def test_a_change_of_any_provider_s_version_alerts_once(
    everybody_asked: Pipeline, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Log, summary and message say it, also after a run without calls; the run after that says nothing more."""
    before = {use.provider: use.api_versions[0] for use in run(everybody_asked).providers}
    assert run(everybody_asked).providers == []
    slack = everybody_asked.box.world.slack
    assert slack.messages == []
    now = speak_other_versions(everybody_asked, tmp_path)
    changed = run(everybody_asked, without_journal=True)
    lines, shown = dict(summary_lines(changed)), " ".join(message.text for message in slack.messages)
    for name in spec_names():
        assert lines[f"API version of {name}"] == f"{now[name]} (last run: {before[name]})"
        assert f"api_version_changed provider={name} before={before[name]} now={now[name]}" in caplog.text
        assert f"{name} answers with API version {now[name]} instead of {before[name]}" in shown
    assert len(slack.messages) == len(spec_names())
    again = run(everybody_asked, without_journal=True)
    assert [use for use in again.providers if use.version_changed] == []
    assert len(slack.messages) == len(spec_names())
