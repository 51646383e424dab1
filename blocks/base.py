"""
What all our blocks share: found by name, filled from Prefect, overridden by the environment.

A reference is `<vendor>` or `<vendor>/<block name>`. The vendor is the name of a module (or of a provider's spec); the
block is Prefect's document of that name, `default` if none is given and one was saved. Environment variables and `.env`
with the prefix `ENRICHMENT_<VENDOR>_` override single fields.
"""

import functools
import importlib
import inspect
import logging
import os
import pkgutil
import threading
import time
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import httpx
from prefect.blocks.core import Block
from prefect.context import FlowRunContext, TaskRunContext
from prefect.settings import get_current_settings
from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.server import SILENT_SERVER, require_server, server_answers
from enrichment.errors import ConfigurationError, TransientError


def install_extra(extra: str) -> str:
    """Return the commands that add an extra, in a clone and in an environment of one's own."""
    return f"in the clone, `scripts/bootstrap --inexact --no-dev --extra {extra}` or `pip install '.[{extra}]'`"


def not_installed(what: str, library: str, extra: str) -> ConfigurationError:
    """
    Return the error that says which extra to install.

    Args:
        what: needs the library.
        library: that can't be imported.
        extra: that brings it.
    """
    return ConfigurationError(f"{what} needs {library}, which isn't installed: {install_extra(extra)}")


logger = logging.getLogger(__name__)

ENV_PREFIX = "ENRICHMENT_"
#: Names the file of settings, if that isn't `.env`.
ENV_FILE = f"{ENV_PREFIX}ENV_FILE"
#: Windows' editors begin a file with a mark, which would become a part of the first name.
ENV_FILE_ENCODING = "utf-8-sig"
DEFAULT_DOCUMENT = "default"

#: How long a run goes on with what it has read of a block.
_READ_AGAIN_SECONDS = 60.0
_loading = threading.Lock()


class PipelineBlock(Block):
    """A block of this pipeline; `vendor` is the name by which it is configured."""

    vendor: ClassVar[str] = ""
    #: The fields without a usable default, which `enrich init` asks for.
    asked: ClassVar[tuple[str, ...]] = ()
    #: Those of them that may stay empty.
    optional: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __dispatch_key__(cls) -> str:
        """Return what Prefect finds the class by; its own way there builds the block's whole schema, twice."""
        return cls.get_block_type_slug()


BlockT = TypeVar("BlockT", bound=PipelineBlock)

#: Defining a model parses source text, which CPython 3.11 must not do in two threads at once: a garbage collection amid
#: one ends the other with a SystemError (python/cpython#106905). The batches of a run begin at the same moment.
_IMPORTING = threading.RLock()


@functools.cache  # every task opens a warehouse and a CRM by their names
def module_names(package: str) -> tuple[str, ...]:
    """Return the vendors that a package holds: its packages if it has any, else its modules but for `base`."""
    found = list(pkgutil.iter_modules(importlib.import_module(package).__path__))
    packages = [m.name for m in found if m.ispkg]
    return tuple(sorted(packages or (m.name for m in found if m.name != "base" and m.name[0] != "_")))


@functools.cache
def _own_classes(name: str) -> tuple[type, ...]:
    """Return the classes that a module, or a module of this package, defines."""
    with _IMPORTING:
        module = importlib.import_module(name)
    found = inspect.getmembers(module, inspect.isclass)
    return tuple(each for _, each in found if each.__module__.startswith(module.__name__))


def check_vendor(package: str, vendor: str) -> None:
    """Raise a ConfigurationError that lists the vendors found, if this isn't one of them."""
    names = module_names(package)
    if vendor not in names:
        raise ConfigurationError(
            f"unknown {package.rpartition('.')[2].rstrip('s')} '{vendor}': choose one of {', '.join(names)}"
        )


def block_class(package: str, vendor: str, kind: type[BlockT]) -> type[BlockT]:
    """
    Return the block class that a vendor's module defines, or its package shows.

    Raises:
        ConfigurationError: there is no such vendor; the message lists those found.
    """
    check_vendor(package, vendor)
    return next(each for each in _own_classes(f"{package}.{vendor}") if issubclass(each, kind))


def configure(cls: type[BlockT], document: str) -> BlockT:
    """
    Build a block: Prefect's document, then the environment on top of it.

    Args:
        cls: the block class.
        document: the block's name in Prefect; empty for `default`, if one was saved.
    """
    values = {**_saved_values(cls, document), **environment_values(cls)}
    try:
        return cls(**values)
    except ValidationError as error:
        raise ConfigurationError(explain(error, variable_prefix(cls.vendor))) from None


