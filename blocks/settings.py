"""Settings of the pipeline itself; those of a vendor are the fields of its block."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.base import ENV_PREFIX, env_file, explain
from enrichment.credits import ANY_PROVIDER
from enrichment.errors import ConfigurationError
from enrichment.fields import FIELDS, unknown_field

MOST_CHUNKS_IN_FLIGHT = 16
_CREDITS = r"\d+(?:\.\d+)?"
_CREDITS_OF_ONE = rf"\s*[a-z][a-z0-9_]*\s*=\s*{_CREDITS}\s*"


class Settings(BaseSettings):
    """Read from the environment and `.env`, prefix `ENRICHMENT_`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", env_ignore_empty=True)

    provider: str = Field(
        "zoominfo", description="Provider to ask, `<name>` or `<name>/<block>`; or several, in order."
    )
    required_fields: str = Field(
        "", description="Fields without which the next provider is asked, comma-separated; empty: any match will do."
    )
    crm: str = Field("hubspot", description="CRM to serve, `<name>` or `<name>/<block>`.")
    warehouse: str = Field("sqlite", description="Warehouse to keep everything in, `<name>` or `<name>/<block>`.")
    notifiers: str = Field("", description="Who is told, comma-separated: `slack`, `email`, or `<name>/<block>`.")
    chunk_size: int = Field(1000, ge=1, le=10_000, description="Staged records that one chain of task runs handles.")
    chunks_in_flight: int = Field(
        4, ge=1, le=MOST_CHUNKS_IN_FLIGHT, description="Chunks that one run works on at once."
    )
    live_share: float = Field(
        0.8, ge=0.05, le=0.95, description="Part of every rate that live runs get together beside backfills."
    )
    task_runner: Literal["threads", "dask"] = Field(
        "threads",
        description="Who works on the chunks of a run: its own `threads`, or the workers of a `dask` cluster.",
    )
    dask_address: str = Field(
        "", description="Scheduler of a Dask cluster, such as `tls://10.0.0.5:8786`; empty: the run starts its own."
    )
    dask_workers: int = Field(
        2, ge=1, le=64, description="Processes of the run's own cluster; with an address, the most that it may grow to."
    )
    lease_seconds: int = Field(600, ge=1, le=86_400, description="How long a claim lasts unless it is renewed.")
    max_attempts: int = Field(5, ge=1, le=100, description="Attempts before a record becomes a dead letter.")
    fresh_days: int = Field(30, ge=0, le=3650, description="Contacts enriched within so many days are skipped.")
    reply_days: int = Field(180, ge=1, le=3650, description="Journalled replies are reused for so many days.")
    miss_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="Replies that a provider doesn't know the contact are reused for so many days.",
    )
    start_runs_by: Literal["event", "deployment", "schedule"] = Field(
        "event",
        description="What starts a run when contacts were staged: an `event` for prefect.yaml's triggers, the "
        "`deployment` by its name, or the next `schedule`.",
    )
    start_deployment: str = Field(
        "enrich-contacts/live", description="Deployment that is started by its name, `<flow>/<deployment>`."
    )
    start_interval_seconds: float = Field(
        4.0, ge=1, le=3600, description="Contacts that are staged within so many seconds lead to one run."
    )
    alert_threshold: float = Field(0.01, ge=0, le=1, description="Failure rate of a run above which people are told.")

    credits_per_day: str = Field(
        "",
        pattern=rf"^\s*(?:{_CREDITS}|{_CREDITS_OF_ONE}(?:,{_CREDITS_OF_ONE})*)?\s*$",
        description="Credits that each provider may cost a day (UTC), or `zoominfo=5000, hunter=200`; empty: no cap.",
    )
    price_book: Path | None = Field(
        None, description="YAML file of prices per credit, such as `zoominfo: {price: 0.45, currency: EUR}`."
    )

    @field_validator("required_fields")
    @classmethod
    def _names_canonical_fields(cls, text: str) -> str:
        for name in filter(None, map(str.strip, text.split(","))):
            if name not in FIELDS:
                raise ValueError(unknown_field(name))
        return text

    @property
    def credit_caps(self) -> Mapping[str, float]:
        """Return the day's caps by provider, or of every one."""
        parts = [part.partition("=") for part in self.credits_per_day.split(",") if part.strip()]
        return {
            (name.strip() if equals else ANY_PROVIDER): float(most if equals else name) for name, equals, most in parts
        }

    @property
    def required_field_names(self) -> tuple[str, ...]:
        """Return the canonical fields without which the next provider is asked."""
        return tuple(name.strip() for name in self.required_fields.split(",") if name.strip())

    @property
    def notifier_references(self) -> list[str]:
        """Return who is told, one reference each."""
        return [name.strip() for name in self.notifiers.split(",") if name.strip()]


def load_settings() -> Settings:
    """
    Return the settings of this moment.

    Raises:
        ConfigurationError: a value is out of range; the message names the variable.
    """
    try:
        return Settings(_env_file=env_file())
    except ValidationError as error:
        raise ConfigurationError(explain(error, ENV_PREFIX)) from None
