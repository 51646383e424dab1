"""How the sandbox behaves; every setting may also be changed while it runs."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from sandbox.limits import RetryAfterForm


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What every service has: how long it takes to answer."""

    latency_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomInfoSettings(ServiceSettings):
    """
    A ZoomInfo account.

    Args:
        client_id: of the OAuth client.
        client_secret: of the OAuth client.
        scopes: that the OAuth client has.
        token_lifetime_seconds: is said in expires_in, and kept.
        per_second: requests of the plan; so are per_hour and per_day.
        deprecated_headers: whether the rate headers without a window are sent, as until 2027-01-01.
        remaining_unknown: whether the remaining counts are sent as -1.
        retry_after: form of the header of a 429.
        disallowed_fields: output fields that the account lacks.
        credits_left: new records that may still be bought.
        exhaustion: what happens without credits: `rows` for LIMIT_EXCEEDED, `error` for PFAPI0011
            for a call that needs more than there are, `rows_then_error` for rows in the call that
            uses them up and the error in the calls after it.
        bill_partial_matches: whether a match of company or contact only costs a credit.
        shuffle: whether answers come in another order than the inputs.
        record_limit: records that may be returned, as shown by the usage.
        request_limit: requests, as shown by the usage.
    """

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-secret"
    scopes: tuple[str, ...] = (
        "api:data:contact",
        "api:data:company",
        "api:data:intent",
        "api:data:lookup",
    )
    token_lifetime_seconds: float = 3600
    per_second: int = 25
    per_hour: int = 54_000
    per_day: int = 648_000
    deprecated_headers: bool = True
    remaining_unknown: bool = False
    retry_after: RetryAfterForm = "seconds"
    disallowed_fields: tuple[str, ...] = ()
    credits_left: int = 1_000_000
    exhaustion: Literal["rows", "error", "rows_then_error"] = "rows_then_error"
    bill_partial_matches: bool = True
    shuffle: bool = False
    record_limit: int = 25_000_000
    request_limit: int = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSpotSettings(ServiceSettings):
    """
    A HubSpot account.

    Args:
        token: of the app.
        scopes: that the token has.
        tier: decides on the limits.
        per_ten_seconds: instead of the tier's limit.
        per_day: instead of the tier's limit.
        search_per_second: of the whole account.
        index_lag_seconds: until a new contact is found by search.
        trace_ids_cover_validation: whether trace ids make refused values a partial failure.
        portal_id: of the account.
    """

    token: str = "sandbox-hubspot-token"
    scopes: tuple[str, ...] = (
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
    )
    tier: Literal["starter", "professional", "enterprise"] = "professional"
    per_ten_seconds: int | None = None
    per_day: int | None = None
    search_per_second: int = 5
    index_lag_seconds: float = 0.0
    trace_ids_cover_validation: bool = False
    portal_id: int = 24_680_135


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings(ServiceSettings):
    """
    A Slack incoming webhook.

    Args:
        failure: how it fails, if at all.
    """

    failure: Literal["", "server_error", "invalid_token"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings(ServiceSettings):
    """
    A mail server.

    Args:
        refuse: whether it refuses every message.
    """

    refuse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """
    A world.

    Args:
        contacts: how many there are at the beginning.
        seed: of everything that is made up.
        now: what the clock shows at the beginning; the real time if None.
    """

    contacts: int = 1000
    seed: int = 7
    now: datetime | None = None
    zoominfo: ZoomInfoSettings = field(default_factory=ZoomInfoSettings)
    hubspot: HubSpotSettings = field(default_factory=HubSpotSettings)
    slack: SlackSettings = field(default_factory=SlackSettings)
    mail: MailSettings = field(default_factory=MailSettings)
