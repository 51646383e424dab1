"""Settings of the pipeline itself; those of a vendor are the fields of its block."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from blocks.base import ENV_FILE_ENCODING, ENV_PREFIX, env_file, explain
from blocks.providers.spec.model import spec_names
from blocks.yaml_text import read_yaml
from enrichment.addresses import AddressKind, AddressPolicy
from enrichment.alerts import Limits
from enrichment.change_plans import Guard
from enrichment.credits import ANY_PROVIDER
from enrichment.errors import ConfigurationError
from enrichment.estimate import Price
from enrichment.fields import FIELDS, unknown_field
from enrichment.names import names_in

MOST_CHUNKS_IN_FLIGHT = 16
_LONGEST_DAYS = 3650
_CREDITS = r"\d+(?:\.\d+)?"
_CREDITS_OF_ONE = rf"\s*[a-z][a-z0-9_]*\s*=\s*{_CREDITS}\s*"

#: Tables about runs, which are kept as long as the runs' totals.
_OF_RUNS = (
    "change_plans",
    "planned_changes",
    "enrichment_runs",
    "provider_usage",
    "doubtful_credits",
    "lookup_reservations",
    "event_cursors",
)


class Settings(BaseSettings):
    """Read from the environment and `.env`, prefix `ENRICHMENT_`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", env_ignore_empty=True, env_file_encoding=ENV_FILE_ENCODING
    )

    provider: str = Field(
        "zoominfo",
        description="Provider to query, `<name>` or `<name>/<block>`; or several, in order, comma-separated.",
    )
    required_fields: str = Field(
        "",
        description="If a provider leaves one of these fields blank, the next one is queried; comma-separated; "
        "empty: any match is enough.",
    )
    crm: str = Field("hubspot", description="CRM whose contacts are enriched, `<name>` or `<name>/<block>`.")
    warehouse: str = Field(
        "sqlite", description="Warehouse of the queue, the saved replies and the results, `<name>` or `<name>/<block>`."
    )
    notifiers: str = Field(
        "",
        description="Where alerts and the weekly review are sent, comma-separated: `slack`, `email`, or "
        "`<name>/<block>`.",
    )
    chunk_size: int = Field(
        1000, ge=1, le=10_000, description="Queued contacts per batch, which one chain of task runs handles."
    )
    chunks_in_flight: int = Field(
        6,
        ge=1,
        le=MOST_CHUNKS_IN_FLIGHT,
        description="Batches that one run works on at once, three of them in lookups.",
    )
    live_share: float = Field(
        0.8, ge=0.05, le=0.95, description="Share of every rate limit that live runs get together while backfills run."
    )
    task_runner: Literal["threads", "dask"] = Field(
        "threads",
        description="What works on the batches of a run: its own `threads`, or the workers of a `dask` cluster.",
    )
    dask_address: str = Field(
        "",
        description="Scheduler of a Dask cluster, such as `tls://10.0.0.5:8786`; empty: the run starts a cluster of "
        "its own.",
    )
    dask_workers: int = Field(
        2,
        ge=1,
        le=64,
        description="Processes of the run's own cluster; with an address, the most that the cluster may grow to.",
    )
    lease_seconds: int = Field(
        600,
        ge=1,
        le=86_400,
        description="How long a run's lock on a queued contact lasts unless the run renews it, as it does while it "
        "lives; at least three times as long as a call to the provider may take.",
    )
    max_attempts: int = Field(5, ge=1, le=100, description="Attempts before a queued contact becomes a failed contact.")
    fresh_days: int = Field(
        30, ge=0, le=_LONGEST_DAYS, description="Contacts enriched within this many days are skipped."
    )
    reply_days: int = Field(180, ge=1, le=_LONGEST_DAYS, description="Saved replies are reused for this many days.")
    miss_days: int = Field(
        30,
        ge=1,
        le=_LONGEST_DAYS,
        description="Saved replies that say unmatched are reused for this many days.",
    )
    keep_replies_days: int = Field(
        400,
        ge=0,
        le=_LONGEST_DAYS,
        description="Days after which the cleanup deletes saved replies, never before they are too old to be used "
        "again; 0: never.",
    )
    keep_history_days: int = Field(
        0, ge=0, le=_LONGEST_DAYS, description="Days after which the cleanup deletes earlier results; 0: never."
    )
    keep_writes_days: int = Field(
        730,
        ge=0,
        le=_LONGEST_DAYS,
        description="Days after which the cleanup deletes what was written to the CRM, but for the last write of each "
        "field; 0: never.",
    )
    keep_results_days: int = Field(
        730,
        ge=0,
        le=_LONGEST_DAYS,
        description="Days after which the cleanup deletes how contacts ended, but for the last result of each, fields "
        "that were not written, reviewed unmatched contacts, and failed contacts that were queued again; 0: never.",
    )
    keep_runs_days: int = Field(
        400,
        ge=0,
        le=_LONGEST_DAYS,
        description="Days after which the cleanup deletes the totals of runs, and the places of backfills; 0: never.",
    )
    keep_flow_runs_days: int = Field(
        30, ge=0, le=_LONGEST_DAYS, description="Days after which the cleanup deletes Prefect's ended runs; 0: never."
    )
    absent_minutes: int = Field(
        15,
        ge=0,
        le=10_080,
        description="For how long a contact that the CRM doesn't have stays in the queue, counted from when it was "
        "queued; then its result is invalid. New contacts may be readable only after seconds.",
    )
    free_mail: AddressPolicy = Field(
        AddressPolicy.ASK,
        description="Addresses at hosts such as gmail.com: `ask`, `person_only` (nothing of a company is taken from "
        "the answer), or `skip` (don't ask with the address). The mail host is never taken for the company.",
    )
    role_addresses: AddressPolicy = Field(
        AddressPolicy.ASK, description="Addresses such as info@ and sales@: `ask`, `person_only` or `skip`."
    )
    disposable_addresses: AddressPolicy = Field(
        AddressPolicy.SKIP, description="Addresses at hosts of throw-away mail: `ask`, `person_only` or `skip`."
    )
    doubtful_matches: Literal["keep", "write"] = Field(
        "keep",
        description="Replies that contradict the question, with another name or another company: `keep` them without "
        "writing anything, or `write` them.",
    )
    start_runs_by: Literal["event", "resident", "deployment", "schedule"] = Field(
        "event",
        description="What starts a run when contacts were queued: an `event` for the trigger in prefect.yaml, the "
        "`resident` process of `enrich listen queue`, the `deployment` by its name, or only the `schedule`.",
    )
    start_deployment: str = Field(
        "enrich-contacts/live",
        description="Deployment to start if `start_runs_by` is `deployment`, `<flow>/<deployment>`.",
    )
    start_interval_seconds: float = Field(
        4.0,
        ge=1,
        le=3600,
        description="If `start_runs_by` is `deployment`, contacts queued within this many seconds lead to one run; for "
        "`event` the trigger in prefect.yaml says it.",
    )
    look_hours: float = Field(
        24.0,
        ge=0,
        le=720,
        description="After how many hours a scheduled run looks into a warehouse that is billed while it is awake, "
        "although nothing seems to have changed; 0: every time.",
    )
    alert_threshold: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Failure rate of a run, 0 to 1, above which an alert is sent and the run ends as "
        "`CompletedWithFailures`.",
    )
    refusal_threshold: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Share of a field's values that the CRM refused, 0 to 1, above which an alert is sent; 1: never.",
    )
    jump_factor: float = Field(
        3.0,
        ge=0,
        description="An alert is sent if a run's share of invalid or unmatched contacts is this many times that of the "
        "last runs; 0: never.",
    )
    alert_minimum: int = Field(
        10,
        ge=1,
        description="Of fewer contacts than this, no share of refused values, or of invalid or unmatched contacts, is "
        "judged.",
    )

    guard_contacts: int | None = Field(
        None,
        ge=0,
        description="Most contacts that a run may write; beyond it the changes are held until a person approves them; "
        "empty: any number.",
    )
    guard_overwritten: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Largest share, 0 to 1, of the values written by a run that may replace another value, judged from "
        "100 values on; beyond it the changes are held until a person approves them; empty: any.",
    )
    plan_hours: float = Field(
        72.0,
        gt=0,
        le=720,
        description="For how many hours a plan may be applied, and contacts wait for its approval.",
    )
    csv_encoding: str = Field(
        "", description="Encoding of the CSV files that are read, such as `windows-1252`; empty: found by itself."
    )
    csv_delimiter: str = Field(
        "", description="What separates the cells of the CSV files that are read, `;` or `tab`; empty: found by itself."
    )
    credits_per_day: str = Field(
        "",
        pattern=rf"^\s*(?:{_CREDITS}|{_CREDITS_OF_ONE}(?:,{_CREDITS_OF_ONE})*)?\s*$",
        description="Most credits that each provider may cost per day (UTC), or `zoominfo=5000, hunter=200`; empty: "
        "no cap.",
    )
    price_book: Path | None = Field(
        None,
        description="YAML file of the price per credit of each provider, such as `zoominfo: "
        "{price: 0.45, currency: EUR}`.",
    )
    report_folder: Path | None = Field(
        None,
        description="Folder into which the weekly review writes its report, an HTML page; empty: only e-mail carries "
        "it.",
    )
    report_url: str = Field(
        "",
        pattern=r"^(?:https?://\S+)?$",
        description="Address at which people reach the files of that folder, such as `https://reports.example.com`; "
        "messages and Prefect link to the report there.",
    )

    @field_validator("credits_per_day")
    @classmethod
    def _caps_known_providers(cls, text: str) -> str:
        """A cap of a misspelt provider would cap nothing."""
        known = spec_names()
        for part in text.split(","):
            name, equals, _ = map(str.strip, part.partition("="))
            if equals and name not in known:
                raise ValueError(f"unknown provider '{name}': it is one of {', '.join(known)}")
        return text

    @field_validator("required_fields")
    @classmethod
    def _names_canonical_fields(cls, text: str) -> str:
        for name in names_in(text):
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
    def address_policies(self) -> Mapping[str, str]:
        """Return what to do about addresses of a kind, by the kind."""
        return {
            AddressKind.FREE_MAIL: self.free_mail,
            AddressKind.ROLE: self.role_addresses,
            AddressKind.DISPOSABLE: self.disposable_addresses,
        }

    @property
    def required_field_names(self) -> tuple[str, ...]:
        """Return the canonical fields without which the next provider is queried."""
        return tuple(names_in(self.required_fields))

    @property
    def kept_days(self) -> Mapping[str, int]:
        """Return by table after how many days its old rows are deleted; a table without is kept."""
        days = {
            "provider_replies": self.keep_replies_days and max(self.keep_replies_days, self.reply_days, self.miss_days),
            "enrichment_history": self.keep_history_days,
            "crm_writes": self.keep_writes_days,
            "record_ledger": self.keep_results_days and max(self.keep_results_days, self.fresh_days),
            **dict.fromkeys(("field_refusals", "unmatched_records", "failed_records"), self.keep_results_days),
            **dict.fromkeys(_OF_RUNS, self.keep_runs_days),
        }
        return {table: count for table, count in days.items() if count}

    @property
    def limits(self) -> Limits:
        """Return above what people are alerted."""
        return Limits(self.alert_threshold, self.refusal_threshold, self.jump_factor, self.alert_minimum)

    @property
    def guard(self) -> Guard:
        """Return what a run may write without a person's approval."""
        return Guard(self.guard_contacts, self.guard_overwritten, self.plan_hours)

    @property
    def notifier_references(self) -> list[str]:
        """Return the notifiers to alert, one reference each."""
        return names_in(self.notifiers)


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


