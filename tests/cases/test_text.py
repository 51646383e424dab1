"""Texts in a provider's replies: one bad text costs one field, and what was left out is counted."""

from typing import Any

import pytest

from enrichment.values import PLACEHOLDER, UNREADABLE
from tests.cases.chain import Chain
from tests.cases.replies import answer_zoominfo

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)


@WAREHOUSES
def test_one_bad_text_costs_one_field(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    """Ten contacts in a batch, each with another one: the rest is written, and what was left out is counted."""
    bad: dict[str, dict[str, Any]] = {
        "na": {"company": {"name": "N/A"}},
        "amp": {"company": {"name": "AT&amp;T"}},
        "null": {"company": {"primaryIndustry": ["null"]}},
        "text": {"company": {"primaryIndustry": "Software"}},
        "dash": {"jobTitle": "-"},
        "control": {"company": {"name": "\x07Ac\x1bme\u0092s\x7f"}, "jobTitle": "\x01"},
        "page": {"externalUrls": [{"url": "https://www.linkedin.com/company/acme"}]},
        "bare": {"externalUrls": [{"url": "https://www.linkedin.com/in/"}]},
        "fine": {},
    }
    ids = chain.world.hubspot.create([{"email": f"{name}@acme.example"} for name in bad])
    chain.stage(ids)
    answer_zoominfo(chain, {f"{name}@acme.example": attributes for name, attributes in bad.items()})
    with caplog.at_level("INFO", logger="tasks"):
        chain.run()
    assert chain.ends(*ids) == ["written"] * len(ids)
    got = {
        name: chain.values(crm_id, "enr_company_name", "enr_industry", "enr_job_title", "enr_linkedin_url")
        for name, crm_id in zip(bad, ids, strict=True)
    }
    assert [got[name]["enr_company_name"] for name in ("na", "amp", "control")] == [None, "AT&T", "Acme\u2019s"]
    assert [got[name]["enr_industry"] for name in ("null", "text", "fine")] == [None, "Software", "Retail"]
    assert [got[name]["enr_job_title"] for name in ("dash", "fine")] == [None, "CTO"]
    profile = "https://www.linkedin.com/in/ada"
    assert [got[name]["enr_linkedin_url"] for name in ("page", "bare", "fine")] == [None, None, profile]
    for name, reason, contacts in (
        ("company_name", PLACEHOLDER, 1),
        ("industry", PLACEHOLDER, 1),
        ("title", PLACEHOLDER, 2),
        ("linkedin_url", UNREADABLE, 2),
    ):
        said = f"values_left_out provider=zoominfo field={name} reason={reason} contacts={contacts}"
        assert said in caplog.messages
