"""What a setting such as `hubspot/prod` names."""

import pytest

from enrichment.plan import Reference


@pytest.mark.parametrize(
    ("text", "name", "vendor", "document"),
    [
        ("hubspot", "hubspot", "hubspot", ""),
        ("hubspot/prod", "hubspot", "hubspot", "prod"),
        ("file:contacts", "file:contacts", "file", ""),
        ("file:contacts/prod", "file:contacts", "file", "prod"),
        (" zoominfo/eu ", "zoominfo", "zoominfo", "eu"),
        ("", "", "", ""),
    ],
)
def test_a_reference_is_taken_apart(text: str, name: str, vendor: str, document: str) -> None:
    """Name, vendor and document each have their place, and the text comes back from them."""
    found = Reference.parse(text)
    assert (found.name, found.vendor, found.document) == (name, vendor, document)
    assert str(found) == text.strip()
