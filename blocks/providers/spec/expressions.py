"""JMESPath expressions of a spec: compiled once and checked when they are loaded, evaluated without surprises."""

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from blocks.providers.spec.closures import Interpreter, closure_of, is_false

# Nodes whose first child alone is looked up from where the expression starts; the others are relative to its result.
_CHAINS = {
    "subexpression",
    "index_expression",
    "projection",
    "filter_projection",
    "value_projection",
    "flatten",
    "pipe",
}
_PROJECTIONS = {"projection", "filter_projection", "value_projection", "flatten"}
#: What the library raises for a value of a type that a function doesn't take, for a text that is compared by size, and
#: for a number that has no whole one near it, such as 1e400.
_OTHER_TYPE = (JMESPathTypeError, TypeError, OverflowError)
_LITERAL_WORDS = {"null", "true", "false"}


class _OurFunctions(Functions):
    @signature({"types": ["string", "null"]})
    def _func_lower(self, text: str | None) -> str:
        """Return a text in lower case, and an empty one for null: codes come in any case, messages all the more."""
        return (text or "").casefold()


FUNCTIONS = _OurFunctions()


class _Lenient(Interpreter):
    """Takes a text or number for a list of it."""

    def visit_index(self, node: Any, value: Any) -> Any:
        return super().visit_index(node, _listed(value))

    def visit_flatten(self, node: Any, value: Any) -> Any:
        found = super().visit_flatten(node, value)
        single = _listed(self.visit(node["children"][0], value)) if found is None else None
        return single if isinstance(single, list) else found


_STRICT, _LENIENT = Interpreter(FUNCTIONS), _Lenient(FUNCTIONS)


def _listed(value: Any) -> Any:
    single = isinstance(value, str | int | float) and not isinstance(value, bool)
    return [value] if single else value


class Expression:
    """
    A compiled JMESPath expression.

    Args:
        text: the expression.

    Raises:
        ValueError: it doesn't parse, or could only fail or mislead when it is evaluated.
    """

    def __init__(self, text: str) -> None:
        try:
            self._compiled = jmespath.compile(text)
        except JMESPathError as error:
            raise ValueError(f"bad JMESPath '{text}': {str(error).splitlines()[0]}") from None
        self.text = text
        for node in _nodes(self.tree):
            _check_node(node)
        self._found, self._picked = closure_of(self.tree, _STRICT), closure_of(self.tree, _LENIENT)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read an expression from a text."""
        as_text = core_schema.plain_serializer_function_ser_schema(lambda expression: expression.text)
        return core_schema.no_info_plain_validator_function(cls._read, serialization=as_text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe it to editors, which can't compile it."""
        return {"type": "string", "description": "A JMESPath expression."}

    @classmethod
    def _read(cls, value: Any) -> "Expression":
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"a JMESPath expression in quotes is expected, not {value!r}")  # noqa: TRY004  pydantic wants it
        return cls(value)

    def __repr__(self) -> str:
        """Return the text, since a spec's repr appears in messages."""
        return f"Expression({self.text!r})"

    def find(self, value: Any) -> Any:
        """Return what the expression finds; null also where a value has another type than the expression expects."""
        try:
            return self._found(value)
        except _OTHER_TYPE:
            return None

    def pick(self, value: Any) -> Any:
        """Return what `find` finds, also where a single value stands in place of a list of it."""
        try:
            return self._picked(value)
        except _OTHER_TYPE:
            return None

    def holds(self, value: Any) -> bool:
        """Return whether the result is true in JMESPath's sense: null, false and anything empty are not, but 0 is."""
        return not is_false(self.find(value))

    @property
    def names(self) -> set[str]:
        """Return the names that it looks up in the value that it is given."""
        return _names(self.tree)

    def compares_with_text(self, name: str) -> bool:
        """Return whether it compares what has this name with a text."""
        compared = (node["children"] for node in _nodes(self.tree) if node["type"] == "comparator")
        return any(
            {"type": "field", "value": name, "children": []} in sides
            and any(one["type"] == "literal" and isinstance(one["value"], str) for one in sides)
            for sides in compared
        )

    @property
    def projects(self) -> bool:
        """Return whether the result is a projection, which drops nulls, so that the rest shifts."""
        return self.tree["type"] in _PROJECTIONS

    @property
    def tree(self) -> Mapping[str, Any]:
        """Return the parsed expression, as JMESPath has it."""
        tree: Mapping[str, Any] = self._compiled.parsed
        return tree


def _nodes(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield tree
    for child in tree["children"]:
        if isinstance(child, Mapping):  # the bounds of a slice are numbers
            yield from _nodes(child)


def _check_node(node: Mapping[str, Any]) -> None:
    if node["type"] == "field" and node["value"] in _LITERAL_WORDS:
        raise ValueError(f"'{node['value']}' is a field's name here: write the literal as `{node['value']}`")
    if node["type"] == "function_expression":
        _check_function(node["value"], len(node["children"]))


def _check_function(name: str, arguments: int) -> None:
    known = _OurFunctions.FUNCTION_TABLE
    if name not in known:
        raise ValueError(f"unknown JMESPath function {name}(); known functions: {', '.join(sorted(known))}")
    signature = known[name]["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if arguments < len(signature) or (arguments > len(signature) and not variadic):
        raise ValueError(f"{name}() takes {len(signature)} arguments, not {arguments}")


def _names(node: Mapping[str, Any]) -> set[str]:
    if node["type"] == "field":
        return {node["value"]}
    if node["type"] == "expref":  # relative to what the function passes it
        return set()
    children = node["children"][:1] if node["type"] in _CHAINS else node["children"]
    return set().union(*(_names(child) for child in children))
