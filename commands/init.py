"""`enrich init`: a few questions, and a folder of the user's own."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from commands.terminal import Json, err, reported_errors, say
from enrichment.errors import ConfigurationError
from enrichment.names import names_in

if TYPE_CHECKING:
    from tasks.own_folder import Choices, Question

_PRICE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})\s*")
#: Beside the result, which stands alone on the standard output.
_STANDARD_ERROR = 2
Check = Callable[[str], object]


def init(  # noqa: PLR0913 - one parameter for each option
    folder: Annotated[Path, typer.Argument(help="Folder to write; it is made if it isn't there.")] = Path(),
    *,
    crm: Annotated[str | None, typer.Option(help="`hubspot`, `salesforce`, or `file`.")] = None,
    provider: Annotated[str | None, typer.Option(help="A provider, or several in order, comma-separated.")] = None,
    warehouse: Annotated[str | None, typer.Option(help="`sqlite`, `postgres` or another warehouse.")] = None,
    secrets: Annotated[
        str | None,
        typer.Option(help="Where secrets are: `file` (.env), or in secret blocks of `prefect`, `aws` or `google`."),
    ] = None,
    notifiers: Annotated[str | None, typer.Option(help="`slack`, `email`, several, or empty for none.")] = None,
    webhook: Annotated[
        bool | None, typer.Option("--webhook/--no-webhook", help="Receive the CRM's webhooks; else a schedule.")
    ] = None,
    credits_per_day: Annotated[str | None, typer.Option(help="Most credits per day; empty for no cap.")] = None,
    price: Annotated[
        list[str] | None, typer.Option(help="Price of a credit, such as `zoominfo=0.45EUR`; for each provider.")
    ] = None,
    prefect_api_url: Annotated[str | None, typer.Option(help="Prefect's server; empty for none.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Answer in advance, such as `ENRICHMENT_SNOWFLAKE_USER=enrichment`; no secrets."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing, take the defaults, leave secrets empty.")] = False,
    setup: Annotated[
        bool | None, typer.Option("--setup/--no-setup", help="Also run `enrich setup`, doctor and a dry run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask a few questions, and write a folder with your settings, field mapping, price book and deployments."""
    with reported_errors():
        from tasks.own_folder import Choices, check_choices, offered  # noqa: PLC0415 - Prefect takes seconds to import

        ask, names = _Asker(yes), offered()
        chosen: dict[str, Any] = {
            "crm": ask.choice("CRM", crm, "crm", names),
            "provider": ask.choice("Provider, or several in order, comma-separated", provider, "provider", names),
            "warehouse": ask.choice("Warehouse", warehouse, "warehouse", names),
            "secrets": ask.choice("Secrets in .env (file), or in secret blocks of", secrets, "secrets", names),
            "notifiers": ask.choice("Alerts by, comma-separated, empty for none", notifiers, "notifiers", names),
            "webhook": ask.agreed("Receive the CRM's webhooks (no: a schedule)?", webhook),
            "credits_per_day": ask.text("Most credits per day; empty for no cap", credits_per_day),
            "api_url": ask.text("Address of Prefect's server; empty for none", prefect_api_url),
        }
        choices = Choices(**chosen, prices=ask.prices(chosen["provider"], price))
        check_choices(choices)
        _write(folder, choices, ask, settings or [], setup, as_json)


def _write(
    folder: Path, choices: "Choices", ask: "_Asker", settings: list[str], setup: bool | None, as_json: bool
) -> None:
    from tasks.own_folder import (  # noqa: PLC0415
        differences,
        folder_files,
        known_settings,
        questions,
        unanswered,
        write_folder,
    )

    asked = questions(choices)
    answers = known_settings((_pair(one, "NAME=value") for one in settings), asked)
    answers = {one.variable: answers.get(one.variable) or ask.answer(one) for one in asked}
    files = folder_files(choices, answers)
    _refuse_overwriting(folder, differences(folder, files))
    written = write_folder(folder, files)
    to_fill = unanswered(asked, answers)
    found: dict[str, Any] = {"folder": str(folder.resolve()), "written": written, "to fill in": to_fill}
    say(found, as_json, lambda: f"{escape(found['folder'])}: {', '.join(written) or 'everything was there already'}")
    prepared = not to_fill and ask.agreed("Prepare warehouse, CRM and Prefect now (`enrich setup`)?", setup)
    if prepared:
        for words in ("setup", "doctor", "run --dry-run"):
            _enrich(folder, words)
    elif not to_fill:
        _enrich(folder, "doctor", fails=False)  # it says what isn't set up yet
    _lead_on(folder, to_fill, prepared=prepared)


