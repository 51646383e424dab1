"""Salesforce as the CRM: how it is configured, and the adapter; `blocks.crms.outcomes` says how updates end."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.calls.loop import CallPool
from blocks.calls.messages import Answer, Call, is_object
from blocks.crms.base import (
    ApiVersion,
    ContactPage,
    CrmBlock,
    CrmContact,
    FieldSet,
    NewContact,
    Sample,
    Update,
    UpdateResult,
)
from blocks.crms.mapping import read_rules
from blocks.crms.salesforce.api import SalesforceApi, calls_left
from blocks.crms.salesforce.bulk import BulkOptions, BulkWriter
from blocks.crms.salesforce.contacts import ContactReader, FieldCatalog, default_rules
from blocks.crms.salesforce.ids import contact_id
from blocks.crms.salesforce.selection import SelectionReader
from blocks.crms.salesforce.session import (
    ADDRESS,
    MOST_CONNECTIONS,
    Auth,
    Credentials,
    SessionSource,
    check_api_address,
    session_source,
)
from blocks.crms.salesforce.updates import SalesforceWriter
from blocks.crms.selection import named_fields, sample_by_age
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.intake import Selection
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, stamps_of

logger = logging.getLogger(__name__)

_PROTECTED = (
    "Id",
    "AccountId",
    "CreatedDate",
    "Email",
    "HasOptedOutOfEmail",
    "IsDeleted",
    "LastModifiedDate",
    "MasterRecordId",
    "OwnerId",
    "SystemModstamp",
)
#: Up to this version, Salesforce has said when they end.
_LAST_TO_END = 40.0
_FIELD_PATH = r"^\w+(\.\w+)*$"
#: These serve every org, but no client-credentials flow.
_COMMON_HOSTS = ("login.salesforce.com", "test.salesforce.com")
#: The secrets that each flow needs, by their fields.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "client_credentials": ("consumer_key", "consumer_secret"),
    "jwt_bearer": ("consumer_key", "private_key"),
    "refresh_token": ("consumer_key", "refresh_token"),
}


class Salesforce(CrmBlock):
    """
    Access to Salesforce's contacts, and the rules for filling their fields.

    Example:
        Use the client-credentials flow of an external client app::

            Salesforce(
                login_url="https://acme.my.salesforce.com",
                consumer_key="block:secret/salesforce-key",
                consumer_secret="block:secret/salesforce-secret",
            ).save("default")
    """

    _block_type_name = "Salesforce CRM"
    _block_type_slug = "enrichment-salesforce"
    _description = "Access to Salesforce's contacts, and the rules for filling their fields."
    _documentation_url = HttpUrl("https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/")
    vendor: ClassVar[str] = "salesforce"
    asked: ClassVar[tuple[str, ...]] = ("login_url", "consumer_key", "consumer_secret")

    auth: Auth = Field(
        "client_credentials", description="OAuth flow: `client_credentials`, `jwt_bearer` or `refresh_token`."
    )
    login_url: str = Field(
        "https://login.salesforce.com",
        pattern=ADDRESS,
        description="URL that sessions are requested from: My Domain for `client_credentials`, else also `https://test.salesforce.com`.",
    )
    consumer_key: SecretStr | None = Field(
        None, description="Consumer key of the external client app, or `block:<type>/<name>` of a Prefect secret block."
    )
    consumer_secret: SecretStr | None = Field(
        None,
        description="Consumer secret of the app, for `client_credentials`, and for `refresh_token` if the app "
        "requires it.",
    )
    username: str = Field("", description="User that `jwt_bearer` signs in as.")
    private_key: SecretStr | None = Field(
        None, description="RSA private key in PEM form, for `jwt_bearer`; the app has its certificate."
    )
    refresh_token: SecretStr | None = Field(None, description="Refresh token of a user, for `refresh_token`.")
    instance_url: str = Field(
        "",
        pattern=f"^$|{ADDRESS}",
        description="URL of the org's API, if it differs from the one in the session.",
    )
    api_version: str = Field("68.0", pattern=r"^\d{2,3}\.0$", description="Version in the paths, such as `68.0`.")
    requests_per_second: float = Field(10.0, gt=0, le=1000, description="Calls per second of one process.")
    concurrency: int = Field(2, ge=1, le=MOST_CONNECTIONS, description="Batches in flight at once.")
    bulk_threshold: int = Field(
        2000, ge=200, le=100_000, description="More updates than this in one batch go through Bulk API 2.0."
    )
    bulk_wait_seconds: float = Field(
        300.0,
        gt=0,
        le=3600,
        description="How long a bulk job may take before it is aborted; keep it below ENRICHMENT_LEASE_SECONDS.",
    )
    field_prefix: str = Field(
        "Enr_",
        pattern=r"^[A-Za-z][A-Za-z0-9_]*_$",
        description="Prefix of the API names of the fields that the pipeline fills, including a namespace.",
    )
    mapping_file: Path | None = Field(
        None, description="YAML list of {field, source, rule, stamp} that overrides the default mapping field by field."
    )
    protected_fields: list[str] = Field(
        list(_PROTECTED), description="Fields that are never written, even if the mapping says so."
    )
    connect_timeout_seconds: float = Field(5.0, gt=0, le=60, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(60.0, gt=0, le=600, description="How long to wait for an answer.")
    events_topic: str = Field(
        "/data/ContactChangeEvent",
        pattern=r"^/(data|event)/\w+$",
        description="What `enrich listen salesforce` subscribes to: change events, or a platform event of your own.",
    )
    events_id_field: str = Field(
        "Contact_Id__c",
        pattern=_FIELD_PATH,
        description="Field of the platform event that holds the contact's id; dots lead into nested fields.",
    )
    events_email_field: str = Field(
        "Email__c",
        pattern=_FIELD_PATH,
        description="Field of the platform event that holds the e-mail address; the event may lack it.",
    )
    events_endpoint: str = Field(
        "api.pubsub.salesforce.com:7443",
        pattern=r"^[A-Za-z0-9.-]+:\d{1,5}$",
        description="Address of the Pub/Sub API: host and port.",
    )
    events_ca_file: Path | None = Field(
        None,
        description="PEM file of the certificate authorities to trust for that endpoint, instead of the usual ones.",
    )
    events_silence_seconds: float = Field(
        300.0, gt=0, le=3600, description="A stream without any message for this time is opened again."
    )

    def default_rules(self) -> tuple[FieldRule, ...]:
        """Return how fields are filled by default; see the base."""
        return default_rules(self.field_prefix)

    @classmethod
    def contact_id(cls, text: str) -> str:
        """Return a contact's id in its long form; see the base."""
        return contact_id(text)

    def get_crm(self) -> "SalesforceCrm":
        """
        Return the adapter.

        Raises:
            ConfigurationError: a credential is missing, an address can't be used, or the mapping file is wrong.
        """
        from blocks.crms.salesforce.transport import Transport  # noqa: PLC0415 - it loads an extra's libraries

        digest, sessions = self.get_sessions()
        api = SalesforceApi(
            sessions,
            Transport(self.api_version, self._timeouts),
            credential=digest,
            api_version=self.api_version,
            instance_url=self.instance_url.rstrip("/"),
            per_second=self.requests_per_second,
        )
        return SalesforceCrm(
            api,
            read_rules(self.mapping_file, self.default_rules()),
            frozenset(self.protected_fields),
            field_prefix=self.field_prefix,
            concurrency=self.concurrency,
            bulk=BulkOptions(self.bulk_threshold, self.bulk_wait_seconds),
        )

    def get_sessions(self) -> tuple[str, SessionSource]:
        """
        Return the source of this process's sessions, and what identifies these credentials.

        Raises:
            ConfigurationError: a credential is missing, or an address can't be used.
        """
        self._check_addresses()
        return session_source(self.login_url.rstrip("/"), self._read_credentials, self._timeouts)

    @property
    def _timeouts(self) -> tuple[float, float]:
        return self.connect_timeout_seconds, self.read_timeout_seconds

    def _read_credentials(self) -> Credentials:
        needed = _NEEDED[self.auth]
        given = [name for name in ("consumer_secret",) if self.consumer_secret and self.auth == "refresh_token"]
        secrets = {
            name: reveal(getattr(self, name), f"ENRICHMENT_SALESFORCE_{name}".upper()) for name in (*needed, *given)
        }
        if self.auth == "jwt_bearer" and not self.username:
            raise ConfigurationError("ENRICHMENT_SALESFORCE_USERNAME is not set: `jwt_bearer` signs in as a user")
        return Credentials(self.auth, username=self.username if self.auth == "jwt_bearer" else "", **secrets)

    def _check_addresses(self) -> None:
        check_api_address(self.login_url, "ENRICHMENT_SALESFORCE_LOGIN_URL")
        check_api_address(self.instance_url, "ENRICHMENT_SALESFORCE_INSTANCE_URL")
        if self.auth == "client_credentials" and any(host in self.login_url for host in _COMMON_HOSTS):
            raise ConfigurationError(
                "ENRICHMENT_SALESFORCE_LOGIN_URL must be your My Domain for `client_credentials`, such as "
                "https://acme.my.salesforce.com"
            )


