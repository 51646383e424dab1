"""The variants of docs/deployment.md for other work pools, against Prefect's own templates of those pools."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import prefect
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text()
METADATA = Path(prefect.__file__).parent / "server" / "api" / "collections_data" / "views"

#: A section's type of pool and its replacement for the parts of prefect.yaml.
VARIANTS = dict(re.findall(r"create enrichment --type ([a-z0-9-]+).*?```yaml\n(.*?)```", PAGE, re.DOTALL))


def template_of(kind: str) -> dict[str, Any]:
    collections = json.loads((METADATA / "aggregate-worker-metadata.json").read_text())
    found = [workers[kind] for workers in collections.values() if kind in workers]
    return found[0]["default_base_job_configuration"]["variables"]


def deployments(variant: str) -> list[dict[str, Any]]:
    """Return the deployments of prefect.yaml with a variant's parts in the place of its own."""
    text = (ROOT / "prefect.yaml").read_text()
    parts = yaml.safe_load(variant)
    pool = re.search(r"( {2}pool: &pool\n(?: {4}.*\n)+)", variant)
    assert pool
    replaced = re.sub(r" {2}pool: &pool\n(?: {4}.*\n)+", lambda _: pool[1], text, count=1)
    loaded = yaml.safe_load(replaced)
    assert set(parts) <= set(loaded)
    return loaded["deployments"]


def test_the_page_has_a_variant_for_each_kind_of_container() -> None:
    """Docker, and the serverless ones of two clouds."""
    assert set(VARIANTS) == {"docker", "ecs", "cloud-run-v2"}


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_says_only_what_its_pool_knows(kind: str) -> None:
    """Each job variable of each deployment has a name and a value that the pool's template takes."""
    variables = template_of(kind)
    pools = [deployment["work_pool"] for deployment in deployments(VARIANTS[kind])]
    assert pools
    for pool in pools:
        assert pool["name"] == "enrichment"
        assert set(pool["job_variables"]) <= set(variables["properties"])
        jsonschema.validate(pool["job_variables"], variables | {"required": []})


@pytest.mark.parametrize("kind", VARIANTS)
def test_a_variant_runs_in_the_folder_of_the_image(kind: str) -> None:
    """The Dockerfile's working directory is where the code is."""
    folder = re.findall(r"^WORKDIR (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]
    (pull,) = yaml.safe_load(VARIANTS[kind])["pull"]
    assert pull == {"prefect.deployments.steps.set_working_directory": {"directory": folder}}
