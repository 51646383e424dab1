"""Short codes: what a provider calls a reason, as far as it can be shown to anybody."""

import re
from typing import Any

# Free text may quote the input, and so personal data; a code doesn't.
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def short_code(value: Any) -> str:
    """Return the value if it is a code, else nothing; the first of a list counts."""
    if isinstance(value, list):
        value = value[0] if value else None
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if _CODE.fullmatch(text) else ""
