"""Which CRM, providers and warehouse the demo puts together: every one that has a stand-in, in any combination."""

from collections.abc import Collection
from dataclasses import dataclass

from enrichment.errors import ConfigurationError
from enrichment.names import names_in
from sandbox.accounts import CRMS, PROVIDERS
from sandbox.warehouses.base import stand_in_names

#: The CRM that needs no stand-in: a list that is enriched into another.
FILE = "file"


@dataclass(frozen=True, slots=True)
class Combination:
    """What is put together; several providers are queried one after the other."""

    crm: str = "hubspot"
    providers: tuple[str, ...] = ("zoominfo",)
    warehouse: str = "sqlite"

    @property
    def usual_contacts(self) -> int:
        """Return how many contacts show enough without taking long."""
        return 1000

    def __str__(self) -> str:
        """Return it as people say it."""
        return f"{self.crm}, {' then '.join(self.providers)}, {self.warehouse}"


def combine(crm: str, provider: str, warehouse: str) -> Combination:
    """
    Return the combination of these names; several providers are separated by commas.

    Raises:
        ConfigurationError: one of them has no stand-in; the message lists those that have.
    """
    providers = tuple(names_in(provider))
    _check("CRM", [crm], [*CRMS, FILE])
    _check("provider", providers or [provider], list(PROVIDERS))
    _check("warehouse", [warehouse], stand_in_names())
    return Combination(crm, providers, warehouse)


def _check(kind: str, names: Collection[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"the demo has no {kind} '{name}': choose one of {', '.join(sorted(known))}")
