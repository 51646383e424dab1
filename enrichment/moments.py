"""Moments: one rule, at every door, for what has no time zone. It is in UTC, whatever zone the machine is in."""

from datetime import UTC, datetime


def in_utc(moment: datetime) -> datetime:
    """Return a moment with its time zone; without one it is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_moment(text: str) -> datetime:
    """Return the moment of an ISO-8601 text, with its time zone; raise ValueError if it isn't one."""
    return in_utc(datetime.fromisoformat(text.strip().upper()))


def utc_text(moment: datetime) -> str:
    """Return a moment as the ISO-8601 UTC text that the warehouse has of all times."""
    return in_utc(moment).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
