"""Erasures that requests ask for: done once, and to the end."""

import asyncio
import threading

import pytest

from enrichment.errors import ConfigurationError, EnrichmentError, TransientError
from triggers.hubspot_events import Erasure
from triggers.receiver import Eraser

ONE, TWO = Erasure("1", 10), Erasure("2", 10)


def test_an_erasure_outlives_its_request() -> None:
    """A sender that retries finds it done, or waits for the same one."""
    go, erased = threading.Event(), []

    def erase(crm_id: str) -> None:
        go.wait(60)
        erased.append(crm_id)

    async def ask() -> None:
        eraser = Eraser(erase)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await eraser.erase([ONE])
        go.set()
        await asyncio.gather(eraser.erase([ONE, TWO]), eraser.erase([ONE]))
        await eraser.erase([ONE])
        await eraser.stop()

    asyncio.run(ask())
    assert sorted(erased) == ["1", "2"]


def test_a_failure_is_tried_again_and_keeps_no_other() -> None:
    """The failing one is reported, the other one is done; the repetition does what is left."""
    erased: list[str] = []
    failing = True

    def erase(crm_id: str) -> None:
        if crm_id == "1" and failing:
            raise TransientError("the warehouse is away")
        erased.append(crm_id)

    async def ask() -> None:
        nonlocal failing
        eraser = Eraser(erase)
        with pytest.raises(TransientError):
            await eraser.erase([ONE, TWO])
        failing = False
        await eraser.erase([ONE, TWO])
        await eraser.stop()

    asyncio.run(ask())
    assert erased == ["2", "1"]


def test_a_foreign_error_is_logged_without_its_words() -> None:
    """They may quote the contact."""

    def erase(_: str) -> None:
        raise RuntimeError("zoe@x.example")

    async def ask() -> None:
        await Eraser(erase).erase([ONE])

    with pytest.raises(EnrichmentError) as raised:
        asyncio.run(ask())
    assert "zoe" not in str(raised.value)


def test_who_can_t_erase_says_so() -> None:
    """Rather than to accept an erasure that isn't carried out."""

    async def ask() -> None:
        await Eraser(None).erase([ONE])

    with pytest.raises(ConfigurationError):
        asyncio.run(ask())


def test_nothing_to_erase_is_nothing_to_do() -> None:
    """Most deliveries hold no erasure, and need no CRM that can."""

    async def ask() -> None:
        await Eraser(None).erase([])

    asyncio.run(ask())
