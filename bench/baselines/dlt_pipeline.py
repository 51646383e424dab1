"""dlt: contacts and what the provider knows of them into DuckDB, then from there back into the CRM."""

import json
import os
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources.helpers import requests

from bench.baselines import common
from bench.baselines.results import folder

_TABLE = "enriched_contacts"
_HUBSPOT = requests.Client(session_attrs={"headers": common.hubspot_headers()})
_ZOOMINFO = requests.Client(session_attrs={"headers": {**common.JSON_API}})


@dlt.resource
def contacts() -> Iterator[list[common.Contact]]:
    """Yield the contacts of HubSpot, page by page."""
    after: str | None = ""
    while after is not None:
        url = common.hubspot_url() + common.HUBSPOT_CONTACTS
        body = _HUBSPOT.get(url, params=common.page_of_contacts(after)).json()
        yield body["results"]
        after = common.next_page(body)


@dlt.transformer(
    data_from=contacts,
    name=_TABLE,
    write_disposition="merge",
    primary_key="id",
    columns={"properties": {"data_type": "json"}},
    parallelized=True,
)
def enriched(page: list[common.Contact], token: str) -> Iterator[list[dict[str, Any]]]:
    """Yield a row for each contact that ZoomInfo knows, with what is to be written to it."""
    for some in common.lookups_of(page):
        url, headers = common.zoominfo_url() + common.ZOOMINFO_ENRICH, {"Authorization": f"Bearer {token}"}
        answer = _ZOOMINFO.post(url, json=common.question(some), headers=headers).json()
        yield [common.update_of(*match) for match in common.matches(some, answer)]


@dlt.destination(batch_size=common.PER_CRM_CALL, name="hubspot")
def hubspot(rows: list[dict[str, Any]], _table: Any) -> None:
    """Write rows to HubSpot."""
    inputs = [{"id": row["id"], "properties": row["properties"]} for row in rows]
    _HUBSPOT.post(common.hubspot_url() + common.HUBSPOT_UPDATE, json={"inputs": inputs})


def main() -> None:
    """Enrich every contact of HubSpot's."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    token = _ZOOMINFO.post(common.zoominfo_url() + common.ZOOMINFO_TOKEN, **common.token_request()).json()
    duckdb = dlt.destinations.duckdb(str(folder() / "results.duckdb"))
    into_table = dlt.pipeline("enrich", destination=duckdb, pipelines_dir=str(folder()))
    into_table.run(enriched(token["access_token"])).raise_on_failed_jobs()
    if _TABLE not in into_table.default_schema.tables:  # there was no contact
        return
    into_crm = dlt.pipeline("write_back", destination=hubspot, pipelines_dir=str(folder()))
    into_crm.run(_rows(into_table), table_name=_TABLE).raise_on_failed_jobs()


def _rows(pipeline: dlt.Pipeline) -> Iterator[list[dict[str, Any]]]:
    query = f"SELECT id, properties FROM {_TABLE}"  # noqa: S608
    with pipeline.sql_client() as client, client.execute_query(query) as cursor:
        while rows := cursor.fetchmany(common.PER_CRM_CALL):
            yield [{"id": each, "properties": json.loads(properties)} for each, properties in rows]


if __name__ == "__main__":
    main()
