"""What a spec may do to a provider's value by name, before the vocabulary gives it its canonical form."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from enrichment.forms import linkedin_page

# Free text may quote the input, and so personal data; a code doesn't.
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def short_code(value: Any) -> str:
    """Return the value if it is a code, else nothing; the first of a list counts."""
    if isinstance(value, list):
        value = value[0] if value else None
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    return text if _CODE.fullmatch(text) else ""


def linkedin_handle(value: Any) -> str | None:
    """Return the LinkedIn address of a handle: a path such as `in/ada` or `company/acme`, a person's slug, or a URL."""
    handle = str(value).strip().strip("/")
    if not handle or " " in handle:
        return None
    if "linkedin.com/" in handle.lower():
        return linkedin_page(handle)
    return linkedin_page(f"linkedin.com/{handle if '/' in handle else f'in/{handle}'}")


def words(value: Any) -> str | None:
    """Return a code such as `human_resources` as words, `Human Resources`."""
    return " ".join(word.capitalize() for word in value.split("_")) if isinstance(value, str) else None


def first(value: Any) -> Any:
    """Return the first of a list, or the value itself."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


TRANSFORMS: Mapping[str, Callable[[Any], Any]] = {
    "linkedin_handle": linkedin_handle,
    "words": words,
    "first": first,
}
