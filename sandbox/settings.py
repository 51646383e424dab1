"""How the sandbox behaves; every setting may also be changed while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

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
        names_fields: whether a refusal of such fields names them, one at a time.
        credits_left: new records that may still be bought.
        exhaustion: what happens without credits: `rows` for LIMIT_EXCEEDED, `error` for PFAPI0011
            for a call that needs more than there are, `rows_then_error` for rows in the call that
            uses them up and the error in the calls after it.
        bill_partial_matches: whether a match of company or contact only costs a credit.
        shuffle: whether answers come in another order than the inputs.
        longest_page: rows of one page about a company, even if more are requested.
        record_limit: records that may be returned, as shown by the usage.
        request_limit: requests, as shown by the usage.
        renames: attributes of contacts that stand under another name since the vendor renamed them, both as
            `company.employeeCount`.
        constants: attributes that have the same new value in all answers.
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
    names_fields: bool = True
    credits_left: int = 1_000_000
    exhaustion: Literal["rows", "error", "rows_then_error"] = "rows_then_error"
    bill_partial_matches: bool = True
    shuffle: bool = False
    longest_page: int = 100
    record_limit: int = 25_000_000
    request_limit: int = 100_000_000
    renames: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SellerSettings(ServiceSettings):
    """
    An account at a seller of data.

    Args:
        per_minute: requests of the plan.
        credits_left: that may still be spent.
        retry_after: form of the header of a throttle.
    """

    per_minute: int = 600
    credits_left: int = 1_000_000
    retry_after: RetryAfterForm = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings(SellerSettings):
    """
    An account that a key opens.

    Args:
        api_key: of the account.
    """

    api_key: str = "sandbox-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoomInfoLegacySettings(SellerSettings):
    """
    An account at ZoomInfo's older API.

    Args:
        username: of the user, in both ways to log in.
        password: of the user.
        client_id: of the key pair.
        public_key: in PEM form; without it, no assertion is taken.
        token_lifetime_seconds: of what the login gives.
        logins_per_second: that are let in.
        per_second: requests of the plan, beside those per minute.
        calls: that the account may make below `/enrich`.
        disallowed_fields: output fields that the account lacks.
        refusal: how a refusal of such fields looks: with their names under `message`, with other names of its own in
            lower case under `error`, or without names.
        shuffle: whether answers come in another order than the inputs.
    """

    username: str = "sandbox-user"
    password: str = "sandbox-password"
    client_id: str = "sandbox-client"
    public_key: str = ""
    token_lifetime_seconds: float = 3600
    logins_per_second: int = 1
    per_second: int = 25
    per_minute: int = 1500
    calls: tuple[str, ...] = ("contact", "company", "tech", "intent")
    disallowed_fields: tuple[str, ...] = ()
    refusal: Literal["message", "error", "nameless"] = "message"
    shuffle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearbitSettings(KeySettings):
    """
    A Clearbit account.

    Args:
        api_version: that the account is pinned to.
        pending_share: the part of all e-mails that is answered 202 once.
        pending_body: of a 202.
        pending_retry_after: form of the header of a 202.
        pending_seconds: that it asks for.
    """

    api_version: str = "2019-12-19"
    pending_share: float = 0.0
    pending_body: str = ""
    pending_retry_after: RetryAfterForm = "absent"
    pending_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleDataLabsSettings(KeySettings):
    """
    A People Data Labs account.

    Args:
        breaks_above: how many requests in one call end in a 502.
        shuffle: whether answers come in another order than the requests.
        restricted: fields that the plan shows as true instead of a value.
    """

    per_minute: int = 1000
    breaks_above: int = 80
    shuffle: bool = False
    restricted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApolloSettings(KeySettings):
    """
    An Apollo account.

    Args:
        per_hour: requests of the plan, or None for no limit; so is per_day.
        may_match: whether the key is good for this endpoint.
    """

    per_minute: int = 1000
    per_hour: int | None = None
    per_day: int | None = None
    may_match: bool = True
    retry_after: RetryAfterForm = "seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class HunterSettings(KeySettings):
    """
    A Hunter account.

    Args:
        per_second: requests, beside those per minute.
    """

    per_second: int = 15
    per_minute: int = 500


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
        read_lag_seconds: until a new contact is found by its id in a batch.
        trace_ids_cover_validation: whether trace ids make refused values a partial failure.
        portal_id: of the account.
        app_id: of the app that has the token and the webhooks.
        webhook_url: where the app's webhooks go; none are sent if empty.
        webhook_secret: client secret of the app, which signs them.
        webhook_form: of the events: `contact.creation` or `object.creation`.
        webhook_kinds: of events that the app is subscribed to.
        webhook_properties: of whose changes the app hears.
        webhook_gather_ms: how long events are gathered for one batch.
        webhook_concurrency: batches that are under way at once.
        webhook_timeout_seconds: how long an answer is waited for.
        webhook_retries: of a batch that isn't taken.
        webhook_retry_seconds: between two attempts, on the average; really it is minutes to hours.
        webhook_duplicate_share: the part of the batches that is sent twice.
        webhook_shuffle: whether events come in any order.
    """

    token: str = "sandbox-hubspot-token"
    scopes: tuple[str, ...] = (
        "crm.objects.contacts.read",
        "crm.objects.contacts.write",
        "crm.schemas.contacts.read",
        "crm.schemas.contacts.write",
        "crm.lists.read",
    )
    tier: Literal["starter", "professional", "enterprise"] = "professional"
    per_ten_seconds: int | None = None
    per_day: int | None = None
    search_per_second: int = 5
    index_lag_seconds: float = 0.0
    read_lag_seconds: float = 0.0
    trace_ids_cover_validation: bool = False
    portal_id: int = 24_680_135
    app_id: int = 54_321
    webhook_url: str = ""
    webhook_secret: str = "sandbox-client-secret"
    webhook_form: Literal["classic", "generic"] = "classic"
    webhook_kinds: tuple[str, ...] = ("creation", "deletion", "merge", "restore", "privacyDeletion")
    webhook_properties: tuple[str, ...] = ("email",)
    webhook_gather_ms: float = 50.0
    webhook_concurrency: int = 10
    webhook_timeout_seconds: float = 5.0
    webhook_retries: int = 10
    webhook_retry_seconds: float = 1.0
    webhook_duplicate_share: float = 0.0
    webhook_shuffle: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesforceSettings(ServiceSettings):
    """
    A Salesforce org.

    Args:
        consumer_key: of the external client app.
        consumer_secret: of the external client app.
        username: in whose name assertions may be made.
        public_key: in PEM form, of the app's certificate.
        refresh_token: that was once given.
        sessions_hold: whether a session that was given out is taken.
        daily_calls: that are allowed in 24 hours.
        query_page: rows of one page of a query.
        custom_fields: whether the pipeline's own fields were added to Contact.
        limits_visible: whether the user may see the org's limits.
        bulk_polls: how often a bulk job says that it is in progress; it never ends if negative.
        bulk_unprocessed: how many rows at the end of each bulk job are left.
        change_events: whether Contact is selected for Change Data Capture.
        creation_events: whether a flow publishes a platform event for each new contact.
        subscribable: whether the user may subscribe to topics.
        events_kept_seconds: how long events can be had again.
        events_idle_seconds: how long a stream is silent before an empty message comes.
        events_grace_seconds: how long a stream lives that asks for nothing.
        events_at_once: the most events of one message.
        events_pause_seconds: between two messages.
        events_silent: whether streams are stalled: they stay open, and nothing comes.
        events_repeated: how many events are sent again when a stream goes on where another one ended.
        events_daily: how many events are delivered before the allowance is used up.
    """

    consumer_key: str = "sandbox-consumer"
    consumer_secret: str = "sandbox-secret"
    username: str = "integration@sandbox.example"
    public_key: str = ""
    refresh_token: str = "sandbox-refresh"
    sessions_hold: bool = True
    daily_calls: int = 100_000
    query_page: int = 2000
    custom_fields: bool = True
    limits_visible: bool = True
    bulk_polls: int = 1
    bulk_unprocessed: int = 0
    change_events: bool = True
    creation_events: bool = True
    subscribable: bool = True
    events_kept_seconds: float = 72 * 3600.0
    events_idle_seconds: float = 60.0
    events_grace_seconds: float = 60.0
    events_at_once: int = 100
    events_pause_seconds: float = 0.0
    events_silent: bool = False
    events_repeated: int = 0
    events_daily: int = 50_000


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
    zoominfo_legacy: ZoomInfoLegacySettings = field(default_factory=ZoomInfoLegacySettings)
    clearbit: ClearbitSettings = field(default_factory=ClearbitSettings)
    peopledatalabs: PeopleDataLabsSettings = field(default_factory=PeopleDataLabsSettings)
    apollo: ApolloSettings = field(default_factory=ApolloSettings)
    hunter: HunterSettings = field(default_factory=HunterSettings)
    hubspot: HubSpotSettings = field(default_factory=HubSpotSettings)
    salesforce: SalesforceSettings = field(default_factory=SalesforceSettings)
    slack: SlackSettings = field(default_factory=SlackSettings)
    mail: MailSettings = field(default_factory=MailSettings)