#: See the protocol.
_ABOUT = {
    "owner": "OwnerId",
    "source": "LeadSource",
    "created": "CreatedDate",
    "changed": "LastModifiedDate",
}


class SalesforceCrm:
    """
    Salesforce's contacts; safe to share between threads.

    Args:
        api: answers the calls.
        rules: how fields are filled.
        protected: fields that are never written.
        field_prefix: of our own fields.
        concurrency: batches that are under way at once.
        bulk: when and how patiently bulk jobs are used.
    """

    name = "salesforce"

    def __init__(
        self,
        api: SalesforceApi,
        rules: Sequence[FieldRule],
        protected: frozenset[str],
        *,
        field_prefix: str,
        concurrency: int,
        bulk: BulkOptions,
    ) -> None:
        self.rules = rules
        self.protected = protected
        self.about: Mapping[str, str] = _ABOUT
        self._api = api
        self._pool = CallPool(concurrency, thread_name_prefix="salesforce")
        self._reader = ContactReader(api, self._pool)
        self._selections = SelectionReader(api)
        self._catalog = FieldCatalog(api, rules, field_prefix)
        self._bulk = BulkWriter(api, bulk)

    def list_contacts(self) -> Iterator[list[NewContact]]:
        """Yield every contact, page by page."""
        return self._reader.created_since()

    def created_since(self, since: datetime) -> Iterator[list[NewContact]]:
        """Yield the contacts created at or after a moment, page by page, each once."""
        return self._reader.created_since(since)

    def select(
        self, selection: Selection, *, after: str = "", among: Sequence[str] | None = None
    ) -> Iterator[ContactPage]:
        """Yield the contacts of a selection, page by page; see the protocol. A list is a campaign here."""
        missing: tuple[str, ...] = ()
        unfilterable: frozenset[str] = frozenset()
        if selection.missing:
            missing = named_fields("Salesforce", selection.missing, self.rules, self.describe_fields())
            unfilterable = self._catalog.unfilterable()
        if among is not None:
            return self._selections.among(selection, missing, unfilterable, among)
        return self._selections.query(selection, missing, unfilterable, after)

    def sample(self, size: int) -> Sample:
        """Return about so many contacts, or all if there are no more; by a query for each part of the time."""
        return sample_by_age(size, self._selections.count, self.select)

    def read(
        self, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
    ) -> dict[str, CrmContact]:
        """
        Return the contacts by the id that was asked for; a merged one has the surviving id in its contact.

        Salesforce says when the record was changed, not which field, so every field of `history` has that moment. The
        company's name is read only of contacts without a usable address.
        """
        return self._reader.read(crm_ids, FieldSet(tuple(fields), tuple(history)))

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """
        Send the updates in batches, or as a bulk job; the answer has one result for every update.

        Several updates of one contact are sent as one, later values over earlier ones, and share its result. The call
        raises nothing: see the reasons in `blocks.crms.outcomes`.
        """
        types, stamps = self._catalog.types, stamps_of(self.rules)
        writer = SalesforceWriter(self._api, self._reader, self._pool, types, self._bulk, stamps)
        results = writer.write(updates)
        failed = sum(1 for result in results if result.reason)
        logger.info("salesforce_contacts_updated updates=%s failed=%s", len(results), failed)
        return results

    def describe_fields(self) -> Mapping[str, FieldDescription]:
        """Return Salesforce's own description of the contact's fields, as it was at the first call."""
        return self._catalog.describe()

    def ensure_fields(self) -> list[str]:
        """Raise a ConfigurationError that names what the org lacks of our fields; none is ever made here."""
        return self._catalog.ensure()

    def check(self) -> str:
        """Make one free call, and return a line that says which org answered and how many calls are left."""
        answer = self._ask_limits()
        daily = answer.body.get("DailyApiRequests") or {}
        found = (
            (daily["Remaining"], daily["Max"]) if daily.keys() >= {"Remaining", "Max"} else calls_left(answer.headers)
        )
        left = f"; {found[0]:,} of {found[1]:,} calls left of the last 24 hours' allowance" if found else ""
        return f"Salesforce org {self._api.host} answers{left}"

    def api_version(self) -> ApiVersion:
        """Return the version in the paths; Salesforce ends those up to 40.0 in summer 2028, and no later one yet."""
        return ApiVersion(self._api.version, "2028-06" if float(self._api.version) <= _LAST_TO_END else "")

    def contact_page(self) -> str:
        """Return the address of a contact's page in the org."""
        return f"https://{self._api.host}/lightning/r/Contact/{{crm_id}}/view"

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._api.share(fraction)

    def finish(self) -> None:
        """Do nothing: what was confirmed is in the CRM."""

    def close(self) -> None:
        """Give connections and threads back."""
        self._pool.shutdown()
        self._api.close()

    def _ask_limits(self) -> Answer:
        try:
            return self._api.ask(Call("GET", "limits/"), is_object)
        except RequestRefusedError as refusal:
            if refusal.status not in {403, 404}:
                raise
        # Not every user may see the limits; what matters is that it may see contacts.
        return self._api.ask(Call("GET", "query/", {"q": "SELECT Id FROM Contact LIMIT 1"}), is_object)
