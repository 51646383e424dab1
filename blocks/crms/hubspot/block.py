"""HubSpot as the CRM: how it is configured, and the adapter; `blocks.crms.outcomes` says how updates end."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.calls.loop import CallPool
from blocks.calls.messages import Answer, Call, is_object, whole
from blocks.calls.tls import check_address
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
from blocks.crms.hubspot.api import MOST_CONNECTIONS, HubSpotApi
from blocks.crms.hubspot.contacts import DEFAULT_RULES, READ_SCOPE, ContactReader, FieldCatalog, record_id
from blocks.crms.hubspot.selection import SelectionReader
from blocks.crms.hubspot.updates import HubSpotWriter
from blocks.crms.mapping import read_rules
from blocks.crms.selection import named_fields, refuse_conditions, sample_by_age
from blocks.secrets import reveal
from enrichment.errors import RequestRefusedError
from enrichment.intake import Selection
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, stamps_of

logger = logging.getLogger(__name__)

_PROTECTED = (
    "email",
    "hs_object_id",
    "hs_additional_emails",
    "hs_merged_object_ids",
    "hs_email_optout",
    "hs_lead_status",
    "hubspot_owner_id",
    "lifecyclestage",
    "createdate",
    "lastmodifieddate",
)


class HubSpot(CrmBlock):
    """Access to HubSpot's contacts, and the rules for filling their fields."""

    _documentation_url = HttpUrl("https://developers.hubspot.com/docs/api-reference/legacy/crm/objects/contacts/guide")
    vendor: ClassVar[str] = "hubspot"
    asked: ClassVar[tuple[str, ...]] = ("access_token",)
    asked_by_listener: ClassVar[tuple[str, ...]] = ("client_secret", "target_url")
    _block_type_name = "HubSpot CRM"
    _block_type_slug = "enrichment-hubspot"
    _description = "Access to HubSpot's contacts, and the rules for filling their fields."

    access_token: SecretStr | None = Field(
        None, description="Token of a private app or service key, or `block:<type>/<name>` of a Prefect secret block."
    )
    base_url: str = Field(
        "https://api.hubapi.com", pattern=r"^https?://[^\s/]+", description="Base URL of HubSpot's API."
    )
    api_version: str = Field(
        "v3",
        pattern=r"^(v3|\d{4}-\d{2}(-beta)?)$",
        description="Version in the paths: `v3`, or a dated one such as `2026-09`.",
    )
    requests_per_10_seconds: int = Field(
        100, ge=1, le=10_000, description="Calls per 10 seconds, until HubSpot's answers state its own limit."
    )
    concurrency: int = Field(4, ge=1, le=MOST_CONNECTIONS, description="Batches in flight at once.")
    mapping_file: Path | None = Field(
        None, description="YAML list of {field, source, rule, stamp} that overrides the default mapping field by field."
    )
    protected_fields: list[str] = Field(
        list(_PROTECTED), description="Properties that are never written, even if the mapping says so."
    )
    connect_timeout_seconds: float = Field(5.0, gt=0, le=60, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(30.0, gt=0, le=300, description="How long to wait for an answer.")
    client_secret: SecretStr | None = Field(
        None, description="Client secret of the app that sends webhooks, or `block:<type>/<name>` of a secret block."
    )
    previous_client_secret: SecretStr | None = Field(
        None, description="The client secret before the last rotation, which is still accepted."
    )
    target_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/]+/\S*)?$",
        description="URL at which HubSpot calls the receiver, exactly as the app has it.",
    )
    app_id: str = Field(
        "", pattern=r"^\d*$", description="Id of the app that writes for the pipeline, whose changes are ignored."
    )

    portal_id: str = Field(
        "",
        pattern=r"^\d*$",
        description="Id of your HubSpot account; events of another account in which the app is installed are ignored.",
    )

    def default_rules(self) -> tuple[FieldRule, ...]:
        """Return how fields are filled by default; see the base."""
        return DEFAULT_RULES

    @classmethod
    def contact_id(cls, text: str) -> str:
        """Return a contact's id; see the base."""
        return record_id(text)

    def get_crm(self) -> "HubSpotCrm":
        """
        Return the adapter.

        Raises:
            ConfigurationError: the access token is missing, or the address or the mapping file is wrong.
        """
        check_address(self.base_url, "ENRICHMENT_HUBSPOT_BASE_URL")
        return HubSpotCrm(
            HubSpotApi(
                base_url=self.base_url.rstrip("/"),
                api_version=self.api_version,
                read_token=self._read_token,
                per_second=self.requests_per_10_seconds / 10,
                timeouts=(self.connect_timeout_seconds, self.read_timeout_seconds),
            ),
            read_rules(self.mapping_file, self.default_rules()),
            frozenset(self.protected_fields),
            concurrency=self.concurrency,
        )

    def client_secrets(self) -> tuple[str, ...]:
        """
        Return the secrets that a webhook may be signed with, read from their blocks just now.

        Raises:
            ConfigurationError: there is none, or a block can't be read.
        """
        secrets = [reveal(self.client_secret, "ENRICHMENT_HUBSPOT_CLIENT_SECRET")]
        if self.previous_client_secret:
            secrets.append(reveal(self.previous_client_secret, "ENRICHMENT_HUBSPOT_PREVIOUS_CLIENT_SECRET"))
        return tuple(secrets)

    def _read_token(self) -> str:
        return reveal(self.access_token, "ENRICHMENT_HUBSPOT_ACCESS_TOKEN")


