"""YAML that people write: plain values only, and one error for whatever is wrong with it."""

from typing import Any

import yaml

#: The C parser takes a tenth of the time; PyYAML's wheels have it, builds from source may not.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str) -> Any:
    """
    Return what a text says.

    Raises:
        yaml.YAMLError: it isn't YAML, is nested too deep, has a key twice, of which the first would be lost, or a value
            that there is none of, such as a 31st of June.
    """
    loader = LOADER(text)
    try:
        node = loader.get_single_node()
        _check_keys(node)
        return None if node is None else loader.construct_document(node)
    except RecursionError:
        raise yaml.YAMLError("nested too deep") from None
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
    finally:
        loader.dispose()


def _check_keys(root: yaml.Node | None) -> None:
    """Raise if a mapping has a key twice."""
    waiting, known = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in known:  # by an alias
            continue
        known.add(id(node))
        if isinstance(node, yaml.MappingNode):
            seen: set[tuple[str, str]] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if (key.tag, key.value) in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key '{key.value}' is there a second time", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
