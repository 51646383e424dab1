"""Where the pipeline stands, read from the warehouse, and from Prefect and the listener where they are configured."""

from collections.abc import Mapping

from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.credits import ANY_PROVIDER
from enrichment.errors import sealed
from enrichment.lists import ALL
from enrichment.names import names_in
from enrichment.plan import Reference
from enrichment.status import Answer, CreditStatus, Status
from tasks.doctor import examine_runtime


@sealed
def read_status() -> Status:
    """Return where the pipeline stands; a system that doesn't answer within seconds is one of its troubles."""
    settings = load_settings()
    with open_warehouse(settings.warehouse) as warehouse:
        health = warehouse.read_health()
        spent = {name: warehouse.credits_today(name) for name in _providers(settings.provider)}
        return Status(
            health.read_at,
            health.oldest_at,
            health.good_at,
            health.failed,
            health.failed_lately,
            lanes=warehouse.lane_status(),
            paused=warehouse.paused_lanes(),
            locks=warehouse.read_locks(),
            runs=warehouse.runs_since(f"{health.read_at[:10]}T00:00:00.000Z", ALL),
            credits=[CreditStatus(name, today, _cap(settings.credit_caps, name)) for name, today in spent.items()],
            systems=[Answer(one.system, one.well, one.says) for one in examine_runtime()],
            lease_seconds=settings.lease_seconds,
            plans=len(warehouse.waiting_plans()),
        )


def _providers(references: str) -> list[str]:
    return [Reference.parse(name).vendor for name in names_in(references)]


def _cap(caps: Mapping[str, float], provider: str) -> float | None:
    return caps.get(provider, caps.get(ANY_PROVIDER))
