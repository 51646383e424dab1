"""Cells that a spreadsheet would run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.cells import neutralised, restored


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("http://x.example","click")', '\'=HYPERLINK("http://x.example","click")'),
        ("-Dash GmbH", "'-Dash GmbH"),
        ("@SUM(1)", "'@SUM(1)"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-5", "-5"),
        ("+3.5", "+3.5"),
        ("-1,234.56", "-1,234.56"),
        ("-2+3", "'-2+3"),
        ("Acme = great", "Acme = great"),
        ("'quoted'", "'quoted'"),
        ("", ""),
    ],
)
def test_only_what_would_be_run_is_neutralised(text: str, cell: str) -> None:
    """An apostrophe goes before it; plain numbers have nothing in them to run."""
    assert neutralised(text) == cell


@given(st.one_of(st.text(), st.text(alphabet="'=+-@1.\t\r")))
def test_what_was_neutralised_is_read_as_it_was(text: str) -> None:
    """Whatever the text, it comes back, and what goes into the file never begins as a formula does."""
    cell = neutralised(text)
    assert restored(cell) == text
    assert not cell or cell[0] not in "=@\t\r"
