"""Commands about one contact: its story, its erasure, and the suppression list."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, err, pairs_table, reported_errors, say
from enrichment.errors import ConfigurationError

if TYPE_CHECKING:
    from blocks.csv_files import Table

Crm = Annotated[str, typer.Option(help="The CRM that knows the ids; default: the setting.")]
Named = Annotated[list[str] | None, typer.Argument(help="Contacts, each by its id in the CRM or by an e-mail address.")]


def why(
    crm_id: Annotated[str, typer.Argument(help="The contact's id in the CRM.")],
    crm: Annotated[str, typer.Option(help="The CRM, if the id is known in several.")] = "",
    as_json: Json = False,
) -> None:
    """Show everything that happened to one contact."""
    with reported_errors():
        from tasks.contact import read_story, unknown_contact  # noqa: PLC0415 - Prefect takes seconds to import

        lines = read_story(crm_id, crm)
        if not lines:
            raise ConfigurationError(unknown_contact(crm, crm_id))
        rows = [asdict(line) for line in lines]
        text = "\n".join(f"{'now' if row['at'] == '9999' else row['at']}  {row['what']}" for row in rows)
        say(rows, as_json, lambda: escape(text), f"`enrich stage --ids {crm_id} --refresh` queues the contact again")


def erase(
    crm_id: Annotated[str, typer.Argument(help="The contact's id in the CRM.")],
    crm: Crm = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Don't ask for confirmation; an id of which nothing is known is suppressed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Erase one contact from the warehouse permanently, and never look it up again; the CRM isn't changed."""
    with reported_errors():
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.contact import erase_contact, is_known, unknown_contact  # noqa: PLC0415

        settings = load_settings()
        crm = crm or settings.crm
        known = is_known(settings.warehouse, crm, crm_id)
        if not known:
            err.print(f"[yellow]enrich:[/yellow] {escape(unknown_contact(crm, crm_id))}")
        if not yes:
            _confirm_erasure(crm, crm_id, known=known)
        erased = erase_contact(settings.warehouse, crm, crm_id)
        say(erased.rows, as_json, lambda: pairs_table(f"Rows erased of contact {crm_id} of {crm}", dict(erased.rows)))
        if not known:
            err.print(f"the id is suppressed now; `enrich allow {escape(crm_id)}` takes that back")
            raise typer.Exit(ExitCode.UNKNOWN)


def _confirm_erasure(crm: str, crm_id: str, *, known: bool) -> None:
    if known:
        typer.confirm(f"Erase contact {crm_id} of {crm} permanently?", abort=True, err=True)
    elif sys.stdin.isatty():
        typer.confirm("Suppress this id anyway, so that it is never looked up?", abort=True, err=True)
    else:
        raise ConfigurationError("nothing was erased or suppressed; to suppress the id anyway, add `--yes`")


def suppress(
    named: Named = None,
    csv: Annotated[Path | None, typer.Option(help="CSV file with a column `crm_id` or `email`, or both.")] = None,
    reason: Annotated[str, typer.Option(help="Why, as `enrich why` shows it.")] = "do_not_contact",
    crm: Crm = "",
    as_json: Json = False,
) -> None:
    """Put contacts on the suppression list, such as a do-not-contact list: they are never looked up."""
    with reported_errors():
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.contact import suppress_contacts  # noqa: PLC0415

        settings = load_settings()
        listed = [*(named or ()), *_listed(csv, crm or settings.crm)]
        if not listed:
            raise ConfigurationError("name contacts by id or address, or give a list with `--csv FILE`")
        new = suppress_contacts(settings.warehouse, crm or settings.crm, listed, reason)
        text = f"{len(listed):,} ids and addresses are suppressed, {new:,} of them new; what is stored was not erased"
        say({"listed": len(listed), "new": new}, as_json, lambda: text, "`enrich allow` takes one off the list again")


def allow(
    named: Annotated[str, typer.Argument(help="The contact's id in the CRM, or an e-mail address.")],
    crm: Crm = "",
    as_json: Json = False,
) -> None:
    """Take a contact off the suppression list, such as one that was erased by mistake; your name is noted."""
    with reported_errors():
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.contact import allow_contact  # noqa: PLC0415

        settings = load_settings()
        free = allow_contact(settings.warehouse, crm or settings.crm, named)
        text = (
            f"{named} may be looked up again; next: `enrich stage --ids ID` or `enrich stage --csv FILE`"
            if free
            else f"{named} was taken off the list, but stays suppressed: an erased contact has the same address"
        )
        say({"allowed": free}, as_json, lambda: escape(text))


def _listed(csv: Path | None, crm: str) -> list[str]:
    if csv is None:
        return []
    from enrichment.identifiers import valid_addresses  # noqa: PLC0415
    from tasks.intake import open_list  # noqa: PLC0415

    table, listed = open_list(csv, crm, required=()), []
    for row in table.rows():
        listed += [row.values.get("crm_id") or ""]
        address = row.values.get("email") or ""
        if "@" in address:  # without it, it is a word such as N/A
            listed += valid_addresses(address) or [_refuse(table, row.line)]
    return [one for one in listed if one]


def _refuse(table: "Table", line: int) -> NoReturn:
    raise ConfigurationError(
        f"{table.path}, line {line}, column '{table.columns['email']}': the cell has no valid e-mail address: correct "
        "or empty it; nothing was suppressed"
    )
