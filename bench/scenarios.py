"""What is compared: the programs, and the conditions under which they do the same work."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.combination import Combination

Services = Mapping[str, Mapping[str, Any]]

#: So high that no program reaches it.
_NO_LIMIT = 1_000_000_000
_ZOOMINFO_FREE = {"per_second": _NO_LIMIT, "per_hour": _NO_LIMIT, "per_day": _NO_LIMIT}
_HUBSPOT_FREE = {"per_ten_seconds": _NO_LIMIT, "per_day": _NO_LIMIT}
NO_LIMITS: Services = {
    "zoominfo": _ZOOMINFO_FREE,
    "clearbit": {"per_minute": _NO_LIMIT},
    "hubspot": _HUBSPOT_FREE,
}
_LATENCY = {"latency_ms": 100}


@dataclass(frozen=True)
class Program:
    """
    A program that enriches all contacts of the CRM.

    Args:
        name: by which it is chosen.
        title: by which it is shown.
        command: module of ours, and its arguments.
        settings: beside those that lead to the stand-ins.
        is_pipeline: whether it takes its contacts from our queue.
        servers: that it needs, and whose CPU is a part of its cost.
        processes: that work on the contacts.
        group: of the lock, if its libraries are in an environment of their own.
    """

    name: str
    title: str
    command: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    is_pipeline: bool = False
    servers: tuple[str, ...] = ()
    processes: int = 1
    group: str = ""


_RUN = ("cli", "run", "--json")
_SERVERS = ("prefect", "warehouse")
_TWO_PROCESSES = {"ENRICHMENT_TASK_RUNNER": "dask", "ENRICHMENT_DASK_WORKERS": "2"}
_NO_SERVER = {"PREFECT_API_URL": ""}

PIPELINE = Program("pipeline", "this project", _RUN, is_pipeline=True, servers=_SERVERS)
PIPELINE_2 = replace(
    PIPELINE, name="pipeline-2", title="this project, two processes", settings=_TWO_PROCESSES, processes=2
)
ALONE = replace(
    PIPELINE,
    name="alone",
    title="this project, no Prefect server",
    settings=_NO_SERVER,
    servers=("warehouse",),
)
HTTPX = Program("httpx", "bare httpx client", ("bench.baselines.httpx_client",))
DLT = Program("dlt", "dlt", ("bench.baselines.dlt_pipeline",), group="dlt")
SEQUENTIAL = Program("sequential", "sequential `requests` script", ("bench.baselines.sequential",))

#: By name.
PROGRAMS = {program.name: program for program in (PIPELINE, PIPELINE_2, ALONE, HTTPX, DLT, SEQUENTIAL)}


def _command(*arguments: str) -> Program:
    words = " ".join(arguments).replace(CONTACT_ID, "ID")
    return replace(ALONE, name=arguments[0].strip("-"), title=f"`enrich {words}`", command=("cli", *arguments))


#: Stands for the id of the CRM's first contact.
CONTACT_ID = "{id}"
#: What people type, on a machine without a Prefect server.
COMMANDS = (
    _command("--help"),
    _command("why", CONTACT_ID),
    _command("review"),
    _command("doctor"),
    _command("stage", "--ids", CONTACT_ID),
    _command("run"),
)


@dataclass(frozen=True)
class Limit:
    """
    A limit that is to be used up.

    Args:
        service: whose limit it is.
        per_second: requests that it allows.
        window_seconds: in which it counts them.
    """

    service: str
    per_second: float
    window_seconds: float = 1.0


@dataclass(frozen=True)
class Scenario:
    """
    Conditions.

    Args:
        name: by which it is chosen.
        title: by which it is shown.
        text: says in a sentence what is special.
        contacts: that the CRM has, and each program enriches.
        programs: that are compared.
        services: changed settings of the stand-ins; their own limits are off unless they are named here.
        settings: of the pipeline.
        combination: of CRM, provider and warehouse; for each, everything is started again.
        limit: that ought to be the slowest part, if there is one.
        queued: contacts in the queue, if more than are enriched.
        is_start: whether it is of interest how long a command takes, and not how many contacts it enriches.
        is_large: whether it takes so long that it isn't run unless that is asked for.
    """

    name: str
    title: str
    text: str
    contacts: int
    programs: tuple[Program, ...]
    services: Services = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    combination: Combination = field(default_factory=Combination)
    limit: Limit | None = None
    queued: int = 0
    is_start: bool = False
    is_large: bool = False


SCENARIOS = (
    Scenario(
        "zero-latency",
        "Zero latency",
        "Everything answers at once, and nothing is limited.",
        10_000,
        (PIPELINE, ALONE, HTTPX, DLT, SEQUENTIAL),
    ),
    Scenario(
        "two-processes",
        "Two processes",
        "Everything answers at once, and nothing is limited. The workers of the cluster start within the run; the "
        "stand-ins, Prefect's server and both workers share two cores.",
        20_000,
        (PIPELINE, PIPELINE_2),
    ),
    Scenario(
        "commands",
        "Commands",
        "What people type, without a Prefect server. One contact is queued.",
        1,
        COMMANDS,
        is_start=True,
    ),
    Scenario(
        "latency",
        "100 ms latency",
        "Each answer of the provider and of HubSpot takes 100 ms, and nothing is limited.",
        10_000,
        (PIPELINE, HTTPX, DLT, SEQUENTIAL),
        {"zoominfo": _LATENCY, "hubspot": _LATENCY},
    ),
    Scenario(
        "rate-limited",
        "25 requests a second",
        "The provider allows 25 requests of 25 contacts a second (625 contacts/s), and each answer takes 100 ms.",
        10_000,
        (PIPELINE, HTTPX, DLT),
        {"zoominfo": {**_LATENCY, "per_second": 25}, "hubspot": _LATENCY},
        limit=Limit("zoominfo", 25),
    ),
    Scenario(
        "hubspot-starter",
        "HubSpot Starter",
        "HubSpot allows 100 calls in 10 seconds, reads and writes together, and each answer takes 100 ms.",
        15_000,
        (PIPELINE,),
        {"zoominfo": _LATENCY, "hubspot": {**_LATENCY, "per_ten_seconds": 100}},
        limit=Limit("hubspot", 10, window_seconds=10),
    ),
    Scenario(
        "single-record",
        "One contact per call",
        "The provider, Clearbit, takes one contact per call; everything answers at once, and nothing is limited.",
        1_000,
        (PIPELINE,),
        settings={"ENRICHMENT_PROVIDER": "clearbit"},
    ),
    Scenario(
        "run-10000",
        "A run of 10,000",
        "One run enriches 10,000 contacts; everything answers at once, and nothing is limited.",
        10_000,
        (PIPELINE,),
        is_large=True,
    ),
    Scenario(
        "run-100000",
        "A run of 100,000",
        "One run enriches 100,000 contacts; everything answers at once, and nothing is limited.",
        100_000,
        (PIPELINE,),
        is_large=True,
    ),
    Scenario(
        "queue-1000000",
        "A queue of 1,000,000",
        "1,000,000 contacts are queued, and a run with `--limit 10000` enriches the first of them.",
        10_000,
        (PIPELINE,),
        queued=1_000_000,
        is_large=True,
    ),
    Scenario(
        "postgres",
        "PostgreSQL",
        "The warehouse is PostgreSQL on the same machine; everything answers at once, and nothing is limited.",
        5_000,
        (PIPELINE,),
        combination=Combination(warehouse="postgres"),
    ),
)

#: By a program's name, commands included.
TITLES = {program.name: program.title for scenario in SCENARIOS for program in scenario.programs}
