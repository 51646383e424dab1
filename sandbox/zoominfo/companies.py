"""The calls about one company: the technologies it uses, and the topics it reads about."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sandbox.people import Company, chance, technologies

LONGEST_PAGE = 100
USUAL_PAGE = 25
INTENT_SHARE = 0.4


def technologies_of(company: Company) -> list[dict[str, str]]:
    """Return product, vendor and categories of what a company uses."""
    dice = random.Random(company.id)
    used = dice.sample(technologies(), dice.randint(4, 12))
    names = ("product", "vendor", "category", "categoryParent")
    return [dict(zip(names, each, strict=True)) for each in used]


def technology_rows(company: Company) -> list[dict[str, Any]]:
    """Return the rows of the technologies call."""
    return [
        {"id": f"{company.id}-{number}", "type": "Technology", "attributes": attributes}
        for number, attributes in enumerate(technologies_of(company), start=1)
    ]


def intent_rows(company: Company, topics: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of the intent call."""
    return [
        {"id": f"{company.id}-{number}", "type": "Intent", "attributes": attributes}
        for number, attributes in enumerate(signals(company, topics, now), start=1)
    ]


def signals(company: Company, topics: Sequence[str], now: datetime) -> Iterator[dict[str, Any]]:
    """Give what a company shows of each topic that it reads about."""
    for topic in topics:
        drawn = chance(f"{company.id} {topic}")
        if drawn < INTENT_SHARE:
            yield {
                "topic": topic,
                "category": "Technology",
                "signalScore": 60 + int(drawn / INTENT_SHARE * 40),
                "audienceStrength": "ABCDE"[int(drawn / INTENT_SHARE * 5)],
                "signalDate": (now - timedelta(days=int(drawn * 20))).date().isoformat(),
                "spikesInDateRange": 1 + int(drawn * 10),
                "company": {
                    "id": company.id,
                    "name": company.name,
                    "website": f"www.{company.domain}",
                },
            }


def paged(
    rows: Sequence[Mapping[str, Any]], query: Mapping[str, Sequence[str]], longest: int = LONGEST_PAGE
) -> dict[str, Any]:
    """Return one page of the rows; `meta.page.total` counts pages, `meta.totalResults` records."""
    size = min(_number(query, "page[size]", USUAL_PAGE), longest)
    number = _number(query, "page[number]", 1)
    pages = -(-len(rows) // size)
    meta = {"totalResults": len(rows), "page": {"total": pages, "number": number, "size": size}}
    return {"data": rows[(number - 1) * size : number * size], "meta": meta}


def _number(query: Mapping[str, Sequence[str]], name: str, otherwise: int) -> int:
    values = query.get(name) or [""]
    return max(int(values[0]), 1) if values[0].isdigit() else otherwise
