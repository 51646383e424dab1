"""
Cells of a CSV file that a spreadsheet would run.

As OWASP advises, an apostrophe goes before a text that begins with `=`, `+`, `-`, `@`, a tab or a line end (or one of
their full-width twins): the spreadsheet then shows it as text. Plain numbers such as `-5` stay, since there is nothing
in them to run; a phone number such as `+49 30 1234` is no plain number. `restored` undoes exactly what `neutralised`
does, so that a file that we wrote is read back as what was written.
"""

import re

_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*")
_STARTS = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_RUN, _KEPT = re.compile(rf"'*{_STARTS}"), re.compile(rf"'+{_STARTS}")


def neutralised(text: str) -> str:
    """Return a text as a cell that no spreadsheet runs."""
    return f"'{text}" if _RUN.match(text) and not _NUMBER.fullmatch(text) else text


def restored(cell: str) -> str:
    """Return the text that a cell stands for."""
    return cell[1:] if _KEPT.match(cell) and not _NUMBER.fullmatch(cell[1:]) else cell
