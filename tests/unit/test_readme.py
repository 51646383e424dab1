"""What the README claims is checked here where a machine can check it."""

import re
from pathlib import Path

import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from blocks.base import ENV_PREFIX, own_fields, variable_prefix
from blocks.registration import block_classes
from blocks.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def default_text(info: FieldInfo) -> str:
    default = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, frozenset | set | list | tuple):
        return ", ".join(sorted(str(item) for item in default))
    return "" if default is None or isinstance(default, SecretStr) else str(default)


def row(variable: str, info: FieldInfo) -> str:
    default = default_text(info)
    return f"| `{variable}` | {f'`{default}`' if default else ''} | {info.description} |"


def expected_rows() -> list[str]:
    rows = [row(f"{ENV_PREFIX}{name}".upper(), info) for name, info in Settings.model_fields.items()]
    for cls in block_classes():
        prefix = variable_prefix(cls.vendor)
        rows += [row(f"{prefix}{name}".upper(), info) for name, info in own_fields(cls).items()]
    return rows


def test_the_table_of_settings_is_complete_and_true() -> None:
    """Every setting and every block's field has its row, with today's default and description."""
    rows = expected_rows()
    missing = [line for line in rows if line not in SETTINGS]
    assert not missing, "docs/settings.md lacks:\n" + "\n".join(missing)
    stale = set(re.findall(r"^\| `(ENRICHMENT_\w+)`", SETTINGS, re.MULTILINE)) - {line.split("`")[1] for line in rows}
    assert not stale, f"docs/settings.md names settings that don't exist: {sorted(stale)}"


def test_the_commands_of_the_readme_exist() -> None:
    """Every `make` target and `enrich` command that the README names is there."""
    from cli import app  # noqa: PLC0415

    makefile = (ROOT / "Makefile").read_text()
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {str(group.name) for group in app.registered_groups}
    for target in re.findall(r"(?:`|^)make ([a-z]+)\b", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for command in re.findall(r"(?:`|bin/)enrich ([a-z]+)\b", README):
        assert command in commands, command


def test_the_deployments_of_the_readme_exist() -> None:
    """Every deployment that the README names is in prefect.yaml."""
    deployments = {
        f"{entry['entrypoint'].rpartition('.')[2].replace('_', '-')}/{entry['name']}"
        for entry in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    }
    named = set(re.findall(r"\b((?:enrich-contacts|ingest-contacts|weekly-review|erase-contact)/[a-z-]+)\b", README))
    assert named
    assert named <= deployments
