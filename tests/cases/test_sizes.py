"""Sizes in a provider's replies: one bad size costs one field, and why is kept."""

import pytest

from enrichment.values import OUT_OF_RANGE
from tests.cases.chain import HUBSPOT, Chain
from tests.cases.replies import answer_zoominfo
from tests.unit.enrichment.test_sizes import SIZES

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)


@WAREHOUSES
def test_sizes_of_a_batch(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    """Where a number is expected, a range fills the range's field; what isn't sure is refused, and why is kept."""
    texts = [value for value, *_ in SIZES if isinstance(value, str | int) and not isinstance(value, bool)][:24]
    read = {str(value): (people, span) for value, people, span in SIZES}
    ids = chain.world.hubspot.create([{"email": f"p{n}@acme.example"} for n in range(len(texts))])
    chain.stage(ids)
    sizes = {f"p{n}@acme.example": {"company": {"employeeCount": text}} for n, text in enumerate(texts)}
    answer_zoominfo(chain, sizes)
    with caplog.at_level("INFO", logger="tasks"):
        chain.run()
    assert chain.ends(*ids) == ["written"] * len(ids)
    stored = chain.warehouse.read_enriched(HUBSPOT, ids)
    for crm_id, text in zip(ids, texts, strict=True):
        people, span = read[str(text)]
        written = chain.values(crm_id, "enr_employee_count", "enr_company_name")
        fields = stored[crm_id].fields
        assert (fields.get("employee_count"), fields.get("employee_range")) == (people, span), text
        assert written == {
            "enr_employee_count": None if people is None else str(people),
            "enr_company_name": "Acme",
        }
    unsure = [text for text in texts if read[str(text)] == (None, None)]
    said = f"values_left_out provider=zoominfo field=employee_count reason={OUT_OF_RANGE} contacts={len(unsure)}"
    assert said in caplog.messages
    refused = [
        crm_id for crm_id in ids if "enr_employee_count" in str(chain.warehouse.read_story(HUBSPOT, crm_id).refusals)
    ]
    assert len(refused) == len(unsure) > 0