def own_fields(cls: type[Block]) -> dict[str, FieldInfo]:
    """Return a block's configuration fields, Prefect's own left out."""
    return {name: info for name, info in cls.model_fields.items() if name not in Block.model_fields}


def variable_prefix(vendor: str) -> str:
    """Return the prefix of a vendor's environment variables."""
    return f"{ENV_PREFIX}{vendor}_".upper().replace("-", "_")


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(extra="ignore", env_file_encoding=ENV_FILE_ENCODING, env_ignore_empty=True)


def environment_values(cls: type[PipelineBlock]) -> dict[str, Any]:
    """Return those fields of a block that environment variables or `.env` set."""
    prefix = variable_prefix(cls.vendor)
    try:
        found = _environment_model(cls)(_env_prefix=prefix, _env_file=env_file())
    except ValidationError as error:
        raise ConfigurationError(explain(error, prefix)) from None
    return {name: getattr(found, name) for name in found.model_fields_set}


@functools.cache  # to build one takes longer than to read the environment, and every task configures some blocks
def _environment_model(cls: type[PipelineBlock]) -> type[_Environment]:
    optional: dict[str, Any] = {
        name: (info.annotation | None, None) for name, info in own_fields(cls).items() if info.annotation
    }
    return create_model(f"{cls.vendor}_environment", __base__=_Environment, **optional)


def env_file() -> Path:
    """
    Return the file of settings, which need not be there unless a variable names it.

    Raises:
        ConfigurationError: it isn't there, or can't be read.
    """
    named = os.environ.get(ENV_FILE, "")
    path = Path(named or ".env")
    if named and not path.exists():
        raise ConfigurationError(f"{ENV_FILE} names {path}, which doesn't exist: correct the path, or unset {ENV_FILE}")
    try:
        if path.is_file():
            path.read_text(encoding=ENV_FILE_ENCODING)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigurationError(f"{path}, line {line}: the file is not in UTF-8: save it in that encoding") from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read ({error.strerror}): check its permissions") from None
    return path


_FLAWS = {
    "float_parsing": "must be a number; write 1 % as 0.01",
    "string_pattern_mismatch": "is not written as docs/settings.md says",
}


def explain(error: ValidationError, prefix: str) -> str:
    """Say which setting is wrong and why, without its value."""
    lines = []
    for e in error.errors(include_input=False):
        name = f"{prefix}{'_'.join(str(part) for part in e['loc'])}".upper()
        lines.append(f"{name}: {_FLAWS.get(e['type'], e['msg'].removeprefix('Value error, '))}")
    return "wrong settings: " + "; ".join(lines)


def _saved_values(cls: type[PipelineBlock], document: str) -> dict[str, Any]:
    # Without a server, Prefect would start one only to say that it holds no block.
    if not document and not get_current_settings().api.url:
        return {}
    if not document and environment_values(cls) and not server_answers():
        logger.warning("%s; %s is taken from the environment and .env alone", SILENT_SERVER, cls.vendor)
        return {}
    require_server()
    run = _run_id()
    if not run:
        return _load(cls, document)
    with _loading:  # the steps that begin together need the same blocks
        return _load_for(run, int(time.monotonic() // _READ_AGAIN_SECONDS), cls, document)


def _run_id() -> object:
    """Return the id of Prefect's flow run that is at work; None outside one."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    return (task and task.task_run.flow_run_id) or (flow and flow.flow_run and flow.flow_run.id)


@functools.lru_cache(maxsize=32)
def _load_for(_run: object, _period: int, cls: type[PipelineBlock], document: str) -> dict[str, Any]:
    """Load a block once for all steps of a run, and again after a while; each load costs the server a request."""
    return _load(cls, document)


def _load(cls: type[PipelineBlock], document: str) -> dict[str, Any]:
    try:
        saved: Any = cls.load(document or DEFAULT_DOCUMENT)
    except httpx.HTTPError as error:
        raise TransientError(f"Prefect's server can't be reached ({type(error).__name__})") from None
    except ValueError:
        if not document:
            return {}
        raise ConfigurationError(
            f"Prefect has no block '{document}' of the type '{cls.get_block_type_slug()}': "
            "save one, or leave the name out"
        ) from None
    return {name: getattr(saved, name) for name in own_fields(cls) if name in saved.model_fields_set}
