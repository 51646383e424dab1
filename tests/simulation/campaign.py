"""Many histories, one seed each; one that fails is shortened."""

import logging
import multiprocessing
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

from tests.simulation.history import History, Outcome
from tests.simulation.stage import Stage, staged

#: Histories that a process plays before it reports.
_PART = 50


@dataclass
class Findings:
    """
    What a campaign found.

    Args:
        histories: played.
        happenings: how often each thing happened, by kind of seam, what was done there, phase and event.
        failed: the histories in which a promise was broken, each as short as it fails.
    """

    histories: int = 0
    happenings: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Take in what another process found."""
        self.histories += other.histories
        self.happenings += other.happenings
        self.failed += other.failed


def play(seeds: Sequence[int], *, until_failed: bool = False) -> Findings:
    """
    Play the histories of these seeds in this process.

    Args:
        seeds: in this order.
        until_failed: whether the first one that fails ends it, and isn't shortened.
    """
    findings = Findings()
    before, dice = logging.root.manager.disable, random.getstate()
    logging.disable(logging.CRITICAL)
    try:
        with staged() as stage:
            for seed in seeds:
                outcome = _played(stage, seed)
                findings.histories += 1
                findings.happenings.update(
                    (one.seam.kind, one.seam.verb, one.seam.phase, one.what) for one in outcome.events
                )
                if outcome.violations:
                    findings.failed.append(outcome if until_failed else _shortened(stage, outcome))
                    if until_failed:
                        break
    finally:
        logging.disable(before)
        random.setstate(dice)
    return findings


def _played(stage: Stage, seed: int, most_events: int = 1000) -> Outcome:
    """Play a history; what breaks it off, such as a tool that fails, breaks a promise, too."""
    history = History(stage, seed, most_events)
    try:
        return history.play()
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this seed
        history.outcome.violations.append(f"it broke off: {type(error).__name__}: {error}")
        return history.outcome


def _shortened(stage: Stage, outcome: Outcome) -> Outcome:
    """Return the same history with as few events as it takes to fail."""
    low, high, shortest = 0, len(outcome.events), outcome
    while low < high:
        middle = (low + high) // 2
        tried = _played(stage, outcome.seed, middle)
        if tried.violations:
            high, shortest = middle, tried
        else:
            low = middle + 1
    return shortest


def play_in_processes(first: int, seeds: int, processes: int) -> Iterator[Findings]:
    """Play histories in several processes, and yield what each part of them found."""
    parts = [range(start, min(start + _PART, first + seeds)) for start in range(first, first + seeds, _PART)]
    # Each starts afresh: a process that has threads can't be copied safely.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(play, part) for part in parts]):
            yield done.result()
