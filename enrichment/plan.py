"""What a run was asked to do, as its tasks receive it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from enrichment.write_policy import FieldDescription


@dataclass(frozen=True, slots=True)
class RunPlan:
    """
    Names and numbers only, never clients or secrets, so that a task may run anywhere.

    Args:
        run_id: the flow run's id.
        provider, crm, warehouse: references to blocks; several providers are separated by commas.
        required_fields: canonical fields without which the next provider is asked.
        lane: `live`, `backfill`, or empty for both.
        processes: others that work on the run's chunks, each at its part of the run's rate; 0: the run's own threads.
        descriptions: the CRM's description of the mapped fields, read once per run.
    """

    run_id: str
    provider: str
    crm: str
    warehouse: str
    lane: str = ""
    chunk_size: int = 1000
    lease_seconds: int = 600
    max_attempts: int = 5
    fresh_days: int = 30
    reply_days: int = 180
    required_fields: tuple[str, ...] = ()
    processes: int = 0
    descriptions: Mapping[str, FieldDescription] = field(default_factory=dict)

    @property
    def crm_name(self) -> str:
        """Return the CRM's name, by which contacts are known."""
        return self.crm.partition("/")[0]

    @property
    def providers(self) -> tuple[str, ...]:
        """Return the references of the providers, in the order in which they are asked."""
        return tuple(part.strip() for part in self.provider.split(",") if part.strip())

    @property
    def provider_names(self) -> str:
        """Return the providers' names, by which unmatched contacts are filed."""
        return ",".join(reference.partition("/")[0] for reference in self.providers)
