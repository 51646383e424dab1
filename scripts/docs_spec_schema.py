"""Generate docs/provider-spec.schema.json, by which editors check a provider's file. Run by `make docs`."""

import json
from pathlib import Path

from blocks.providers.spec.model import ProviderSpec

FILE = Path(__file__).parents[1] / "docs" / "provider-spec.schema.json"


def main() -> None:
    """Write the schema."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ProviderSpec.model_json_schema()}
    FILE.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
