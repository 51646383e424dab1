"""The older calls about companies: what a record holds, and how long lists are returned page by page."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.people import Company
from sandbox.zoominfo.companies import signals, technologies_of

USUAL_PAGE, LONGEST_PAGE = 25, 100
_MOST_RESULTS = 10_000

_GETTERS: Mapping[str, Callable[[Company], Any]] = {
    "id": lambda company: company.id,
    "name": lambda company: company.name,
    "website": lambda company: f"www.{company.domain}",
    "employeeCount": lambda company: company.employee_count,
    "primaryIndustry": lambda company: [company.industry],
    "revenue": lambda company: company.revenue // 1000,
    "techAttributes": technologies_of,
}
COMPANY_FIELDS = frozenset(_GETTERS)


def company_fields(company: Company, fields: Sequence[str]) -> dict[str, Any]:
    """Return a company's record with these fields."""
    return {name: _GETTERS[name](company) for name in fields}


def intent_signals(company: Company, topics: Sequence[str], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of the intent call."""
    own = {"newSignal": False, "trend": "Increasing", "recommendedContacts": []}
    rows = []
    for signal in signals(company, topics, now):
        day = datetime.fromisoformat(signal.pop("signalDate"))
        del signal["spikesInDateRange"]
        rows.append({**signal, "signalDate": f"{day.month}/{day.day}/{day.year} 12:00 AM", **own})
    return rows


def page_of(rows: Sequence[Mapping[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the page that a request asks for by `page` and `rpp`; only the results are counted."""
    size, number = min(number_of(body.get("rpp")) or USUAL_PAGE, LONGEST_PAGE), number_of(body.get("page")) or 1
    data = rows[(number - 1) * size : number * size]
    return {"maxResults": _MOST_RESULTS, "totalResults": len(rows), "currentPage": number, "data": data}


def number_of(value: Any) -> int | None:
    """Return a number that comes as such or as a text."""
    return int(value) if str(value).isdecimal() and not isinstance(value, bool) else None