class _Notifiers(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", env_ignore_empty=True, env_file_encoding=ENV_FILE_ENCODING
    )

    notifiers: str = ""


def load_notifiers() -> list[str]:
    """Return the notifiers to alert, also while other settings are wrong."""
    return names_in(_Notifiers(_env_file=env_file()).notifiers)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    price: float = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class _Book(RootModel[dict[str, _Entry]]):
    pass


def read_price_book(path: Path | None) -> dict[str, Price]:
    """
    Return the price of a credit by provider; nothing without a file.

    The file is YAML, such as `zoominfo: {price: 0.45, currency: EUR}`.

    Raises:
        ConfigurationError: the file can't be read, or an entry is wrong; the message names it.
    """
    if path is None:
        return {}
    try:
        book = _Book.model_validate(read_yaml(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ConfigurationError(f"the price book {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(f"the price book {path} is not valid YAML") from None
    except ValidationError as error:
        flaw = error.errors(include_input=False, include_url=False)[0]
        raise ConfigurationError(
            f"the price book {path}: {'.'.join(map(str, flaw['loc'])) or 'the whole file'}: {flaw['msg']}; write each "
            "provider as `zoominfo: {price: 0.45, currency: EUR}`"
        ) from None
    return {provider: Price(entry.price, entry.currency) for provider, entry in book.root.items()}
