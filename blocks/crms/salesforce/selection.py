"""A selection of Salesforce's contacts, as queries that each begin behind the last contact of the one before."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from blocks.crms.base import ContactPage, NewContact
from blocks.crms.outcomes import batches
from blocks.crms.salesforce.api import SalesforceApi
from blocks.crms.salesforce.contacts import PAGE_SIZE, QUERIED_IDS, literal, new_contact
from blocks.crms.salesforce.ids import is_contact_id, record_id
from blocks.crms.selection import lacks_one
from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.intake import Selection

_CAMPAIGN = "701"
#: Codes of a query that Salesforce can't make sense of; its words may quote the query, so they are left out.
_BAD_QUERY = frozenset(
    {"MALFORMED_QUERY", "INVALID_FIELD", "INVALID_TYPE", "INVALID_QUERY_FILTER_OPERATOR", "INVALID_OPERATION"}
)


class SelectionReader:
    """Reads a selection's contacts page by page."""

    def __init__(self, api: SalesforceApi) -> None:
        self._api = api

    def query(
        self, selection: Selection, missing: Sequence[str], unfilterable: frozenset[str], after: str
    ) -> Iterator[ContactPage]:
        """
        Yield the contacts that are found, in the order of the ids.

        Args:
            selection: its conditions.
            missing: fields of which one must be blank.
            unfilterable: fields that no condition may name, such as long texts.
            after: the last id of an earlier page.
        """
        asked = _asked_fields(selection, missing, unfilterable)
        while True:
            conditions = [*_conditions(selection, asked), *([f"Id > '{after}'"] if after else [])]
            rows = self._rows(_soql(conditions, missing))
            if rows:
                after = str(rows[-1]["Id"])
                yield ContactPage(tuple(_kept(rows, missing)), after)
            if len(rows) < PAGE_SIZE:
                return

    def count(self, selection: Selection) -> int:
        """Return how many contacts are found."""
        conditions = _conditions(selection, ())
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return self._api.count(f"SELECT COUNT() FROM Contact{where}")  # noqa: S608 - conditions are made here

    def among(
        self, selection: Selection, missing: Sequence[str], unfilterable: frozenset[str], crm_ids: Sequence[str]
    ) -> Iterator[ContactPage]:
        """Yield those of the contacts that fulfil the conditions, as one page."""
        asked = _asked_fields(selection, missing, unfilterable)
        found: list[NewContact] = []
        for ids in batches([crm_id for crm_id in dict.fromkeys(crm_ids) if is_contact_id(crm_id)], QUERIED_IDS):
            listed = ", ".join(f"'{crm_id}'" for crm_id in ids)
            conditions = [*_conditions(selection, asked), f"Id IN ({listed})"]
            found += _kept(self._rows(_soql(conditions, missing)), missing)
        yield ContactPage(tuple(found), "")

    def _rows(self, soql: str) -> list[Mapping[str, Any]]:
        try:
            return list(self._api.rows(soql))
        except RequestRefusedError as refusal:
            if refusal.complaint.code not in _BAD_QUERY:
                raise
            raise ConfigurationError(
                f"Salesforce rejects the query of the selection ({refusal.complaint}): check its condition, and that "
                "the integration user may see every field that it names"
            ) from None


def _conditions(selection: Selection, missing: Sequence[str]) -> list[str]:
    """Return the conditions of a query, all of which must hold."""
    conditions = []
    if selection.created_from:
        conditions.append(f"CreatedDate >= {literal(selection.created_from)}")
    if selection.created_until:
        conditions.append(f"CreatedDate < {literal(selection.created_until)}")
    if selection.owner:
        conditions.append(f"OwnerId = '{record_id(selection.owner, 'owner')}'")
    if selection.list_id:
        campaign = record_id(selection.list_id, "campaign")
        if not campaign.startswith(_CAMPAIGN):
            raise ConfigurationError(
                f"'{campaign}' is not a campaign id, which begins with {_CAMPAIGN}: the members of a list view or "
                "report "
                "can't be queried, so write its filter as `condition`"
            )
        members = f"SELECT ContactId FROM CampaignMember WHERE CampaignId = '{campaign}'"  # noqa: S608 - checked above
        conditions.append(f"Id IN ({members})")
    if selection.condition:
        conditions.append(f"({selection.condition})")
    if missing:
        conditions.append("({})".format(" OR ".join(f"{field} = null" for field in missing)))
    return conditions


def _asked_fields(selection: Selection, missing: Sequence[str], unfilterable: frozenset[str]) -> Sequence[str]:
    """Return the fields whose blanks Salesforce shall find: all or none, since one that it can't see may be blank."""
    # Beside the members of a campaign, Salesforce takes no OR.
    if unfilterable.intersection(missing) or (selection.list_id and len(missing) > 1):
        return ()
    return missing


def _soql(conditions: Sequence[str], fields: Sequence[str]) -> str:
    names = ", ".join(dict.fromkeys(("Id", "Email", "CreatedDate", *fields)))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {names} FROM Contact{where} ORDER BY Id LIMIT {PAGE_SIZE}"  # noqa: S608 - names of the org's fields


def _kept(rows: Sequence[Mapping[str, Any]], missing: Sequence[str]) -> list[NewContact]:
    return [new_contact(row) for row in rows if lacks_one(_texts(row, missing), missing)]


def _texts(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, str | None]:
    return {field: None if row.get(field) is None else str(row[field]) for field in fields}
