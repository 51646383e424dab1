"""A bare asynchronous client: as many calls at once as the pipeline, paced and repeated, and a table of the results."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx

from bench.baselines import common
from bench.baselines.results import keep, open_results

#: As the pipeline has them.
_LOOKUPS_AT_ONCE = 16
_PAGES_AT_ONCE = 8
_ATTEMPTS = 5
#: Of the limit that the account states, so that two late calls don't exceed it.
_SHARE = 0.96


class Paced:
    """
    A client of one service that begins so many calls a second at most, and waits when it is asked to.

    Args:
        client: of the service.
        per_second: calls that the service allows; 0 for any number.
        at_once: calls under way.
    """

    def __init__(self, client: httpx.AsyncClient, per_second: float, at_once: int) -> None:
        self._client = client
        self._spacing = 1 / (_SHARE * per_second) if per_second else 0.0
        self._slots = asyncio.Semaphore(at_once)
        self._next = 0.0

    async def call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Return the answer's body."""
        for _ in range(_ATTEMPTS):
            async with self._slots:
                await self._wait()
                answer = await self._client.request(method, path, **options)
            if answer.status_code != 429:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
        return dict(answer.raise_for_status().json())

    async def _wait(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(now, self._next + self._spacing)
        if self._spacing:
            await asyncio.sleep(self._next - now)


async def main() -> None:
    """Enrich every contact of HubSpot's."""
    results = open_results()
    async with (
        httpx.AsyncClient(base_url=common.hubspot_url(), headers=common.hubspot_headers(), timeout=30) as crm,
        httpx.AsyncClient(base_url=common.zoominfo_url(), headers=common.JSON_API, timeout=30) as seller,
    ):
        seller.headers["Authorization"] = f"Bearer {await _token(seller)}"
        hubspot = Paced(crm, common.allowed_rate("HUBSPOT"), _PAGES_AT_ONCE)
        zoominfo = Paced(seller, common.allowed_rate("ZOOMINFO"), _LOOKUPS_AT_ONCE)
        places = asyncio.Semaphore(_PAGES_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            async for contacts in _pages(hubspot):
                await places.acquire()  # reading doesn't run ahead of the rest
                page = group.create_task(_enrich(hubspot, zoominfo, results, contacts))
                page.add_done_callback(lambda _: places.release())


async def _enrich(hubspot: Paced, zoominfo: Paced, results: sqlite3.Connection, contacts: list[common.Contact]) -> None:
    parts = list(common.lookups_of(contacts))
    answers = await asyncio.gather(
        *(zoominfo.call("POST", common.ZOOMINFO_ENRICH, json=common.question(some)) for some in parts)
    )
    found = zip(parts, answers, strict=True)
    updates = [common.update_of(*match) for some, answer in found for match in common.matches(some, answer)]
    keep(results, updates)
    if updates:
        await hubspot.call("POST", common.HUBSPOT_UPDATE, json={"inputs": updates})


async def _token(client: httpx.AsyncClient) -> str:
    answer = await client.post(common.ZOOMINFO_TOKEN, **common.token_request())
    return str(answer.raise_for_status().json()["access_token"])


async def _pages(hubspot: Paced) -> AsyncIterator[list[common.Contact]]:
    after: str | None = ""
    while after is not None:
        body = await hubspot.call("GET", common.HUBSPOT_CONTACTS, params=common.page_of_contacts(after))
        yield body["results"]
        after = common.next_page(body)


if __name__ == "__main__":
    asyncio.run(main())
