"""Replies of ZoomInfo's stand-in in which single values are wrong."""

from collections.abc import Mapping
from typing import Any

from tests.cases.chain import Chain

FINE: Mapping[str, Any] = {
    "firstName": "Ada",
    "lastName": "Byron",
    "jobTitle": "CTO",
    "externalUrls": [{"url": "https://www.linkedin.com/in/ada"}],
    "contactAccuracyScore": 95,
}
COMPANY: Mapping[str, Any] = {"id": 9, "name": "Acme", "primaryIndustry": ["Retail"], "employeeCount": 250}


def answer_zoominfo(chain: Chain, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Let the next call be answered with a match for each address, changed like this."""
    data = [
        {
            "id": str(number),
            "type": "Contact",
            "attributes": {**FINE, **changed, "company": {**COMPANY, **changed.get("company", {})}},
            "meta": {"matchStatus": "FULL_MATCH", "input": {"emailAddress": email}},
        }
        for number, (email, changed) in enumerate(changes.items(), 1)
    ]
    chain.answer("zoominfo", "contacts/enrich", {"data": data})
