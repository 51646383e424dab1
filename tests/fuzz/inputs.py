"""
What may come from outside, with a word in it that must not be seen again.

The suite tries some hundred inputs, the same ones everywhere; `make fuzz` tries as many others as you name.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 0)
fuzzed = settings(
    max_examples=_EXAMPLES or 60,
    derandomize=not _EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

#: In whatever a person or another system may have written.
MARK = "m4rk3r@x.example"

NUMBERS = st.sampled_from(
    ["", "0", "-1", "60", "²", "٤٢", "1e400", "nan", "inf", "9" * 5000, "1_0", " 7 ", "0x10", "2001-99-99"]
)
WORDS = st.text(max_size=8) | NUMBERS | st.just(MARK)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


def json_of(value: Any) -> bytes:
    """Return JSON as other programs write it, which JSON's standard doesn't always allow."""
    return json.dumps(value).encode()


#: Whole, cut, deep, or no JSON at all.
BODIES = st.one_of(
    VALUES.map(json_of),
    st.builds(lambda body, cut: body[: len(body) * cut // 8], VALUES.map(json_of), st.integers(0, 8)),
    st.builds(lambda depth: b"[" * depth + b"]" * depth, st.sampled_from([50, 5_000])),
    st.binary(max_size=60),
    st.just(b"<html>" + MARK.encode() + b"</html>"),
    st.just(b"\xef\xbb\xbf{}"),
    st.just(b'{"a": "\\ud800\\u0000"}'),
)
#: As HTTP permits them.
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            *("retry-after", "date", "content-type", "content-length", "link", "x-request-id"),
            *("x-hubspot-ratelimit-max", "x-hubspot-ratelimit-interval-milliseconds", "x-hubspot-ratelimit-remaining"),
            *("x-hubspot-ratelimit-daily", "x-hubspot-ratelimit-daily-remaining", "sforce-limit-info"),
            *("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit-reset", "sforce-locator"),
        ]
    ),
    st.one_of(
        NUMBERS,
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
        st.just("api-usage=9/²"),
    ),
    max_size=4,
)
