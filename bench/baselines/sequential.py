"""What most people write first: `requests`, one call after the other, and a table of the results."""

from collections.abc import Iterator

import requests

from bench.baselines import common
from bench.baselines.results import keep, open_results


def main() -> None:
    """Enrich every contact of HubSpot's."""
    hubspot, zoominfo, results = requests.Session(), requests.Session(), open_results()
    hubspot.headers.update(common.hubspot_headers())
    zoominfo.headers.update(common.JSON_API)
    zoominfo.headers["Authorization"] = f"Bearer {_token(zoominfo)}"
    for contacts in _pages(hubspot):
        updates = []
        for some in common.lookups_of(contacts):
            answer = zoominfo.post(common.zoominfo_url() + common.ZOOMINFO_ENRICH, json=common.question(some))
            answer.raise_for_status()
            updates += [common.update_of(*match) for match in common.matches(some, answer.json())]
        keep(results, updates)
        if updates:
            hubspot.post(common.hubspot_url() + common.HUBSPOT_UPDATE, json={"inputs": updates}).raise_for_status()


def _token(session: requests.Session) -> str:
    answer = session.post(common.zoominfo_url() + common.ZOOMINFO_TOKEN, **common.token_request())
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def _pages(session: requests.Session) -> Iterator[list[common.Contact]]:
    after: str | None = ""
    while after is not None:
        url = common.hubspot_url() + common.HUBSPOT_CONTACTS
        answer = session.get(url, params=common.page_of_contacts(after))
        answer.raise_for_status()
        body = answer.json()
        yield body["results"]
        after = common.next_page(body)


if __name__ == "__main__":
    main()
