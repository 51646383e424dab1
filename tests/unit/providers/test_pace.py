"""The pace follows the account's real allowance."""

import pytest

from blocks.providers.http.steps import first_pace, pace_after
from blocks.providers.spec.model import load_spec
from tests.unit.providers.samples import ZOOMINFO

LIMIT, LEFT = "x-ratelimit-limit-", "x-ratelimit-remaining-"


@pytest.mark.parametrize(
    ("headers", "contract", "pace"),
    [
        ({}, None, 25),
        ({}, 10, 10),
        ({}, 100, 100),
        ({LIMIT + "second": "25"}, 100, 25),
        ({LIMIT + "second": "50"}, None, 50),
        ({LIMIT + "second": "5"}, None, 5),
        ({LIMIT + "second": "35"}, 10, 10),
        ({LIMIT + "second": "soon"}, None, 25),
        ({LIMIT + "second": "0"}, None, 25),
        ({LIMIT + "second": "-1"}, None, 25),
        ({LIMIT + "second": ""}, None, 25),
        ({LIMIT + "second": "Infinity"}, None, 25),
        ({LIMIT + "second": "1e400"}, None, 25),
        ({LEFT + "second": "0"}, None, 25),
        ({LEFT + "hour": "53000"}, None, 25),
        ({LEFT + "hour": "10000"}, None, 15),
        ({LEFT + "hour": "0"}, None, 15),
        ({LEFT + "hour": "-1"}, None, 25),
        ({LEFT + "day": "100"}, None, 7.5),
        ({LEFT + "day": "100", LEFT + "hour": "100"}, None, 7.5),
        ({LIMIT + "hour": "1", LEFT + "hour": "0"}, None, 1),
        ({LIMIT + "hour": "10800", LEFT + "hour": "2000"}, None, 3),
        ({LIMIT + "hour": "7200", LEFT + "hour": "100", LIMIT + "second": "5"}, None, 2),
    ],
)
def test_the_pace_follows_the_headers(headers: dict[str, str], contract: float | None, pace: float) -> None:
    """What is stated counts, then the contract; a long window that runs low slows us down; nonsense changes nothing."""
    assert pace_after(ZOOMINFO.rate, headers, contract).per_second == pytest.approx(pace)


def test_the_first_pace_is_that_of_the_shortest_window() -> None:
    """Before any answer, the spec's own limit holds."""
    assert first_pace(ZOOMINFO.rate).per_second == pytest.approx(25)


def test_a_pace_names_the_window_that_asks_for_it() -> None:
    """People read whether it is the second, the hour or the day that holds a run back."""
    assert first_pace(ZOOMINFO.rate).window_seconds == 1
    assert pace_after(ZOOMINFO.rate, {LEFT + "hour": "10000"}, None).window_seconds == 3600
    assert pace_after(ZOOMINFO.rate, {LEFT + "day": "100", LEFT + "hour": "100"}, None).window_seconds == 86_400


PDL = load_spec("peopledatalabs")


@pytest.mark.parametrize(
    ("header", "pace"),
    [
        ('{"minute":100,"day":null,"month":null}', 100 / 60),
        ('{"minute":null}', 1000 / 60),
        ("{}", 1000 / 60),
        ("[1]", 1000 / 60),
        ("7", 1000 / 60),
        ("not JSON", 1000 / 60),
        ("", 1000 / 60),
    ],
)
def test_a_header_may_hold_json(header: str, pace: float) -> None:
    """The member for the window counts; null, garbage and an empty header change nothing."""
    assert pace_after(PDL.rate, {"x-ratelimit-limit": header}, None).per_second == pytest.approx(pace, abs=0.001)