def _enrich(folder: Path, words: str, *, fails: bool = True) -> None:
    """Run a command as the user would in the folder: settings are read when a process starts."""
    err.print(f"enrich {words}", style="dim")
    command = [sys.executable, "-P", "-m", "cli", *words.split()]
    done = subprocess.run(command, cwd=folder, stdout=_STANDARD_ERROR, check=False)  # noqa: S603 - our own
    if fails and done.returncode:
        raise typer.Exit(done.returncode)


def _lead_on(folder: Path, to_fill: list[str], *, prepared: bool) -> None:
    here = "" if folder.resolve() == Path.cwd() else f"`cd {folder}`, "
    if to_fill:
        here += f"fill in {', '.join(to_fill)} in .env, "
    steps = "`enrich stage --csv ten.csv`, `enrich run --dry-run`" if prepared else "`enrich setup`, `enrich doctor`"
    err.print(f"next: {escape(here)}{steps}", style="dim")


def _refuse_overwriting(folder: Path, found: dict[str, list[str]]) -> None:
    for name, lines in found.items():
        err.print(f"{escape(str(folder / name))} is there already, and differs:")
        for line in lines:
            err.print(f"  {line}", markup=False, highlight=False)
    if found:
        raise ConfigurationError(
            f"nothing was written: rename or remove {', '.join(found)} in {folder.resolve()}, or choose another folder"
        )


class _Asker:
    """Asks at the terminal what no option has answered, or takes the defaults."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent

    def text(self, question: str, given: str | None, default: str = "", check: Check | None = None) -> str:
        """Return a text: the option's, else the default, else what was typed; asked again while it isn't valid."""

        def read(typed: str) -> str:
            try:
                if check:
                    check(typed)
            except ConfigurationError as error:
                raise typer.BadParameter(str(error)) from None
            return typed.strip()

        if given is not None or self._silent:
            return (default if given is None else given).strip()
        return str(typer.prompt(question, default=default, show_default=bool(default), value_proc=read, err=True))

    def choice(self, question: str, given: str | None, name: str, names: Mapping[str, Sequence[str]]) -> str:
        """Return a choice that is known and installed."""
        from tasks.own_folder import Choices, check_choices  # noqa: PLC0415

        def check(typed: str) -> None:
            chosen: dict[str, Any] = {name: typed}
            check_choices(Choices(**chosen))

        return self.text(f"{question} ({', '.join(names[name])})", given, str(getattr(Choices(), name)), check)

    def agreed(self, question: str, given: bool | None) -> bool:
        """Return whether the user wants something; no by default."""
        if given is not None or self._silent:
            return bool(given)
        return bool(typer.confirm(question, default=False, err=True))

    def prices(self, providers: str, given: list[str] | None) -> dict[str, Any]:
        """Return the price of a credit by provider, of those that have one."""
        texts = dict(_pair(one, "zoominfo=0.45EUR") for one in given or [])
        names = names_in(providers)
        asked = {
            name: self.text(
                f"Price of a credit of {name}, such as 0.45EUR; empty: unknown", texts.get(name), "", _price
            )
            for name in names
        }
        return {name: price for name, text in asked.items() if (price := _price(text))}

    def answer(self, question: "Question") -> str:
        """Return the value of a setting; a secret is typed unseen."""
        if question.answer and question.secret:
            return question.answer
        text = f"{question.variable} ({question.description.rstrip('.')})"
        if not question.secret:
            return self.text(text, None, question.answer)
        if self._silent:
            return ""
        return str(typer.prompt(f"{text}; empty: later", default="", show_default=False, hide_input=True, err=True))


def _pair(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(f"'{text}' is not valid: write it as `{example}`")
    return name.strip(), value.strip()


def _price(text: str) -> Any:
    from enrichment.estimate import Price  # noqa: PLC0415

    if not text.strip():
        return None
    found = _PRICE.fullmatch(text)
    if not found:
        raise ConfigurationError(f"'{text}' is not a price: write it as `0.45EUR`")
    return Price(float(found[1]), found[2])
