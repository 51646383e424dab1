"""The field mapping of a YAML file, laid over the default one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from blocks.yaml_text import read_yaml
from enrichment.errors import ConfigurationError
from enrichment.fields import SOURCES, unknown_field
from enrichment.write_policy import FieldRule, Rule

_KEYS = frozenset({"field", "source", "rule", "stamp"})


def read_rules(file: Path | None, default: Sequence[FieldRule]) -> tuple[FieldRule, ...]:
    """
    Return the default rules with those of the file over them, field by field.

    The file is a list of `{field, source, rule, stamp}`; `rule: never` switches a field of the default off.

    Raises:
        ConfigurationError: the file can't be read or an entry is wrong; the message names the file and the key.
    """
    if file is None:
        return tuple(default)
    rules = {rule.field: rule for rule in default}
    seen: set[str] = set()
    for number, entry in enumerate(_entries(file), 1):
        rule = _rule(entry, f"{file}, entry {number}")
        if rule.field in seen:
            raise ConfigurationError(f"{file}, entry {number}: the field '{rule.field}' is mapped twice")
        seen.add(rule.field)
        rules[rule.field] = rule
    return tuple(rules.values())


def _entries(file: Path) -> list[Any]:
    try:
        entries = read_yaml(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the mapping file {file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{file}, line {line}: the file is not in UTF-8: save it in that encoding") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"the mapping file {file} is not valid YAML: {error}") from None
    if not isinstance(entries, list):
        raise ConfigurationError(f"the mapping file {file} must be a list of entries with field, source and rule")
    return entries


def _rule(entry: Any, place: str) -> FieldRule:
    if not isinstance(entry, Mapping):
        raise ConfigurationError(f"{place}: must have the keys field, source and rule")
    unknown = sorted(str(key) for key in entry.keys() - _KEYS)
    if unknown:
        raise ConfigurationError(f"{place}: unknown key '{unknown[0]}'; choose one of field, source, rule, stamp")
    stamp = entry.get("stamp", False)
    if not isinstance(stamp, bool):
        raise ConfigurationError(f"{place}: stamp must be true or false")
    source = _name(entry, "source", place)
    if source not in SOURCES:
        raise ConfigurationError(f"{place}: source: {unknown_field(source, SOURCES)}")
    return FieldRule(_name(entry, "field", place), source, _when(entry, place), stamp)


def _name(entry: Mapping[str, Any], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{place}: {key} is missing or isn't a name")
    return value.strip()


def _when(entry: Mapping[str, Any], place: str) -> Rule:
    try:
        return Rule(str(entry.get("rule")))
    except ValueError:
        raise ConfigurationError(f"{place}: rule must be one of {', '.join(Rule)}") from None
