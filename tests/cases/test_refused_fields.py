"""A provider that refuses some output fields costs these fields, not everybody's answer."""

import pytest

from blocks.providers.spec.model import load_spec
from blocks.warehouses.base import NewRecord
from tests.cases.chain import Chain

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
ALL = load_spec("zoominfo").output_fields.names
LACKING = ("companyRevenueNumeric", "city")

REFUSALS = [
    ("zoominfo_legacy", {"refusal": "message"}),
    ("zoominfo_legacy", {"refusal": "error"}),
    ("zoominfo_legacy", {"refusal": "nameless"}),
    ("zoominfo", {"names_fields": True}),
    ("zoominfo", {"names_fields": False}),
]


@WAREHOUSES
def test_all_contacts_are_enriched_without_the_refused_fields(chain: Chain) -> None:
    """In whatever form the refusal comes; no contact is paid for twice, and the other fields are written."""
    for number, (provider, form) in enumerate(REFUSALS):
        seller = chain.world.services[provider]
        chain.renew(provider, disallowed_fields=LACKING, **form)
        crm_ids = chain.world.hubspot.create([{"email": f"hit+p{n}@firm{number}.example"} for n in range(5)])
        chain.warehouse.stage([NewRecord("hubspot", one, None, "webhook", "live") for one in crm_ids])
        before = seller.summary()["credits_used"]
        plan = chain.run(provider)
        assert chain.ends(*crm_ids) == ["written"] * 5, (provider, form)
        values = [chain.values(one, "jobtitle", "city") for one in crm_ids]
        assert all(one["jobtitle"] and not one["city"] for one in values)
        assert seller.summary()["credits_used"] - before == 5
        assert sum(use.credits for use in chain.warehouse.count_usage(plan.run_id)) == 5


def test_an_account_that_may_ask_for_no_field_stops_with_advice(chain: Chain) -> None:
    """The contacts wait in the queue, and the message says what to do."""
    chain.renew("zoominfo", disallowed_fields=ALL, names_fields=False)
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+p@firm.example"}])
    chain.warehouse.stage([NewRecord("hubspot", crm_id, None, "webhook", "live")])
    stop = chain.stop_of("zoominfo")
    assert chain.ends(crm_id) == ["queued"]
    assert stop is not None
    assert stop.kind == "request_refused"
    assert "may use this API and its output fields" in stop.message
