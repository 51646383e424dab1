"""The environment's names: which of those with our prefix are no setting, and which setting they are likely to mean."""

import os
import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher

from dotenv import dotenv_values

from blocks.base import ENV_FILE, ENV_PREFIX, PipelineBlock, block_class, env_file, module_names, own_fields
from blocks.base import variable_prefix as prefix_of
from blocks.kinds import KINDS
from blocks.providers.block import provider_block_class
from blocks.providers.spec.model import spec_names
from blocks.settings import Settings
from enrichment.errors import ConfigurationError
from enrichment.fields import nearest

#: Further variables: of the command line itself, and where providers' own files are.
_FURTHER = {ENV_FILE, f"{ENV_PREFIX}TRACE", f"{ENV_PREFIX}PROVIDER_DIR"}
#: What Kubernetes sets in every container for a service that is called `enrichment`.
_SERVICE_LINK = re.compile(rf"{ENV_PREFIX}(?:\w+_)?(?:SERVICE_HOST|(?:SERVICE_)?PORT(?:_\w+)?)")
_SIMILAR, _NEARLY = 0.75, 0.85

Maker = Callable[[], type[PipelineBlock]]


def unknown_variables() -> list[str]:
    """Return a sentence for each variable of the environment and of `.env` that has our prefix and is no setting."""
    makers = _makers()
    return [
        f"{name} doesn't begin with {ENV_PREFIX} and has no effect: did you mean {_corrected(name)}?"
        for name in sorted(_all_given())
        if _is_nearly_ours(name)
    ] + [
        f"{name} is not a setting and has no effect: " + _advice(name, makers)
        for name in sorted(_given())
        if not _is_known(name, makers)
    ]


def _all_given() -> set[str]:
    file = dotenv_values(env_file(), encoding="utf-8-sig", interpolate=False) if env_file().is_file() else {}
    return {name.upper() for name in (*os.environ, *file)}


def _given() -> set[str]:
    return {name for name in _all_given() if name.startswith(ENV_PREFIX)}


def _is_nearly_ours(name: str) -> bool:
    """Return whether a variable's first word is a misspelt prefix of ours."""
    start, line, _ = name.partition("_")
    close = SequenceMatcher(a=ENV_PREFIX, b=start + line).ratio() >= _NEARLY
    return close and start + line != ENV_PREFIX


def _corrected(name: str) -> str:
    return ENV_PREFIX + name.partition("_")[2]


def _settings() -> set[str]:
    return {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields} | _FURTHER


def _makers() -> dict[str, Maker]:
    """Return what imports a vendor's block, by the prefix of its variables; to import them all takes seconds."""
    found: dict[str, Maker] = {prefix_of(name): _provider(name) for name in spec_names()}
    for package, kind in KINDS.items():
        found |= {prefix_of(vendor): _vendor(package, vendor, kind) for vendor in module_names(package)}
    return found


def _provider(name: str) -> Maker:
    return lambda: provider_block_class(name)


def _vendor(package: str, vendor: str, kind: type[PipelineBlock]) -> Maker:
    return lambda: block_class(package, vendor, kind)


def _is_known(name: str, makers: dict[str, Maker]) -> bool:
    if name in _settings() or _SERVICE_LINK.fullmatch(name):
        return True
    prefixes = [prefix for prefix in makers if name.startswith(prefix)]
    return any(name in _variables(prefix, makers) or not _variables(prefix, makers) for prefix in prefixes)


def _variables(prefix: str, makers: dict[str, Maker]) -> list[str]:
    """Return the variables of a vendor; none if its library isn't installed, so that nothing is known of them."""
    try:
        return [f"{prefix}{name}".upper() for name in own_fields(makers[prefix]())]
    except ConfigurationError:
        return []


def _advice(name: str, makers: dict[str, Maker]) -> str:
    candidates: Iterable[str] = [
        *_settings(),
        *(one for prefix in makers if _similar(name, prefix) for one in _variables(prefix, makers)),
    ]
    likely = nearest(name.removeprefix(ENV_PREFIX), [one.removeprefix(ENV_PREFIX).lower() for one in candidates])
    return f"did you mean {ENV_PREFIX}{likely.upper()}?" if likely else "docs/settings.md lists the settings"


def _similar(name: str, prefix: str) -> bool:
    start = name[len(ENV_PREFIX) : len(prefix) + 1]
    return SequenceMatcher(a=prefix.removeprefix(ENV_PREFIX), b=start).ratio() >= _SIMILAR