#: See the protocol.
_ABOUT = {
    "owner": "hubspot_owner_id",
    "source": "hs_analytics_source",
    "created": "createdate",
    "changed": "lastmodifieddate",
}


class HubSpotCrm:
    """
    HubSpot's contacts; safe to share between threads.

    Args:
        api: answers the calls.
        rules: how fields are filled.
        protected: fields that are never written.
        concurrency: batches that are under way at once.
    """

    name = "hubspot"

    def __init__(
        self, api: HubSpotApi, rules: Sequence[FieldRule], protected: frozenset[str], *, concurrency: int
    ) -> None:
        self.rules = rules
        self.protected = protected
        self.about: Mapping[str, str] = _ABOUT
        self._api = api
        self._pool = CallPool(concurrency, thread_name_prefix="hubspot")
        self._reader = ContactReader(api, self._pool)
        self._selections = SelectionReader(api, self._reader, self._pool)
        self._catalog = FieldCatalog(api, rules)

    def list_contacts(self) -> Iterator[list[NewContact]]:
        """Yield every contact, page by page."""
        return self._reader.everything()

    def created_since(self, since: datetime) -> Iterator[list[NewContact]]:
        """Yield the contacts created at or after a moment, page by page, each once; the index lags by some seconds."""
        return self._reader.created_since(since)

    def select(
        self, selection: Selection, *, after: str = "", among: Sequence[str] | None = None
    ) -> Iterator[ContactPage]:
        """Yield the contacts of a selection, page by page; see the protocol."""
        advice = "make a list or segment of those contacts in HubSpot, and use `--list`"
        refuse_conditions("HubSpot", selection, ["condition"], advice)
        missing = named_fields(
            "HubSpot", selection.missing, self.rules, self.describe_fields() if selection.missing else {}
        )
        if among is not None:
            return self._selections.among(selection, missing, among)
        if selection.list_id:
            return self._selections.members(selection, missing, after)
        return self._selections.search(selection, missing, after)

    def sample(self, size: int) -> Sample:
        """Return about so many contacts, or all if there are no more; by a search for each part of the time."""
        return sample_by_age(size, self._selections.count, self.select)

    def read(
        self, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
    ) -> dict[str, CrmContact]:
        """Return the contacts by the id that was asked for; a merged one has the surviving id in its contact."""
        return self._reader.read(crm_ids, FieldSet(tuple(fields), tuple(history)))

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """
        Send the updates in batches; the answer has one result for every update.

        Several updates of one contact are sent as one, later values over earlier ones, and share its result. The call
        raises nothing: see the reasons in `blocks.crms.outcomes`.
        """
        results = HubSpotWriter(self._api, self._reader, self._pool, stamps_of(self.rules)).write(updates)
        failed = sum(1 for result in results if result.reason)
        logger.info("hubspot_contacts_updated updates=%s failed=%s", len(results), failed)
        return results

    def describe_fields(self) -> Mapping[str, FieldDescription]:
        """Return HubSpot's own description of the contact's fields, as it was at the first call."""
        return self._catalog.describe()

    def ensure_fields(self) -> list[str]:
        """Create those fields of ours that the rules write and that are missing, and return their names."""
        return self._catalog.ensure()

    def check(self) -> str:
        """Make one free call, and return a line that says which account answered and how many calls are left today."""
        answer = self._ask_account()
        portal = answer.body.get("portalId")
        left = _calls_left(answer.headers)
        return f"HubSpot portal {portal} answers{left}" if portal else f"HubSpot answers{left}"

    def api_version(self) -> ApiVersion:
        """Return the version in the paths; HubSpot supports a dated one for 18 months, and v3 until September 2027."""
        version = self._api.version
        year, _, month = version[:7].partition("-")
        months = 12 * int(year) + int(month) + 17 if month else 12 * 2027 + 8
        return ApiVersion(version, f"{months // 12}-{months % 12 + 1:02}")

    def contact_page(self) -> str:
        """Return the address of a contact's page; empty if the credential may not see the account."""
        account = self._ask_account().body
        portal, host = account.get("portalId"), account.get("uiDomain") or "app.hubspot.com"
        return f"https://{host}/contacts/{portal}/record/0-1/{{crm_id}}" if portal else ""

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._api.share(fraction)

    def finish(self) -> None:
        """Do nothing: what was confirmed is in the CRM."""

    def close(self) -> None:
        """Give connections and threads back."""
        self._pool.shutdown()
        self._api.close()

    def _ask_account(self) -> Answer:
        try:
            return self._api.ask(Call("GET", self._api.account()), "oauth", is_object)
        except RequestRefusedError as refusal:
            if refusal.status not in {403, 404}:
                raise
        # Not every credential may see the account; what matters is that it may see contacts.
        return self._api.ask(Call("GET", self._api.contacts(""), {"limit": "1"}), READ_SCOPE)


def _calls_left(headers: Mapping[str, str]) -> str:
    limit, left = (whole(headers.get(f"x-hubspot-ratelimit-{name}", "")) for name in ("daily", "daily-remaining"))
    return "" if limit is None or left is None else f"; {left:,} of {limit:,} calls left today"
