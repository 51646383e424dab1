"""What the README claims is checked here where a machine can check it."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


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
