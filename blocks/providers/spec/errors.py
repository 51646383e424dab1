"""What is wrong with a spec: file, key path, line, and what is allowed there."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[int | str, ...]


def explain_spec(
    error: ValidationError, model: type[BaseModel], value: Any, node: yaml.Node | None, source: str
) -> str:
    """
    Return one line for each thing that is wrong.

    Args:
        error: pydantic's findings.
        model: of the whole spec.
        value: the spec as read.
        node: the same with its places in the file.
        source: the file's name.
    """
    return "\n".join(_line(details, model, value, node, source) for details in error.errors(include_url=False))


def _line(details: ErrorDetails, model: type[BaseModel], value: Any, node: yaml.Node | None, source: str) -> str:
    path = _written_path(details["loc"], value)
    what = details["msg"].removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        what = f"unknown key; known keys: {', '.join(_known_keys(model, details['loc'][:-1]))}"
    elif details["type"] == "missing":
        what = "this key is missing"
    line = _line_number(node, path)
    place = f" (line {line})" if line else ""
    return f"{source}: {'.'.join(str(part) for part in path) or 'the spec'}: {what}{place}"


def _written_path(loc: Path, value: Any) -> Path:
    """Return the error's path as it stands in the file: pydantic adds the names of union members to it."""
    path: list[int | str] = []
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(value, Mapping) and (part in value or last):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (last and isinstance(value, Mapping)):
            continue
        path.append(part)
    return tuple(path)


def _known_keys(model: Any, loc: Path) -> list[str]:
    for part in loc:
        model = _below(model, part)
    return list(dict.fromkeys(name for found in _models(model) for name in found.model_fields))


def _below(annotation: Any, part: int | str) -> Any:
    for model in _models(annotation):
        if part in model.model_fields:
            return model.model_fields[str(part)].annotation
    tagged = [model for model in _models(annotation) if part in _tags(model)]
    return tagged[0] if tagged else annotation


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models(argument)


def _line_number(node: yaml.Node | None, path: Path) -> int | None:
    line = None
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
