"""What compose.yaml starts, started outside containers: the image's own commands in the file's own order."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx
import psycopg
import pytest

from sandbox import lifeline
from sandbox.place import ROOT
from sandbox.server import Box, running
from tests.containers import database
from tests.containers.compose import Service, env_file, services
from tests.containers.database import free_port
from tests.containers.dockerfile import Image
from tests.prefect_api import ask_prefect

CONTACTS = 20
PATIENCE_SECONDS = 300

#: The services beside database, server and setup, which every test here needs.
STAYING = [
    name
    for name, service in services(dict.fromkeys(env_file(), "x")).items()
    if service.entry["restart"] != "no" and name not in {"database", "server"}
]

pytestmark = pytest.mark.timeout(900)  # half a dozen processes import Prefect, on a machine that may be busy


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen: {what}"
        time.sleep(0.3)


@dataclass
class Host:
    """
    This machine in the place of Docker: no names of services, no ports of their own.

    Args:
        image: what containers are made of.
        variables: of `.env`.
        folder: for logs.
    """

    image: Image
    variables: dict[str, str]
    folder: Path
    ports: dict[str, int] = field(default_factory=dict)

    def service(self, name: str) -> Service:
        """Return a service of the file."""
        return services(self.variables)[name]

    def placed(self, service: Service, text: str) -> str:
        """Put this machine's addresses in the place of names and ports: 8080 is another one in each container."""
        own = self.ports.setdefault(service.name, free_port())
        text = re.sub(r"\bserver:4200\b|\b127\.0\.0\.1:4200\b", f"127.0.0.1:{self.ports['server']}", text)
        text = re.sub(r"\bdatabase:5432\b", f"127.0.0.1:{self.ports['database']}", text)
        whole = {"database": "127.0.0.1", "5432": str(self.ports["database"]), "4200": str(self.ports["server"])}
        return whole.get(text, re.sub(r"\b8080\b", str(own), text))

    def environment(self, service: Service) -> dict[str, str]:
        """Return what a process of the service finds: the image's settings, then those of .env, then the file's own."""
        base = self.image.environment if service.ours else {"PATH": f"{database.BIN}:{os.environ['PATH']}"}
        given = self.variables if "env_file" in service.entry else {}
        home = {"HOME": str(self.folder), "PREFECT_HOME": str(self.folder / f"prefect-{service.name}")}
        merged = base | home | given | service.environment
        return {name: self.placed(service, value) for name, value in merged.items()}

    def start(self, service: Service, log: IO[str]) -> "subprocess.Popen[str]":
        """Start the service's command, or the image's."""
        command = [self.placed(service, word) for word in service.entry.get("command") or self.image.command]
        environment = self.environment(service)
        return lifeline.start(
            command,
            cwd=self.image.folder,
            env=environment,
            executable=_found(command[0], environment["PATH"]),
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def healthy(self, service: Service) -> bool:
        """Run the service's health check, or the image's."""
        command = (service.entry.get("healthcheck") or {}).get("test", ["CMD", *self.image.health_command])[1:]
        environment = self.environment(service)
        placed = [self.placed(service, word) for word in command]
        placed[0] = _found(placed[0], environment["PATH"])
        done = subprocess.run(
            placed, env=environment, cwd=self.image.folder, capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    @contextmanager
    def up(self, name: str) -> Iterator[Service]:
        """Run a service until the end of the block, from when it is healthy."""
        service, path = self.service(name), self.folder / f"{name}.log"
        with path.open("w") as log:
            process = self.start(service, log)
            try:
                until(lambda: process.poll() is not None or self.healthy(service), f"{name} becomes healthy")
                assert process.poll() is None, path.read_text()[-4000:]
                yield service
            finally:
                lifeline.end(process)  # as `docker stop` does: asked to end, and killed if that takes too long

    def run(self, name: str) -> str:
        """Run a service to its end and return what it said."""
        service, path = self.service(name), self.folder / f"{name}.log"
        with path.open("w") as log:
            code = self.start(service, log).wait(PATIENCE_SECONDS)
        assert code == 0, path.read_text()[-4000:]
        return path.read_text()


def _found(program: str, path: str) -> str:
    for folder in path.split(":"):
        if (Path(folder) / program).exists():
            return str(Path(folder) / program)
    raise AssertionError(f"the image has no program {program}")


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """Run the stand-ins of HubSpot and ZoomInfo, which are outside of the containers."""
    with running(contacts=CONTACTS, seed=7) as box:
        yield box


@pytest.fixture(scope="module")
def host(image: Image, box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Give a machine with a filled-in .env, whose database and Prefect server are healthy and set up."""
    filled = {
        "POSTGRES_PASSWORD": "p w:1/@",  # nothing of these may be read as a part of a URL or of SQL
        "PREFECT_DATABASE_PASSWORD": "p'w\"2?#",
        "WAREHOUSE_PASSWORD": "p%w;3&=",
        "ENRICHMENT_HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot-token",
        "ENRICHMENT_HUBSPOT_BASE_URL": box.hubspot_url,
        "ENRICHMENT_HUBSPOT_CLIENT_SECRET": "sandbox-client-secret",
        "ENRICHMENT_HUBSPOT_TARGET_URL": "https://hooks.example/hubspot/webhook",
        "ENRICHMENT_ZOOMINFO_CLIENT_ID": "sandbox-client",
        "ENRICHMENT_ZOOMINFO_CLIENT_SECRET": "sandbox-secret",
        "ENRICHMENT_ZOOMINFO_BASE_URL": box.zoominfo_url,
    }
    host = Host(image, env_file() | filled, tmp_path_factory.mktemp("host"), {"server": free_port(), "database": 0})
    service = host.service("database")
    script = next(volume for volume in service.entry["volumes"] if "initdb.d" in volume).partition(":")[0]
    with ExitStack() as stack:
        host.ports["database"] = stack.enter_context(database.serve(service.environment, ROOT / script))
        until(lambda: host.healthy(service), "the database becomes healthy")
        stack.enter_context(host.up("server"))
        before = sorted(path.name for path in image.folder.iterdir())
        assert "enrich-contacts/live" in host.run("setup")
        assert sorted(path.name for path in image.folder.iterdir()) == before  # the image is read-only
        yield host


def ask(host: Host, method: str, path: str, content: Any = None) -> Any:
    """Ask Prefect's server."""
    return ask_prefect(f"http://127.0.0.1:{host.ports['server']}/api", method, path, content)


def query(host: Host, statement: str) -> list[tuple[Any, ...]]:
    """Ask the warehouse as its owner."""
    connection = psycopg.connect(
        host="127.0.0.1",
        port=host.ports["database"],
        dbname="enrichment",
        user="enrichment",
        password=host.variables["WAREHOUSE_PASSWORD"],
    )
    with connection:
        return connection.execute(statement).fetchall()


def test_the_database_keeps_its_two_users_apart(host: Host) -> None:
    """Each role owns its database, opens it with its own password only, and can't enter the other's."""
    users = {"prefect": "PREFECT_DATABASE_PASSWORD", "enrichment": "WAREHOUSE_PASSWORD"}
    for user, variable in users.items():
        for name in users:
            reach = {"host": "127.0.0.1", "port": host.ports["database"], "user": user, "dbname": name}
            if name == user:
                psycopg.connect(**reach, password=host.variables[variable]).close()
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                    psycopg.connect(**reach, password=host.variables[variable])
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(**reach, password=host.variables["POSTGRES_PASSWORD"])


def test_prefect_keeps_its_own_tables_in_its_own_database(host: Host) -> None:
    """The server really runs on PostgreSQL, and the pipeline's schema is in the other database."""
    with psycopg.connect(
        host="127.0.0.1",
        port=host.ports["database"],
        dbname="prefect",
        user="prefect",
        password=host.variables["PREFECT_DATABASE_PASSWORD"],
    ) as connection:
        assert connection.execute("SELECT count(*) FROM deployment").fetchone()[0] >= 3
    assert query(host, "SELECT count(*) FROM enrichment_pipeline.enrichment_staging") == [(0,)]


def made_by_people(host: Host) -> dict[str, Any]:
    """Return what people may have changed in Prefect, without times of the last sign of life."""
    deployments = ask(host, "POST", "deployments/filter", {"sort": "NAME_ASC"})
    kept = ("id", "name", "paused", "parameters", "schedules", "concurrency_options", "global_concurrency_limit")
    pools = ask(host, "POST", "work_pools/filter", {})
    settings = ("name", "type", "is_paused", "concurrency_limit", "base_job_template")
    limits = ask(host, "POST", "v2/concurrency_limits/filter", {})
    return {
        "deployments": [{name: one[name] for name in kept} for one in deployments],
        "automations": ask(host, "POST", "automations/filter", {"sort": "NAME_ASC"}),
        "pools": [{name: one[name] for name in settings} for one in pools],
        "limits": sorted(
            (one["name"], one["limit"], one["active"])
            for one in limits
            if not one["name"].startswith("deployment:")  # a deployment's own, which is in `kept`
        ),
    }


def test_the_setup_may_be_repeated(host: Host) -> None:
    """
    `docker compose up` runs it again each time, and what people changed in Prefect stays as they left it.

    The intake's schedule is off, the deployment `live` and its automation are paused, the pool has a limit and an own
    template, a queue's limit has another number of slots, and a deleted deployment is back.
    """
    ids = {one["name"]: one for one in ask(host, "POST", "deployments/filter", {})}
    schedule = ids["intake"]["schedules"][0]["id"]
    template = ask(host, "POST", "work_pools/filter", {})[0]["base_job_template"]
    template["variables"]["properties"]["env"]["description"] = "our own"
    automation = ask(host, "POST", "automations/filter", {})[0]["id"]
    changes: dict[str, dict[str, Any]] = {
        f"deployments/{ids['intake']['id']}/schedules/{schedule}": {"active": False},
        f"deployments/{ids['live']['id']}": {"paused": True},
        f"automations/{automation}": {"enabled": False},
        "work_pools/enrichment": {"concurrency_limit": 2, "base_job_template": template},
        "v2/concurrency_limits/enrichment-live": {"limit": 7},
    }
    for path, change in changes.items():
        ask(host, "PATCH", path, change)
    before = made_by_people(host)
    ask(host, "DELETE", f"deployments/{ids['preview']['id']}")
    assert "preview-contacts/preview" in host.run("setup")
    after = made_by_people(host)
    assert [one["name"] for one in after["deployments"]] == [one["name"] for one in before["deployments"]]
    for one in (before, after):
        one["deployments"] = [each for each in one["deployments"] if each["name"] != "preview"]
    assert after == before
    changes = {
        f"deployments/{ids['live']['id']}": {"paused": False},
        "work_pools/enrichment": {"concurrency_limit": None},
        f"automations/{automation}": {"enabled": True},
    }
    for path, change in changes.items():  # the tests that follow run it
        ask(host, "PATCH", path, change)


def state(host: Host, run_id: str) -> str:
    """Return the kind of state that a run is in."""
    return str(ask(host, "GET", f"flow_runs/{run_id}")["state_type"])


def carries_a_run(host: Host, box: Box) -> None:
    """A run that the server starts ends with the contacts in CRM and warehouse."""
    deployment = ask(host, "POST", "deployments/filter", {"deployments": {"name": {"any_": ["live"]}}})[0]
    run = ask(host, "POST", f"deployments/{deployment['id']}/create_flow_run", {"idempotency_key": "one"})
    ended = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    until(lambda: state(host, run["id"]) in ended, "the run ends")
    assert state(host, run["id"]) == "COMPLETED"
    assert query(host, "SELECT count(DISTINCT crm_id) FROM enrichment_pipeline.record_ledger") == [(CONTACTS,)]
    assert box.world.hubspot.updates_by_contact


def takes_signed_webhooks_only(host: Host, _: Box) -> None:
    """It is ready to commit to the warehouse, and refuses what HubSpot didn't sign."""
    url = f"http://127.0.0.1:{host.ports['receiver']}"
    assert httpx.get(f"{url}/ready", timeout=60).status_code == 200
    assert httpx.post(f"{url}/hubspot/webhook", content=b"[]", timeout=60).status_code == 401


#: What services are there for, where that isn't tested elsewhere.
PURPOSES: dict[str, Callable[[Host, Box], None]] = {
    "worker": carries_a_run,
    "receiver": takes_signed_webhooks_only,
}


@pytest.fixture(scope="module")
def staged(host: Host, box: Box) -> None:
    """Put all contacts into the queue by the image's own command."""
    environment = host.environment(host.service("worker"))
    stage = [_found("enrich", environment["PATH"]), "stage", "--all", "--json"]
    done = subprocess.run(stage, cwd=host.image.folder, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"format_version": 1, "staged": CONTACTS}


@pytest.mark.usefixtures("staged")
@pytest.mark.parametrize("name", STAYING)
def test_every_service_says_when_it_is_well_and_does_its_work(host: Host, box: Box, name: str) -> None:
    """Its check passes while its command runs, and fails afterwards; a service is tested by being in the file."""
    with host.up(name) as service:
        assert service.ours
        if name in PURPOSES:
            PURPOSES[name](host, box)
    assert not host.healthy(service)
