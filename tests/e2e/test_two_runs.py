"""Two runs at once, each a process of its own, share one queue and one provider."""

from dataclasses import replace

from sandbox.place import Place
from tests.e2e.conftest import count, new_world

CONTACTS = 1200


def test_two_runs_share_the_queue_without_a_duplicate(place: Place) -> None:
    """No contact is looked up, billed or written twice, both books balance, and together they finish everything."""
    place = replace(place, environment=place.environment | {"ENRICHMENT_CHUNK_SIZE": "100"})
    warehouse = new_world(place, CONTACTS)
    runs = [place.enrich("run"), place.enrich("run")]
    books = [place.finish(run, "run")["books"] for run in runs]
    for book in books:
        assert book["claimed"] == sum(book["dispositions"].values()) + book["returned"]
    ledger = place.ledger()
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
    assert count(warehouse, "record_ledger") + count(warehouse, "enrichment_staging") == CONTACTS
    assert count(warehouse, "record_ledger") == sum(sum(book["dispositions"].values()) for book in books)
    warehouse.close()
