"""PostgreSQL behind a real PgBouncer, which lends its few connections for one transaction at a time."""

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from blocks.warehouses.base import NewRecord, Warehouse, load_warehouse
from sandbox import lifeline
from sandbox.server import Box
from sandbox.warehouses.base import free_port
from tests.cases.chain import Chain

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
PATIENCE_SECONDS = 60
ROUNDS = 10

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer isn't installed")

CONFIGURATION = """
[databases]
* = host={host} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture(scope="module")
def pooled_dsn(postgres_dsn: str) -> Iterator[str]:
    """Give the way to PostgreSQL through the pooler."""
    direct = conninfo_to_dict(postgres_dsn)
    host, user, port = str(direct["host"]), str(direct["user"]), free_port()
    dsn = make_conninfo("", host="127.0.0.1", port=port, user=user, dbname=str(direct["dbname"]))
    # Not below pytest's own folder: the pooler may not run as root, and runs as the owner of the database.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(host=host, user=user, port=port), encoding="utf-8")
        pooler = lifeline.start([str(PGBOUNCER), "-q", str(file)], user=Path(host).stat().st_uid)
        try:
            await_answer(dsn, pooler)
            yield dsn
        finally:
            lifeline.end(pooler)


def await_answer(dsn: str, pooler: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert pooler.poll() is None, "the pooler ended"
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "the pooler doesn't answer"
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def pair(pooled_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Warehouse]]:
    """Give two set-up warehouses by their schemas, which share the pooler."""
    monkeypatch.setenv("ENRICHMENT_POSTGRES_DSN", pooled_dsn)
    with ExitStack() as opened:
        found = {}
        for schema in (f"left_{uuid.uuid4().hex[:8]}", f"right_{uuid.uuid4().hex[:8]}"):
            monkeypatch.setenv("ENRICHMENT_POSTGRES_PIPELINE_SCHEMA", schema)
            found[schema] = load_warehouse("postgres")
            opened.callback(found[schema].close)
        with ThreadPoolExecutor() as threads:
            assert all(threads.map(lambda one: one.migrate(), found.values()))
        yield found


def everything(dsn: str, schema: str, table: str) -> set[str]:
    """Return the contacts that a schema has in a table, without the pooler."""
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute(f"SELECT crm_id FROM {schema}.{table}")}


def test_records_of_two_schemas_stay_apart(pair: dict[str, Warehouse], postgres_dsn: str) -> None:
    """However setups, stagings and claims of both meet on the pooler's connections, each is done in its own schema."""

    def fill(schema: str) -> list[str]:
        warehouse, seen = pair[schema], []
        for number in range(ROUNDS):
            warehouse.stage([NewRecord("hubspot", f"{schema}-{number}", None, "manual", "live")])
            seen += [count.records for count in warehouse.count_queue()]
        return seen

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(fill, pair)) == [list(range(1, ROUNDS + 1))] * 2
    for schema in pair:
        assert everything(postgres_dsn, schema, "enrichment_staging") == {f"{schema}-{n}" for n in range(ROUNDS)}


def test_a_whole_chain_runs_behind_the_pooler(
    pair: dict[str, Warehouse], postgres_dsn: str, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked, looked up, stored, written and settled: each schema has its own contact's result, and no other's."""
    people = {}
    for schema, warehouse in pair.items():
        monkeypatch.setenv("ENRICHMENT_POSTGRES_PIPELINE_SCHEMA", schema)
        chain = Chain(box, warehouse, monkeypatch.setenv, "postgres")
        (people[schema],) = chain.world.hubspot.create([{"email": f"hit+{schema}@acme.example"}])
        people[schema] = str(people[schema])
        warehouse.stage([NewRecord("hubspot", people[schema], None, "manual", "live")])
        chain.run()
        assert chain.ends(people[schema]) == ["written"]
    for schema, crm_id in people.items():
        assert everything(postgres_dsn, schema, "enriched_contacts") == {crm_id}
        assert everything(postgres_dsn, schema, "record_ledger") == {crm_id}
