"""Commands about a contact that is unknown, mistyped or on a do-not-contact list."""

import getpass
import json
import os
import pty
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from prefect.logging import disable_run_logger
from typer.testing import CliRunner

import cli
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.errors import ConfigurationError
from enrichment.identifiers import suppression_keys
from enrichment.records import Contact, Origin
from tasks.contact import erase

HUBSPOT = Origin("hubspot")
ADA = Contact("501", "ada@acme.example")


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    """Give a warehouse whose queue holds one contact."""
    warehouse = make_warehouse(request.param)
    monkeypatch.setenv("ENRICHMENT_WAREHOUSE", request.param)
    warehouse.stage([NewRecord("hubspot", ADA.crm_id, ADA.email, "manual", "live")])
    return warehouse


def enrich(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli.app, arguments, input=answer)


def suppressed(warehouse: Warehouse, contact: Contact) -> bool:
    return bool(warehouse.read_suppressed(suppression_keys(contact, HUBSPOT)))


def story(crm_id: str) -> list[str]:
    return [line["what"] for line in json.loads(enrich("why", crm_id, "--json").stdout)["items"]]


def test_someone_unknown_is_reported_and_not_erased(warehouse: Warehouse) -> None:
    """`why` and `erase` say that the id is unknown; off a terminal, nothing is suppressed without `--yes`."""
    for command in ("why", "erase"):
        done = enrich(command, "999")
        assert done.exit_code == 2
        assert "doesn't know contact 999" in done.stderr
        assert "check the id" in done.stderr
    assert not suppressed(warehouse, Contact("999"))


def test_an_unknown_id_is_suppressed_on_request_and_allowed_again(warehouse: Warehouse) -> None:
    """With `--yes` the id is suppressed, said so, and the exit code isn't 0; `allow` takes it back and notes who."""
    done = enrich("erase", "999", "--yes")
    assert done.exit_code == 3
    assert "doesn't know contact 999" in done.stderr
    assert "`enrich allow 999`" in done.stderr
    assert suppressed(warehouse, Contact("999"))
    assert enrich("erase", "999", "--yes").exit_code == 0  # known by now: repeating an erasure is not a mistake
    assert enrich("allow", "999").exit_code == 0
    assert not suppressed(warehouse, Contact("999"))
    assert story("999") == [f"taken off the suppression list by {getpass.getuser()}"]
    assert enrich("erase", "999").exit_code == 2  # that alone makes no one known


@pytest.mark.parametrize(("answer", "code", "barred"), [("n\n", 1, False), ("y\n", 3, True)])
def test_on_a_terminal_an_unknown_id_is_asked_about(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, *, barred: bool
) -> None:
    """No, and nothing happens; yes, and the id is suppressed."""
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with pytest.raises(SystemExit) as ended:
            cli.app(["erase", "999"])
    os.close(ours)
    assert ended.value.code == code
    assert suppressed(warehouse, Contact("999")) is barred


def test_the_wrong_person_is_allowed_with_address_and_requests(warehouse: Warehouse) -> None:
    """What an erasure suppressed besides the id comes off the list with it; another erasure of the address stays."""
    warehouse.stage([NewRecord("hubspot", "502", ADA.email, "manual", "live")])
    for crm_id in ("501", "502"):
        assert enrich("erase", crm_id, "--yes").exit_code == 0
    assert enrich("allow", "501").exit_code == 0
    assert not suppressed(warehouse, Contact("501"))
    assert suppressed(warehouse, ADA)  # by the other contact's erasure
    assert (
        "stays suppressed" in enrich("suppress", "ada@acme.example").output + enrich("allow", "ada@acme.example").stdout
    )
    assert enrich("allow", "502").exit_code == 0
    assert not suppressed(warehouse, ADA)


def test_a_do_not_contact_list_is_imported(warehouse: Warehouse, tmp_path: Path) -> None:
    """Ids and addresses are suppressed, counted once, with the reason that `why` shows; nothing stored is erased."""
    file = tmp_path / "list.csv"
    file.write_text("crm_id,email\n601,Bob@Acme.example\n602,\n", encoding="utf-8")
    first = json.loads(enrich("suppress", "--csv", str(file), "--reason", "objection", "--json").stdout)
    assert first == {"format_version": 1, "listed": 3, "new": 3}
    printed = json.loads(enrich("suppress", "602", "eve@acme.example", "--json").stdout)
    assert printed == {"format_version": 1, "listed": 2, "new": 1}
    for contact in (Contact("601"), Contact("602"), Contact("x", "bob@acme.example"), Contact("x", "eve@acme.example")):
        assert suppressed(warehouse, contact)
    assert story("601") == ["put on the suppression list: objection"]
    assert len(story("501")) > 1


def test_a_do_not_contact_list_is_strict_about_addresses(warehouse: Warehouse, tmp_path: Path) -> None:
    """A cell may have several, or a word in place of one; a wrong one is named by its line."""
    file = tmp_path / "list.csv"
    file.write_text("Email\na@acme.example; b@acme.example\nN/A\n", encoding="utf-8")
    printed = json.loads(enrich("suppress", "--csv", str(file), "--json").stdout)
    assert printed == {"format_version": 1, "listed": 2, "new": 2}
    file.write_text("Email\nc@acme.example\nada@acme\n", encoding="utf-8")
    done = enrich("suppress", "--csv", str(file))
    assert done.exit_code == 2
    assert "line 3, column 'Email': the cell has no valid e-mail address" in " ".join(done.stderr.split())
    assert not suppressed(warehouse, Contact("x", "c@acme.example"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["suppress"], "name contacts by id or address"),
        (["suppress", "not@an@address"], "is not a valid e-mail address"),
        (["suppress", "501", "--reason", "erased"], "'erased' is not a valid reason"),
        (["suppress", "501", "--reason", " "], "a reason has from 1 to 200 characters"),
        (["suppress", "501", "--reason", "x" * 201], "a reason has from 1 to 200 characters"),
        (["suppress", "501", "--crm", "hubsopt"], "unknown crm 'hubsopt'"),
        (["allow", "999"], "999 is not on the suppression list"),
        (["allow", "ada@acme.example"], "ada@acme.example is not on the suppression list"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_with_the_suppression_list_change_nothing(
    warehouse: Warehouse, arguments: list[str], message: str
) -> None:
    """One sentence, exit code 2."""
    done = enrich(*arguments)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not suppressed(warehouse, ADA)


def test_the_flow_refuses_an_unknown_id_too(warehouse: Warehouse) -> None:
    """A typing error in Prefect's form suppresses nothing, unless the parameter says that it is meant."""
    with disable_run_logger():
        with pytest.raises(ConfigurationError, match="even_if_unknown"):
            erase.fn(warehouse.name, "hubspot", "999")
        assert not suppressed(warehouse, Contact("999"))
        erase.fn(warehouse.name, "hubspot", "999", even_if_unknown=True)
    assert suppressed(warehouse, Contact("999"))
