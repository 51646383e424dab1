"""Tables as Markdown."""

from enrichment.markdown import table


def test_a_cell_may_hold_whatever_a_system_has_sent() -> None:
    """A bar or a line end would break the table."""
    assert table(("field", "values"), [("industry", "Food | Drink\nOther (3)")], numbers=[1]) == (
        "| field | values |\n| --- | ---: |\n| industry | Food \\| Drink Other (3) |"
    )
