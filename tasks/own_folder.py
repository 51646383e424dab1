"""The user's own folder: settings, field mapping, price book and deployments; what is there is never overwritten."""

import difflib
import io
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from blocks.base import ENV_PREFIX, PipelineBlock, block_class, module_names, own_fields, variable_prefix
from blocks.crms.base import CrmBlock
from blocks.notifiers.base import NotifierBlock
from blocks.providers.block import provider_block_class
from blocks.providers.spec.model import spec_names
from blocks.settings import Settings
from blocks.warehouses.base import WarehouseBlock
from enrichment.errors import ConfigurationError
from enrichment.estimate import Price
from enrichment.fields import SOURCES
from enrichment.names import names_in
from enrichment.plan import Reference

SETTINGS, MAPPING, PRICES, DEPLOYMENTS = ".env", "mapping.yaml", "prices.yaml", "prefect.yaml"
#: The deployments that we ship, beside this code in a checkout and in an installation alike.
_SHIPPED = Path(__file__).parents[1] / DEPLOYMENTS
#: Where secrets may live, and what a setting holds then; `{block}` and `{key}` stand for the field.
SECRET_STORES: Mapping[str, str] = {
    "file": "",
    "prefect": "block:secret/{block}",
    "aws": "block:aws-secret/contact-enrichment#{key}",
    "google": "block:gcpsecret/contact-enrichment#{key}",
}
_WIDTH = 110
_HEAD = (
    "The settings that you chose with `enrich init`; docs/settings.md lists all others. Keep this file readable for "
    "the pipeline's user only, and out of version control: it may hold secrets."
)
_API_URL = "PREFECT_API_URL"
_ABOUT_API_URL = "Address of Prefect's server; without it commands run alone, and nothing is scheduled."


@dataclass(frozen=True, slots=True)
class Choices:
    """
    What the user wants.

    Args:
        crm: `<name>` or `<name>/<block>`, and so are the others; providers and notifiers are comma-separated.
        secrets: one of SECRET_STORES.
        webhook: whether the CRM's webhooks are to be received.
        credits_per_day: the cap of each provider; empty for none.
        prices: of a credit, by provider.
        api_url: of Prefect's server; empty for none.
    """

    crm: str = "hubspot"
    provider: str = "zoominfo"
    warehouse: str = "sqlite"
    notifiers: str = ""
    secrets: str = "file"
    webhook: bool = False
    credits_per_day: str = ""
    prices: Mapping[str, Price] = field(default_factory=dict)
    api_url: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """
    A setting of a chosen system that has no usable default.

    Args:
        variable: by which it is set.
        description: what it is.
        secret: whether it must not be seen.
        needed: whether nothing works without it.
        answer: what is known of it already.
    """

    variable: str
    description: str
    secret: bool
    needed: bool = True
    answer: str = ""


def offered() -> dict[str, Sequence[str]]:
    """Return the names that there are for each choice."""
    return {
        "crm": module_names("blocks.crms"),
        "provider": spec_names(),
        "warehouse": module_names("blocks.warehouses"),
        "secrets": tuple(SECRET_STORES),
        "notifiers": module_names("blocks.notifiers"),
    }


def check_choices(choices: Choices) -> None:
    """Raise a ConfigurationError if a system isn't known, or if its library isn't installed."""
    if choices.secrets not in SECRET_STORES:
        raise ConfigurationError(f"secrets can't be in '{choices.secrets}': choose one of {', '.join(SECRET_STORES)}")
    list(_blocks(choices))


def questions(choices: Choices) -> list[Question]:
    """Return what there is to be asked for the chosen systems; a secret in a store is answered by its name there."""
    check_choices(choices)
    found = []
    for cls in _blocks(choices):
        asked = cls.asked
        if choices.webhook and issubclass(cls, CrmBlock):
            asked = (*asked, *cls.asked_by_listener)
        found += [_question(cls, name, choices.secrets) for name in asked]
    return found


def _blocks(choices: Choices) -> Iterator[type[PipelineBlock]]:
    """Yield the block classes of the chosen systems; what a Prefect block configures needs nothing here."""
    chosen = [Reference.parse(name) for name in names_in(choices.provider)]
    yield from (provider_block_class(one.name) for one in chosen if not one.document)
    for package, kind, references in (
        ("blocks.crms", CrmBlock, choices.crm),
        ("blocks.warehouses", WarehouseBlock, choices.warehouse),
        ("blocks.notifiers", NotifierBlock, choices.notifiers),
    ):
        for one in map(Reference.parse, names_in(references)):
            cls: type[PipelineBlock] = block_class(package, one.vendor, kind)
            if not one.document:
                yield cls


def _question(cls: type[PipelineBlock], name: str, store: str) -> Question:
    info = own_fields(cls)[name]
    secret = "SecretStr" in str(info.annotation)
    key = f"{cls.vendor}_{name}"
    reference = SECRET_STORES[store].format(block=key.replace("_", "-"), key=key) if secret else ""
    default = info.get_default()
    known = "" if default is None or isinstance(default, SecretStr) else str(default)
    variable, needed = variable_prefix(cls.vendor) + name.upper(), name not in cls.optional
    return Question(variable, info.description or "", secret, needed, reference or known)


def folder_files(choices: Choices, answers: Mapping[str, str]) -> dict[str, str]:
    """
    Return the text of each file by its name.

    Args:
        choices: what the user wants.
        answers: values by the variable of their question; a missing one is left empty, to be filled in later.
    """
    return {
        SETTINGS: _settings(choices, answers),
        MAPPING: _mapping(choices),
        PRICES: _prices(choices),
        DEPLOYMENTS: _SHIPPED.read_text(encoding="utf-8"),
    }


