"""Moments as the warehouse has them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from enrichment.moments import utc_text


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 1, 12, 30),  # noqa: DTZ001 - that is the case
        datetime(2026, 11, 1, 12, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 14, 30, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_is_written_in_utc_with_milliseconds(moment: datetime) -> None:
    """One form for all, so that texts compare as times do; without a time zone it is in UTC."""
    assert utc_text(moment) == "2026-11-01T12:30:00.000Z"
