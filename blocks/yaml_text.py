"""YAML that people write: plain values only, and one error for whatever is wrong with it."""

from typing import Any

import yaml

#: The C parser takes a tenth of the time; PyYAML's wheels have it, builds from source may not.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """
    Return what a text says.

    Raises:
        yaml.YAMLError: it isn't YAML, is nested too deep, or has a value that there is none of, such as a 31st of June.
    """
    try:
        return yaml.load(text, Loader=LOADER)  # noqa: S506 - both load plain values only
    except RecursionError:
        raise yaml.YAMLError("nested too deep") from None
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