def _settings(choices: Choices, answers: Mapping[str, str]) -> str:
    crm = Reference.parse(choices.crm).vendor
    mapping = f"{variable_prefix(crm)}MAPPING_FILE"
    of_the_crm = own_fields(block_class("blocks.crms", crm, CrmBlock))["mapping_file"].description or ""
    chosen = {
        "crm": choices.crm,
        "provider": choices.provider,
        "warehouse": choices.warehouse,
        "notifiers": choices.notifiers,
        "credits_per_day": choices.credits_per_day,
        "price_book": PRICES,
    }
    common = {f"{ENV_PREFIX}{name}".upper(): (Settings.model_fields[name].description, chosen[name]) for name in chosen}
    asked = {one.variable: (one.description, answers.get(one.variable, one.answer)) for one in questions(choices)}
    server = _assignment(_API_URL, choices.api_url or "http://127.0.0.1:4200/api")
    parts = [
        _comment(_HEAD),
        *(
            f"{_comment(text or '')}{_assignment(name, value)}\n"
            for name, (text, value) in {**common, mapping: (of_the_crm, MAPPING), **asked}.items()
        ),
        f"{_comment(_ABOUT_API_URL)}{'' if choices.api_url else '# '}{server}\n",
    ]
    return "\n".join(parts)


def _assignment(name: str, value: str) -> str:
    """
    Return a line of `.env`; what a shell or the file's format would read otherwise stands in quotes.

    Raises:
        ConfigurationError: the value can't be written so that it is read back.
    """
    if "${" in value:
        raise ConfigurationError(
            f"{name} has `${{` in it, which the readers of .env replace by a variable: set it in the environment, or "
            "keep it in a secret block"
        )
    if all(sign.isalnum() or sign in "_-./:@+,=" for sign in value):
        return f"{name}={value}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{quoted}'"


def _mapping(choices: Choices) -> str:
    crm = Reference.parse(choices.crm).vendor
    head = (
        f"What fills each field of {crm}, and when; these are the defaults. Change a rule, add fields, or write `rule: "
        "never`; docs/field-mapping.md has every source and rule. `enrich run --dry-run` shows what it would write."
    )
    rules = block_class("blocks.crms", crm, CrmBlock)().default_rules()
    entries = [
        f"- {{field: {rule.field}, source: {rule.source}, rule: {rule.rule}{', stamp: true' if rule.stamp else ''}}}"
        for rule in rules
    ]
    width = max(map(len, entries))
    noted = (
        f"{entry:<{width}}  # {SOURCES[rule.source].description}" for entry, rule in zip(entries, rules, strict=True)
    )
    return "\n".join([_comment(head).rstrip(), *noted]) + "\n"


def _prices(choices: Choices) -> str:
    head = "What a credit of each provider costs you: estimates and the report show money by it."
    lines = []
    for one in map(Reference.parse, names_in(choices.provider)):
        price = choices.prices.get(one.name)
        lines.append(
            f"{one.name}: {{price: {price.amount:g}, currency: {price.currency}}}"
            if price
            else f"# {one.name}: {{price: 0.45, currency: EUR}}"
        )
    return "\n".join([_comment(head).rstrip(), *lines]) + "\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))


def differences(folder: Path, files: Mapping[str, str]) -> dict[str, list[str]]:
    """Return how files that are there differ from these, by their name; of settings the names alone."""
    found = {}
    for name, text in files.items():
        path = folder / name
        there = path.read_text(encoding="utf-8-sig") if path.exists() else text
        if there != text and (lines := _differing(name, there, text)):
            found[name] = lines
    return found


def _differing(name: str, there: str, text: str) -> list[str]:
    if name == SETTINGS:
        old, new = ({**dotenv_values(stream=io.StringIO(one), interpolate=False)} for one in (there, text))
        return [_setting_difference(each, old, new) for each in sorted({*old, *new}) if old.get(each) != new.get(each)]
    pairs = there.splitlines(), text.splitlines()
    return list(difflib.unified_diff(*pairs, f"{name} (there)", f"{name} (new)", lineterm="", n=0))


def _setting_difference(name: str, old: Mapping[str, object], new: Mapping[str, object]) -> str:
    if name not in new:
        return f"{name}: only in the file that is there"
    return f"{name}: {'another value' if name in old else 'not in the file that is there'}"


def write_folder(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write those of the files that aren't there, readable for this user alone; return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in files if not (folder / name).exists()]
    for name in missing:
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if name == SETTINGS else 0o644)
        with open(opened, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path knows no mode of its own
            file.write(files[name])
    return missing


def unanswered(asked: Sequence[Question], answers: Mapping[str, str]) -> list[str]:
    """Return the variables of needed settings that neither an answer nor the environment has."""
    return [
        one.variable
        for one in asked
        if one.needed and not (answers.get(one.variable, one.answer) or os.environ.get(one.variable))
    ]


def known_settings(pairs: Iterable[tuple[str, str]], asked: Sequence[Question]) -> dict[str, str]:
    """
    Return values that were given beforehand, by their variable.

    Raises:
        ConfigurationError: nothing asks for it, or it is a secret, which others would see in the command line.
    """
    by_name = {one.variable: one for one in asked}
    found = {}
    for name, value in pairs:
        if name not in by_name:
            raise ConfigurationError(f"{name} isn't asked for: it is one of {', '.join(by_name) or 'no setting'}")
        if by_name[name].secret:
            raise ConfigurationError(
                f"{name} is a secret, which other users of this machine see in a command line: type it when it is "
                "asked for, set it in the environment, or write it into .env afterwards"
            )
        found[name] = value
    return found
