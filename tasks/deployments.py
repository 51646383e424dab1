"""What prefect.yaml lists and Prefect lacks is deployed; what is there stays as people made it."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import get_current_settings

from blocks.yaml_text import read_yaml
from enrichment.errors import ConfigurationError, EnrichmentError

FILE = Path("prefect.yaml")
#: What every deployment in it is tagged with, and so are their runs.
TAG = "enrichment"
_MOST_SECONDS = 600
_SHOWN_LINES = 3


def read_deployments() -> dict[str, str]:
    """
    Return what prefect.yaml lists: the own name of each deployment by its full name, `<flow>/<deployment>`.

    Raises:
        ConfigurationError: the file can't be read, or there is no server to deploy to.
    """
    if not get_current_settings().api.url:
        raise ConfigurationError(
            "deployments need a Prefect server that stays: start one with `prefect server start`, or log in to Prefect "
            "Cloud, and set PREFECT_API_URL"
        )
    try:
        entries = read_yaml(FILE.read_text(encoding="utf-8"))["deployments"]
        return {
            f"{load_flow_from_entrypoint(each['entrypoint']).name}/{each['name']}": each["name"] for each in entries
        }
    except OSError as error:
        raise ConfigurationError(f"{FILE.absolute()} can't be read ({error.strerror}): run it in its folder") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise ConfigurationError(f"{FILE.absolute()} is not a valid list of deployments") from None


def deploy_missing(listed: dict[str, str]) -> list[str]:
    """
    Create those of these deployments that Prefect doesn't have, with their schedules and automations.

    `prefect deploy --all` would turn on again the schedules, deployments and automations that people have paused.

    Returns:
        the full names of those created.
    """
    missing = _missing(listed)
    if missing:
        _deploy(list(missing.values()))
    return list(missing)


def _missing(listed: dict[str, str]) -> dict[str, str]:
    missing = {}
    with get_client(sync_client=True) as client:
        for full_name, name in listed.items():
            try:
                client.read_deployment_by_name(full_name)
            except ObjectNotFound:
                missing[full_name] = name
    return missing


def _deploy(names: list[str]) -> None:
    options = [word for name in names for word in ("--name", name)]
    done = subprocess.run(  # noqa: S603 - our own file's names
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", str(FILE), *options],
        env=get_current_settings().to_environment_variables(exclude_unset=True, include_secrets=True)
        | dict(os.environ),
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-_SHOWN_LINES:])
        raise EnrichmentError(f"Prefect could not create the deployments {', '.join(names)}: {said}")
