"""What is compared: the programs, and the conditions under which they do the same work."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.combination import Combination

#: So high that no program reaches it.
_NO_LIMIT = 1_000_000_000
NO_LIMITS: Mapping[str, Mapping[str, Any]] = {
    "zoominfo": {"per_second": _NO_LIMIT, "per_hour": _NO_LIMIT, "per_day": _NO_LIMIT},
    "hubspot": {"per_ten_seconds": _NO_LIMIT, "per_day": _NO_LIMIT},
}


@dataclass(frozen=True)
class Program:
    """
    A program that enriches all contacts of the CRM.

    Args:
        name: by which it is chosen.
        title: by which it is shown.
        command: module of ours, and its arguments.
        settings: of the pipeline, beside those that lead to the stand-ins.
        is_pipeline: whether it takes its contacts from our queue, and its figures need Prefect's server.
    """

    name: str
    title: str
    command: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    is_pipeline: bool = False


PIPELINE = Program("pipeline", "this project", ("cli", "run", "--json"), is_pipeline=True)
SEQUENTIAL = Program("sequential", "sequential `requests` script", ("bench.baselines.sequential",))


@dataclass(frozen=True)
class Scenario:
    """
    Conditions.

    Args:
        name: by which it is chosen.
        title: by which it is shown.
        contacts: how many the CRM has.
        programs: that are compared.
        services: settings of the stand-ins.
        combination: of CRM, provider and warehouse.
    """

    name: str
    title: str
    contacts: int
    programs: tuple[Program, ...]
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: NO_LIMITS)
    combination: Combination = field(default_factory=Combination)


SCENARIOS = (
    Scenario("zero-latency", "Everything answers at once, and nothing is limited", 5000, (PIPELINE, SEQUENTIAL)),
)

#: By name.
PROGRAMS = {program.name: program for scenario in SCENARIOS for program in scenario.programs}
