"""Tables as Markdown, for Prefect's pages and our documentation."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """
    Return a table; a cell may hold whatever a CRM or a provider has sent.

    Args:
        head: of the columns.
        rows: of cells, as many as the head has.
        numbers: the columns, from 0, that are aligned to the right.
    """
    right = frozenset(numbers)
    rule = ["---:" if place in right else "---" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in (head, rule, *rows))


def _cell(text: str) -> str:
    return " ".join(text.splitlines()).replace("|", "\\|")
