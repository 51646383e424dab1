"""What changes around the mapping is found, and results are derived again from saved replies without paying."""

import json
from typing import Any

from typer.testing import CliRunner

from cli import app
from enrichment.drift import Finding, Kind
from flows.local import run_flow
from flows.mapping_review import mapping_review
from sandbox.accounts import notifier_settings
from tasks.drift import find_drift
from tests.cases.chain import Chain

#: What the vendor changes one day: a name, a type and a vocabulary.
CHANGED = {
    "renames": {"company.employeeCount": "company.employeeTotal"},
    "constants": {"company.revenueNumeric": "a lot", "managementLevel": ["Wizard-Level"]},
}
PEOPLE = 12


def enrich(chain: Chain, group: str) -> list[str]:
    """Let some more contacts be enriched, and return their ids."""
    made = chain.world.hubspot.create([{"email": f"hit+{group}{n}@firm.example"} for n in range(PEOPLE)])
    chain.stage(made)
    chain.run()
    return made


def days_pass(chain: Chain, days: int) -> None:
    """Let the saved replies be some days older."""
    with chain.warehouse._transaction() as session:
        moment = "strftime('%Y-%m-%dT%H:%M:%fZ', received_at, ?)"
        session._connection.execute(f"UPDATE provider_replies SET received_at = {moment}", [f"-{days} days"])


def change_shape(chain: Chain) -> None:
    """Let twelve contacts be answered in the old way, and five days later twelve in a new one."""
    enrich(chain, "old")
    days_pass(chain, 5)
    chain.box.configure(zoominfo=CHANGED)
    enrich(chain, "new")


def found(findings: tuple[Finding, ...], kind: Kind) -> dict[str, Finding]:
    return {one.subject: one for one in findings if one.kind is kind}


def test_what_a_provider_has_changed_is_found(chain: Chain) -> None:
    """A path that is gone with the one that took its place, a new type, and words that nothing maps; since when."""
    change_shape(chain)
    used = chain.world.zoominfo.credits_used
    findings = find_drift(90).findings
    gone = found(findings, Kind.GONE)["attributes.company.employeeCount"]
    assert gone.proposal == (
        "employee_count: {path: company.employeeTotal}  # instead of attributes.company.employeeCount"
    )
    assert (gone.count, gone.of) == (PEOPLE, 2 * PEOPLE)
    new = found(findings, Kind.NEW)["attributes.company.employeeTotal"]
    assert new.since > gone.since
    changed = found(findings, Kind.TYPE_CHANGED)["attributes.company.revenueNumeric"]
    assert changed.says == "annual_revenue is read there; it was number, and is text now"
    left_out = found(findings, Kind.LEFT_OUT)
    assert left_out["seniority"].values == (("Wizard-Level", PEOPLE),)
    assert left_out["annual_revenue"].values == ()
    assert found(findings, Kind.VERSION)["v1"].system == "zoominfo"
    assert chain.world.zoominfo.credits_used == used


def test_without_a_change_there_is_nothing_to_do(chain: Chain) -> None:
    """Replies of several days that are alike, and a CRM whose fields take the values."""
    enrich(chain, "old")
    days_pass(chain, 5)
    enrich(chain, "new")
    done = find_drift(90)
    assert done.serious == []
    assert {one.kind for one in done.findings} <= {Kind.NEVER, Kind.VERSION, Kind.CRM_VALUES}
    answer = CliRunner().invoke(app, ["drift", "--json"])
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["replies"] == {"zoominfo": 2 * PEOPLE}


def property_of(chain: Chain, name: str) -> dict[str, Any]:
    definition: dict[str, Any] = chain.world.hubspot._catalog.definitions[name]
    return definition


def test_what_the_crm_has_changed_is_found(chain: Chain) -> None:
    """A field that is gone, one of another type, one that can't be written, and options that lack."""
    enrich(chain, "old")
    definitions = chain.world.hubspot._catalog.definitions
    del definitions["enr_tech_stack"]
    property_of(chain, "enr_employee_count")["type"] = "bool"
    property_of(chain, "enr_provider")["modificationMetadata"] = {"readOnlyValue": True}
    option = {"label": "Mining", "value": "MINING", "hidden": False}
    property_of(chain, "enr_industry").update(type="enumeration", fieldType="select", options=[option])
    findings = find_drift(90).findings
    fields = found(findings, Kind.CRM_FIELD)
    assert fields["enr_tech_stack"].says == "hubspot has no such field"
    assert fields["enr_tech_stack"].proposal == "- {field: enr_tech_stack, source: tech_stack, rule: never}"
    assert fields["enr_employee_count"].says == "is of the type bool now, which takes no integer"
    assert "doesn't let" in fields["enr_provider"].says
    assert found(findings, Kind.CRM_VALUES)["enr_industry"].count > 0


def test_the_review_holds_nothing_of_a_person_and_ends_with_a_code(chain: Chain) -> None:
    """The page has names and counts, and lines to take over; the exit code says that values are lost."""
    change_shape(chain)
    answer = CliRunner().invoke(app, ["drift"])
    assert answer.exit_code == 1
    assert "employee_count: {path: company.employeeTotal}" in answer.stdout
    people = [chain.world.hubspot.contacts[one] for one in chain.world.hubspot.contacts]
    personal = {
        str(one[name]) for one in people for name in ("email", "firstname", "lastname", "phone") if one.get(name)
    }
    assert len(personal) > PEOPLE
    assert not {text for text in personal if text in answer.stdout}


def test_the_quarterly_review_sends_a_message_only_if_values_are_lost(chain: Chain) -> None:
    """The flow returns what the command shows."""
    for name, value in notifier_settings(chain.box.url, chain.box.smtp_port).items():
        chain.setenv(name, value)
    chain.setenv("ENRICHMENT_NOTIFIERS", "slack")
    enrich(chain, "old")
    assert run_flow(mapping_review).serious == []
    assert chain.world.slack.messages == []
    days_pass(chain, 5)
    chain.box.configure(zoominfo=CHANGED)
    enrich(chain, "new")
    assert run_flow(mapping_review).serious
    [message] = chain.world.slack.messages
    assert "attributes.company.employeeCount" in message.text
