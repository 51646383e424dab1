"""The file of prices per credit."""

from pathlib import Path

import pytest

from blocks.settings import read_price_book
from enrichment.errors import ConfigurationError
from enrichment.estimate import Price


def test_a_price_is_an_amount_in_a_currency(tmp_path: Path) -> None:
    """By provider; without a file there are none."""
    book = tmp_path / "prices.yaml"
    book.write_text("zoominfo: {price: 0.45, currency: EUR}\nhunter: {price: 1, currency: USD}\n")
    assert read_price_book(book) == {"zoominfo": Price(0.45, "EUR"), "hunter": Price(1.0, "USD")}
    assert read_price_book(None) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("zoominfo: 0.45", "zoominfo"),
        ("zoominfo: {price: -1, currency: EUR}", "zoominfo.price"),
        ("zoominfo: {price: 1, currency: euro}", "zoominfo.currency"),
        ("zoominfo: {price: 1, currency: EUR, per: month}", "zoominfo.per"),
        ("- zoominfo", "the whole"),
        ("{", "not valid YAML"),
    ],
)
def test_a_wrong_book_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """The message names the file and the entry."""
    book = tmp_path / "prices.yaml"
    book.write_text(text)
    with pytest.raises(ConfigurationError, match=f"prices.yaml.*{words}"):
        read_price_book(book)


def test_a_missing_book_is_named(tmp_path: Path) -> None:
    """An estimate without the prices that a user asked for would mislead."""
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_price_book(tmp_path / "absent.yaml")
