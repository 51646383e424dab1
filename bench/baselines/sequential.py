"""What most people write first: `requests`, one call after the other, nothing kept."""

from collections.abc import Iterator

import requests

from bench.baselines import common


def main() -> None:
    """Enrich every contact of HubSpot's."""
    hubspot, zoominfo = requests.Session(), requests.Session()
    hubspot.headers.update(common.hubspot_headers())
    zoominfo.headers.update(common.JSON_API)
    zoominfo.headers["Authorization"] = f"Bearer {_token(zoominfo)}"
    for contacts in _pages(hubspot):
        updates = []
        asked = common.askable(contacts)
        for start in range(0, len(asked), common.PER_LOOKUP):
            some = asked[start : start + common.PER_LOOKUP]
            answer = zoominfo.post(common.zoominfo_url() + common.ZOOMINFO_ENRICH, json=common.question(some))
            answer.raise_for_status()
            updates += [common.update_of(*match) for match in common.matches(some, answer.json())]
        if updates:
            hubspot.post(common.hubspot_url() + common.HUBSPOT_UPDATE, json={"inputs": updates}).raise_for_status()


def _token(session: requests.Session) -> str:
    url, form = common.zoominfo_url() + common.ZOOMINFO_TOKEN, {"grant_type": "client_credentials"}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    answer = session.post(url, data=form, auth=common.zoominfo_credentials(), headers=headers)
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
