"""What editors know of a provider's file is what the loader takes."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from blocks.providers.spec.model import spec_names, spec_path
from enrichment.fields import FIELDS

ROOT = Path(__file__).parents[3]
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs" / "provider-spec.schema.json").read_text("utf-8"))
HINT = "# yaml-language-server: $schema="


@pytest.mark.parametrize("name", spec_names())
def test_a_spec_leads_editors_to_the_schema(name: str) -> None:
    """Its first line names the schema by a path that exists from where it stands, and the spec is valid by it."""
    text = spec_path(name).read_text("utf-8")
    hint = text.splitlines()[0]
    assert hint.startswith(HINT)
    assert (spec_path(name).parent / hint.removeprefix(HINT)).resolve() == ROOT / "docs" / "provider-spec.schema.json"
    jsonschema.validate(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    ("key", "value"),
    [("fields", {"revenue": {"path": "x"}}), ("fields", {"title": {"path": "x", "unit": "eur"}}), ("rates", {})],
)
def test_an_editor_marks_what_the_loader_refuses(key: str, value: Any) -> None:
    """An unknown key, a name outside the vocabulary and an unknown unit are not a valid spec."""
    spec = yaml.safe_load(spec_path("hunter").read_text("utf-8")) | {key: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spec, SCHEMA)


def test_an_editor_offers_the_vocabulary() -> None:
    """The names that a spec may fill are completed."""
    assert SCHEMA["properties"]["fields"]["propertyNames"]["enum"] == list(FIELDS)
