"""
What a provider is, as data: `<provider>.yaml`, found, read and checked.

Specs are found in this package and, before it, in the folder that ENRICHMENT_PROVIDER_DIR names, so that a provider is
added or corrected without touching the package.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.base import ENV_FILE_ENCODING, ENV_PREFIX, env_file
from blocks.providers.spec.auth import Auth
from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.follow_ups import FollowUp
from blocks.providers.spec.sections import (
    ANSWER_NAMES,
    ITEM_NAMES,
    Batch,
    CanonicalField,
    CanonicalFields,
    Correlate,
    Credits,
    Errors,
    Fixture,
    Identifier,
    Outcomes,
    OutputFields,
    Part,
    Rate,
    RequestForm,
    Retry,
    Timeouts,
    Usage,
    canonical_flaws,
    check_names,
    keeps_every_item,
    raise_flaws,
)
from blocks.yaml_text import LOADER, read_yaml
from enrichment.errors import ConfigurationError
from enrichment.fields import RESULT_FIELDS

KeyPath = tuple[int | str, ...]


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
    elif details["type"] == "tuple_type":
        what = "a list is expected, such as [a, b]"
    elif details["type"] == "model_type":
        known = ", ".join(_known_keys(model, details["loc"]))
        what = f"keys and values are expected, such as {{key: value}}; known keys: {known}"
    line = _line_number(node, path)
    place = f" (line {line})" if line else ""
    return f"{source}: {'.'.join(str(part) for part in path) or 'the spec'}: {what}{place}"


def _written_path(loc: KeyPath, value: Any) -> KeyPath:
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


def _known_keys(model: Any, loc: KeyPath) -> list[str]:
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


def _line_number(node: yaml.Node | None, path: KeyPath) -> int | None:
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


class ProviderSpec(Part):
    """
    A provider; see the sections for what each key means, and their module's docstring for what expressions see.

    `min_confidence` is the least confidence (0 to 100) of a match, unless the user sets another; `addresses` finds in
    an item the addresses that the answer gives the person. `miss_days` is for how long a miss is reused where the
    provider bills it; by default the setting counts.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    description: str
    documentation_url: str
    base_url: str = Field(pattern=r"^https?://")
    api_version: str = ""
    version_header: str = ""
    version_request_header: str = ""
    request_id_headers: tuple[str, ...] = ()
    request_id_path: Expression | None = None
    auth: Auth
    request: RequestForm
    batch: Batch = Batch()
    min_input: tuple[tuple[Identifier, ...], ...] = Field(min_length=1)
    items: Expression | None = None
    record: Expression = Expression("@")
    record_id: Expression | None = None
    confidence: CanonicalField | None = None
    min_confidence: float = Field(0.0, ge=0, le=100)
    addresses: Expression | None = None
    correlate: Correlate = Correlate()
    outcomes: Outcomes
    errors: Errors = Errors()
    rate: Rate
    retry: Retry = Retry()
    credits: Credits = Credits()
    miss_days: int | None = Field(None, ge=1)
    fields: CanonicalFields
    output_fields: OutputFields = OutputFields()
    timeouts: Timeouts = Timeouts()
    usage: Usage | None = None
    follow_ups: tuple[FollowUp, ...] = ()
    fixtures: tuple[Fixture, ...] = ()

    @field_validator("record_id", "addresses")
    @classmethod
    def _sees_the_item(cls, expression: Expression | None) -> Expression | None:
        check_names(expression, ITEM_NAMES)
        return expression

    @field_validator("confidence")
    @classmethod
    def _is_a_confidence(cls, confidence: CanonicalField | None) -> CanonicalField | None:
        if confidence is not None:
            check_names(confidence.path, ITEM_NAMES)
            raise_flaws(((key,), what) for key, what in canonical_flaws(RESULT_FIELDS["confidence"], confidence))
        return confidence

    @field_validator("request_id_path")
    @classmethod
    def _sees_the_answer(cls, expression: Expression | None) -> Expression | None:
        check_names(expression, ANSWER_NAMES)
        return expression

    _keeps_every_item = field_validator("items")(keeps_every_item)

    @field_validator("request")
    @classmethod
    def _asks_with_identifiers(cls, request: RequestForm) -> RequestForm:
        known = get_args(Identifier)
        unknown = sorted({*request.inputs, *(request.probe or {})} - set(known))
        if unknown:
            raise ValueError(f"unknown identifier {', '.join(unknown)}; known are {', '.join(known)}")
        return request

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        unnamed = {name for names in self.min_input for name in names} - set(self.request.inputs)
        if unnamed:
            raise ValueError(f"request.inputs lacks names that min_input uses: {', '.join(sorted(unnamed))}")
        if self.batch.max > 1 and self.items is None:
            raise ValueError("batch.max above 1 needs the key items: the path of the list in the body")
        if self.batch.max > 1 and "$items" not in self.request.used:
            raise ValueError("batch.max above 1 needs `$items` in request.body: the list of the contacts")
        if not self.request.used & {"$items", "$item", "$input"}:
            raise ValueError(
                "request.body or request.query needs `$items`, `$item` or `$input`: whom the call is about"
            )
        if self.min_confidence and self.confidence is None:
            raise ValueError("min_confidence needs the key confidence: where an item says how sure the match is")
        for names in ([one.name for one in self.follow_ups], [one.switch.name for one in self.follow_ups]):
            if len(set(names)) < len(names):
                raise ValueError(f"two follow-ups share a name or a switch: {', '.join(names)}")
        return self


class _Folder(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", env_ignore_empty=True, env_file_encoding=ENV_FILE_ENCODING
    )

    provider_dir: Path | None = None


def spec_names() -> list[str]:
    """Return the providers that have a spec."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def load_spec(name: str) -> ProviderSpec:
    """
    Return a provider's spec.

    Raises:
        ConfigurationError: there is none of that name, or it is wrong; the message says where and what is allowed.
    """
    path = spec_path(name)
    return _named(parse_spec(path.read_text(encoding="utf-8"), path.name), path)


def spec_path(name: str) -> Path:
    """
    Return the file of a provider's spec.

    Raises:
        ConfigurationError: there is none of that name; the message lists those found.
    """
    for folder in _folders():
        for path in folder.glob("*.yaml"):
            if path.stem == name:
                return path
    raise ConfigurationError(f"unknown provider '{name}': choose one of {', '.join(spec_names())}")


def parse_spec(text: str, source: str) -> ProviderSpec:
    """
    Return the spec that a YAML text describes.

    Args:
        text: the YAML.
        source: the file's name, for messages.

    Raises:
        ConfigurationError: see `load_spec`.
    """
    try:
        value: Any = read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return ProviderSpec.model_validate(value)
    except ValidationError as error:
        node = yaml.compose(text, Loader=LOADER)
        raise ConfigurationError(explain_spec(error, ProviderSpec, value, node, source)) from None


def _folders() -> Iterator[Path]:
    own = _Folder(_env_file=env_file()).provider_dir
    if own is not None:
        if not own.is_dir():
            raise ConfigurationError(f"ENRICHMENT_PROVIDER_DIR is '{own}', which is not a folder")
        yield own
    yield Path(__file__).parents[1] / "specs"


def _named(spec: ProviderSpec, path: Path) -> ProviderSpec:
    if spec.id != path.stem:
        raise ConfigurationError(f"{path.name}: id: is '{spec.id}', but must equal the file's name, '{path.stem}'")
    return spec
