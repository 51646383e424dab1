"""The Prefect block of each provider, made from its spec: credentials and what a user may set."""

import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import httpx
from pydantic import Field, SecretStr

from blocks.base import PipelineBlock, configure, variable_prefix
from blocks.calls.tls import check_address
from blocks.providers.base import Provider
from blocks.providers.http.auth import credential_names, credential_ways, is_set
from blocks.providers.http.channel import Options
from blocks.providers.http.engine import HttpProvider
from blocks.providers.http.follow_ups import chosen_values
from blocks.providers.spec.model import ProviderSpec, load_spec, spec_path
from enrichment.errors import ConfigurationError
from enrichment.plan import Reference

_EXAMPLE = """
Example:
    Save the block once, then name it in `ENRICHMENT_PROVIDER`:

    ```python
    from blocks.providers.block import provider_block_class

    {cls} = provider_block_class("{vendor}")
    block = {cls}.load("BLOCK_NAME")
    ```
"""


class ProviderBlock(PipelineBlock):
    """What every provider's block has; each spec makes a class of its own."""

    _block_type_name = "Enrichment Provider"

    spec: ClassVar[ProviderSpec]

    base_url: str | None = Field(
        None, pattern="^https?://", description="Base URL to call, if it isn't the provider's own."
    )
    requests_per_second: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Requests per second that the contract allows, if not the provider's usual rate; what its answers "
        "state still holds.",
    )
    concurrency: int = Field(
        64,
        ge=1,
        le=256,
        description="Most calls in flight at once. It begins with 16 and goes up while all of them are needed, and "
        "down while the service fails.",
    )
    batch_size: int | None = Field(
        None, ge=1, le=10_000, description="Contacts per call, if fewer than the provider accepts."
    )

    def get_provider(self) -> Provider:
        """
        Return the adapter.

        Raises:
            ConfigurationError: a credential is missing; the message names its environment variable.
        """
        spec = self.spec
        secrets: dict[str, SecretStr | None] = {name: getattr(self, name) for name in credential_names(spec.auth)}
        self._require_one_way(secrets)
        size = min(self.batch_size or spec.batch.default or spec.batch.max, spec.batch.max)
        base_url = _checked_url(self.base_url or spec.base_url, spec)
        version = getattr(self, "api_version", None) or ""
        chosen = getattr(self, "min_confidence", None)
        least = spec.min_confidence if chosen is None else chosen
        options = Options(
            base_url, secrets, self.requests_per_second, self.concurrency, size, version, self._switched_on(), least
        )
        return HttpProvider(spec, options)

    def _switched_on(self) -> dict[str, tuple[str, ...]]:
        """Return the follow-ups that the user has switched on, with the values chosen for each."""
        found = {}
        for one in self.spec.follow_ups:
            variable = f"{variable_prefix(self.spec.id)}{one.switch.name}".upper()
            found[one.name] = chosen_values(one.switch, getattr(self, one.switch.name), variable)
        return {name: values for name, values in found.items() if values is not None}

    def _require_one_way(self, secrets: Mapping[str, SecretStr | None]) -> None:
        ways = credential_ways(self.spec.auth)
        missing = [[name for name in way if not is_set(secrets[name])] for way in ways]
        if not all(missing):
            return
        variables = [[f"{variable_prefix(self.spec.id)}{name}".upper() for name in way] for way in missing]
        raise ConfigurationError(
            f"{self.spec.title} needs {_alternatives(missing)}: set {_alternatives(variables)} in the environment or "
            f"in .env, or save a block of the type '{self.get_block_type_slug()}'"
        )


def _alternatives(ways: Sequence[Sequence[str]]) -> str:
    return ", or ".join(" and ".join(names) for names in ways)


def provider_block_class(name: str) -> type[ProviderBlock]:
    """Return the block class of a provider, made once from its spec as long as the file doesn't change."""
    path = spec_path(name)
    return _class_of(path, path.stat().st_mtime_ns)


@functools.lru_cache
def _class_of(path: Path, changed_at: int) -> type[ProviderBlock]:  # noqa: ARG001  the time is part of the cache's key
    return make_block_class(load_spec(path.stem))


def make_block_class(spec: ProviderSpec) -> type[ProviderBlock]:
    """Return a block class for a spec: one secret field for each credential that its auth names."""
    cls_name = "".join(part.capitalize() for part in spec.id.split("_")) + "Provider"
    secrets = {name: Field(None, description=_secret_description(name, spec)) for name in credential_names(spec.auth)}
    versions = {"api_version": _version_field(spec)} if spec.version_request_header else {}
    limits = {"min_confidence": _limit_field(spec)} if spec.confidence else {}
    switches = _switch_fields(spec, {*ProviderBlock.model_fields, *secrets, *versions, *limits})
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"{spec.description}\n{_EXAMPLE.format(cls=cls_name, vendor=spec.id)}",
        "__annotations__": {
            **dict.fromkeys(secrets, SecretStr | None),
            **dict.fromkeys(versions, str | None),
            **dict.fromkeys(limits, float | None),
            **{name: annotation for name, (annotation, _) in switches.items()},
            "vendor": ClassVar[str],
            "asked": ClassVar[tuple[str, ...]],
            "spec": ClassVar[ProviderSpec],
        },
        "_block_type_name": f"{spec.title} Provider",
        "_documentation_url": spec.documentation_url,
        "vendor": spec.id,
        "asked": tuple(credential_ways(spec.auth)[0]),
        "spec": spec,
        **secrets,
        **versions,
        **limits,
        **{name: info for name, (_, info) in switches.items()},
    }
    return type(cls_name, (ProviderBlock,), namespace)


def load_provider(reference: str) -> Provider:
    """
    Return the adapter of `<provider>` or `<provider>/<block name>`.

    Raises:
        ConfigurationError: there is no such provider or block, or a credential is missing.
    """
    parsed = Reference.parse(reference)
    return configure(provider_block_class(parsed.name), parsed.document).get_provider()


def _checked_url(url: str, spec: ProviderSpec) -> str:
    try:
        host = httpx.URL(url).host
    except httpx.InvalidURL:
        host = ""
    if not host:
        raise ConfigurationError(
            f"{variable_prefix(spec.id)}BASE_URL is not a valid URL: write it as https://host/path"
        )
    check_address(url, f"{variable_prefix(spec.id)}BASE_URL")
    return url.rstrip("/")


def _secret_description(name: str, spec: ProviderSpec) -> str:
    return f"The {name} of {spec.title}, or `block:<type>/<name>` of a secret block that holds it."


def _version_field(spec: ProviderSpec) -> Any:
    text = f"API version to request in the header {spec.version_request_header}, if not the account's own."
    return Field(None, pattern=r"^[!-~]{1,64}$", description=text)


def _limit_field(spec: ProviderSpec) -> Any:
    text = f"Least confidence of a match, 0 to 100, by what {spec.title} says of it; below, it counts as unmatched"
    return Field(None, ge=0, le=100, description=f"{text}. Empty: {spec.min_confidence:g}.")


def _switch_fields(spec: ProviderSpec, taken: Collection[str]) -> dict[str, tuple[Any, Any]]:
    """Return the type and the description of the field that switches each follow-up on."""
    fields: dict[str, tuple[Any, Any]] = {}
    for switch in (one.switch for one in spec.follow_ups):
        if switch.name in taken:
            raise ConfigurationError(f"{spec.id}.yaml: the switch '{switch.name}' has the name of another setting")
        annotation, default = (bool, False) if switch.kind == "yes_no" else (str | None, None)
        fields[switch.name] = annotation, Field(default, description=switch.description)
    return fields
