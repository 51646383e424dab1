"""What the flows share: the settings and a run's parameters become its plan."""

import uuid
from typing import Any

from blocks.settings import Settings, load_settings
from enrichment.errors import ConfigurationError
from enrichment.plan import RunPlan
from tasks.present_run import run_parameters, totals_id


def plan_run(settings: Settings, *, max_credits: float | None = None, **overrides: str) -> RunPlan:
    """
    Return the plan of the present run.

    Args:
        settings: of this moment.
        max_credits: the most that the run may spend; None for no cap.
        overrides: `provider`, `crm`, `warehouse`, `lane`; an empty one means the setting.
    """
    values: dict[str, Any] = {name: value or getattr(settings, name, "") for name, value in overrides.items()}
    return RunPlan(
        totals_id() or str(uuid.uuid4()),
        live_share=settings.live_share,
        chunk_size=settings.chunk_size,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        fresh_days=settings.fresh_days,
        reply_days=settings.reply_days,
        miss_days=settings.miss_days,
        absent_seconds=60.0 * settings.absent_minutes,
        address_policies=settings.address_policies,
        doubtful_matches_count=settings.doubtful_matches == "write",
        required_fields=settings.required_field_names,
        max_credits=max_credits,
        credits_per_day=settings.credit_caps,
        guard=settings.guard,
        **values,
    )


def asked_for(what: str) -> str:
    """Return a run's name while it works: what it does, with how many contacts of which queue, CRM and provider."""
    asked = run_parameters()
    many = f"up to {asked['limit']:,}" if asked.get("limit") else ""
    which = "selected" if _selects(asked.get("select")) else asked.get("lane", "")
    most = "" if asked.get("max_credits") is None else f", at most {asked['max_credits']:,g} credits"
    words = " ".join(filter(None, (what, many, which, "contacts")))
    return f"{words} of {chosen('crm')} with {chosen('provider')}{most}"


def _selects(select: Any) -> bool:
    """Return whether a selection has conditions; of a run's parameters, Prefect keeps plain values."""
    return bool(select) and (any(select.values()) if isinstance(select, dict) else not select.is_empty)


def chosen(name: str) -> str:
    """Return a parameter of the present run, or else the setting; its name alone if the settings are wrong."""
    try:
        return str(run_parameters().get(name) or getattr(load_settings(), name))
    except ConfigurationError:
        return name  # the run ends with this error, once it is at work
