"""The secrets in force, while they are rotated."""

import asyncio

import pytest

from enrichment.errors import ConfigurationError, TransientError
from triggers.signatures import SigningKeys


class Store:
    """Gives what it holds, or fails."""

    def __init__(self) -> None:
        self.secrets: tuple[str, ...] = ("old",)
        self.failing = False
        self.readings = 0

    def read(self) -> tuple[str, ...]:
        self.readings += 1
        if self.failing:
            raise TransientError("the store is away")
        return self.secrets


def test_a_rotated_secret_is_found_when_a_signature_does_not_fit() -> None:
    """What is in force is kept for its time; asking for the newest reads again."""
    store = Store()
    keys = SigningKeys(store.read, lifetime_seconds=3600, least_seconds=0)
    store.secrets = ("new", "old")

    async def look() -> None:
        assert await keys.current() == ("old",)
        assert await keys.newest() == ("new", "old")
        assert await keys.current() == ("new", "old")

    asyncio.run(look())


def test_old_ones_are_read_again() -> None:
    """A revoked secret is out of force when its time is over."""
    store = Store()
    keys = SigningKeys(store.read, lifetime_seconds=0)
    store.secrets = ("new",)
    assert asyncio.run(keys.current()) == ("new",)


def test_many_wrong_signatures_do_not_read_often() -> None:
    """A sender of rubbish doesn't make us read the secret store each time."""
    store = Store()
    keys = SigningKeys(store.read, least_seconds=3600)

    async def look() -> None:
        await asyncio.gather(*(keys.newest() for _ in range(50)))

    asyncio.run(look())
    assert store.readings == 1


def test_while_the_store_is_away_the_last_ones_count() -> None:
    """An outage of the secret store loses no webhook; at the start it is reported."""
    store = Store()
    keys = SigningKeys(store.read, lifetime_seconds=0)
    store.failing = True
    assert asyncio.run(keys.current()) == ("old",)
    with pytest.raises(TransientError):
        SigningKeys(store.read)


def test_a_missing_secret_is_named_at_the_start() -> None:
    """Who starts the receiver hears what to set."""

    def read() -> tuple[str, ...]:
        raise ConfigurationError("ENRICHMENT_HUBSPOT_CLIENT_SECRET is not set")

    with pytest.raises(ConfigurationError):
        SigningKeys(read)
