"""The pipeline with just the rights that docs/permissions.md grants, on a real PostgreSQL, once in Redshift's place."""

import json
import re
import runpy
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from blocks.base import module_names
from blocks.warehouses.base import NewRecord, RunStart, Warehouse, load_warehouse
from enrichment.errors import ConfigurationError
from enrichment.intake import EveryContact, FailedContacts
from enrichment.records import Disposition, Finished, Origin
from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from sandbox.settings import HubSpotSettings
from tasks.books import RunReport
from tasks.contact import erase_contact, read_story
from tasks.doctor import examine
from tasks.review import mark_reviewed, read_review
from tasks.setup import check_ready, set_up
from tests.integration.conftest import Pipeline

HUBSPOT = Origin("hubspot")

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "permissions.md").read_text(encoding="utf-8")
SCHEMA = "enrichment_pipeline"
SETUP, RUN = "enrichment_setup", "enrichment_run"


def block(heading: str, language: str) -> str:
    """Return the code block of a section."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return str(code)


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    return report


@pytest.fixture
def connection_string(postgres_dsn: str) -> Iterator[Callable[[str], str]]:
    """Give a database with just the roles and grants of the document, and a way to connect to it by role."""
    database = f"permissions_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_dsn, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        try:
            with psycopg.connect(make_conninfo(postgres_dsn, dbname=database), autocommit=True) as inside:
                inside.execute("CREATE SCHEMA elsewhere CREATE TABLE payroll (person TEXT)")
                inside.execute(block("PostgreSQL", "sql").encode())
            yield lambda role: make_conninfo(postgres_dsn, dbname=database, user=role, password="change-me")
        finally:
            owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))
            for role in (SETUP, RUN, "analysts"):
                owner.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


@pytest.fixture
def restricted(pipeline: Pipeline, connection_string: Callable[[str], str]) -> Pipeline:
    """Give a pipeline that the setup role has set up and that the run role runs."""
    pipeline.setenv("ENRICHMENT_POSTGRES_PIPELINE_SCHEMA", SCHEMA)
    pipeline.setenv("ENRICHMENT_POSTGRES_DSN", connection_string(SETUP))
    pipeline.new_world(120)
    set_up(save=False, runs=4)
    pipeline.setenv("ENRICHMENT_POSTGRES_DSN", connection_string(RUN))
    return pipeline


@pytest.mark.parametrize("pipeline", ["postgres"], indirect=True)
def test_the_run_role_is_enough_for_everything_but_setup(restricted: Pipeline) -> None:
    """Intake, a run with dead letters, their replay, a story, a review, an erasure and the doctor need no more."""
    check_ready()
    assert ingest_contacts(EveryContact()) == 120
    world = restricted.box.world
    refusal = json.dumps({"status": "error", "category": "VALIDATION_ERROR", "message": "not valid"})
    answer = {"status": 400, "body": refusal, "content_type": "application/json", "times": 0}
    world.faults.add(kind="status", service="hubspot", path_contains="batch/update", **answer)
    failed = run()
    assert failed.books.balanced
    assert failed.books.count(Disposition.FAILED) > 0
    world.faults.clear()
    assert ingest_contacts(FailedContacts()) == failed.books.count(Disposition.FAILED)
    assert run().books.count(Disposition.WRITTEN) == failed.books.count(Disposition.FAILED)
    assert read_story(next(iter(world.hubspot.contacts)), "")
    warehouse = load_warehouse("postgres")
    try:
        warehouse.suppress(["0" * 64], "test")
        assert warehouse.read_suppressed(["0" * 64]) == {"0" * 64}
    finally:
        warehouse.close()
    review = read_review("postgres", 7)
    assert mark_reviewed("postgres", review) == sum(group.records for group in review.unmatched) > 0
    crm_id = next(iter(world.hubspot.updates_by_contact))
    assert erase_contact("postgres", "hubspot", crm_id).rows["enriched_contacts"] == 1
    assert next(finding for finding in examine() if finding.system.startswith("warehouse")).well


@pytest.mark.parametrize("pipeline", ["postgres"], indirect=True)
def test_the_run_role_changes_no_table_and_sees_no_other_schema(
    restricted: Pipeline, connection_string: Callable[[str], str]
) -> None:
    """Rows of the pipeline's tables are all that it may touch; and each of them it may."""
    forbidden = [
        "SELECT * FROM elsewhere.payroll",
        "INSERT INTO elsewhere.payroll VALUES ('x')",
        f"CREATE TABLE {SCHEMA}.mine (x TEXT)",
        f"ALTER TABLE {SCHEMA}.enrichment_staging ADD COLUMN x TEXT",
        f"DROP TABLE {SCHEMA}.record_ledger",
        f"TRUNCATE {SCHEMA}.record_ledger",
        "CREATE SCHEMA mine",
    ]
    with psycopg.connect(connection_string(RUN), autocommit=True) as run:
        for statement in forbidden:
            with pytest.raises(errors.InsufficientPrivilege):
                run.execute(statement.encode())
        rows = run.execute(
            "SELECT table_name, array_agg(privilege_type::text ORDER BY privilege_type)"
            " FROM information_schema.role_table_grants WHERE table_schema = %s AND grantee = %s GROUP BY table_name",
            (SCHEMA, RUN),
        ).fetchall()
    rights: dict[str, list[str]] = dict(rows)
    assert {"enrichment_staging", "record_ledger", "schema_migrations"} <= rights.keys()
    assert all(right == ["DELETE", "INSERT", "SELECT", "UPDATE"] for right in rights.values())


@pytest.mark.parametrize("pipeline", ["postgres"], indirect=True)
def test_analysts_read_every_view_and_no_table(
    restricted: Pipeline, connection_string: Callable[[str], str], postgres_dsn: str
) -> None:
    """The document's grants name each view; saved replies and addresses stay closed."""
    described = runpy.run_path(str(DOCS.parent / "scripts" / "docs_tables.py"))
    views, tables = ([one.name for one in described[kind]()] for kind in ("views", "tables"))
    grants = re.findall(r"```sql\n(.*?)```", DOCUMENT.split("\n## Analysts\n")[1], re.DOTALL)[0]
    with psycopg.connect(connection_string(SETUP)) as named:
        database = named.info.dbname
    with psycopg.connect(make_conninfo(postgres_dsn, dbname=database), autocommit=True) as analyst:
        analyst.execute(grants.encode())
        analyst.execute("SET ROLE analysts")
        for view in views:
            analyst.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, view)))
        for table in tables:
            with pytest.raises(errors.InsufficientPrivilege):
                analyst.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, table)))


@pytest.mark.parametrize("pipeline", ["postgres"], indirect=True)
def test_setup_can_be_repeated_by_its_own_role_only(
    restricted: Pipeline, connection_string: Callable[[str], str]
) -> None:
    """The setup role finds nothing to do; the run role is refused, in our own words."""
    assert migrate(restricted, connection_string(SETUP)) == []
    with pytest.raises(ConfigurationError, match="PostgreSQL refuses access"):
        migrate(restricted, connection_string(RUN))


def migrate(pipeline: Pipeline, dsn: str) -> list[str]:
    pipeline.setenv("ENRICHMENT_POSTGRES_DSN", dsn)
    warehouse = load_warehouse("postgres")
    try:
        return warehouse.migrate()
    finally:
        warehouse.close()


@pytest.fixture
def redshift_user(make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give a user of the stand-in with just the grants of the document, and settings that name it."""
    owner = make_warehouse("redshift")
    statements = block("Redshift", "sql").replace("DATABASE crm", "DATABASE redshift").split(";\n")
    undo = [f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE", "DROP OWNED BY enrichment", "DROP USER enrichment"]
    run_all(owner, [statement for statement in statements if statement.strip()])
    monkeypatch.setenv("ENRICHMENT_REDSHIFT_USER", "enrichment")
    monkeypatch.setenv("ENRICHMENT_REDSHIFT_PIPELINE_SCHEMA", SCHEMA)
    yield
    run_all(owner, undo)


def run_all(warehouse: Warehouse, statements: list[str]) -> None:
    with warehouse._transaction() as session:
        for statement in statements:
            session._connection.execute(statement)


def test_the_grants_for_redshift_are_enough_for_setup_and_runs(redshift_user: None) -> None:
    """The document's block, taken by PostgreSQL in Redshift's place: setup and a whole claim work."""
    warehouse = load_warehouse("redshift")
    try:
        assert warehouse.migrate() == list(warehouse.sql.migrations)
        assert warehouse.stage([NewRecord("hubspot", "1", "a@b.example", "manual", "live")]) == 1
        warehouse.open_run(RunStart("run", "a run", "zoominfo", "hubspot", ""), lease_seconds=60)
        options = {
            "origin": HUBSPOT,
            "lane": "",
            "limit": 5,
            "lease_seconds": 60,
            "make_token": lambda: "token",
        }
        claim = warehouse.claim("run", **options)
        settled = warehouse.settle(claim, HUBSPOT, [Finished(claim.records[0].record_id, Disposition.UNMATCHED)], [])
        assert dict(settled.dispositions) == {"unmatched": 1}
        with pytest.raises(ConfigurationError, match="Redshift refuses access"):
            run_all(warehouse, ["CREATE SCHEMA mine"])
    finally:
        warehouse.close()


def test_every_warehouse_has_its_grants() -> None:
    """Each module under blocks/warehouses has a section of its own, and no other page repeats it."""
    sections = {heading.lower() for heading in re.findall(r"^## (\w+)$", DOCUMENT, re.MULTILINE)}
    names = {"postgres": "postgresql"}
    assert {names.get(vendor, vendor) for vendor in module_names("blocks.warehouses")} <= sections
    others = [path for path in DOCS.glob("*.md") if path.name != "permissions.md"]
    assert [path.name for path in others if re.search(r"^GRANT ", path.read_text(), re.MULTILINE)] == []


def test_the_policy_for_aws_allows_one_action_on_one_secret() -> None:
    """The policy is JSON, and names no wildcard but the suffix that AWS itself appends."""
    (statement,) = json.loads(block("AWS Secrets Manager", "json"))["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "secretsmanager:GetSecretValue")
    assert re.fullmatch(r"arn:aws:secretsmanager:[a-z0-9-]+:\d{12}:secret:[\w/-]+-\?{6}", statement["Resource"])


def test_the_policy_for_google_gives_one_role_to_one_account() -> None:
    """The policy is JSON, and gives no user but a service account more than reading the value."""
    (binding,) = json.loads(block("Google Secret Manager", "json"))["bindings"]
    (member,) = binding["members"]
    assert binding["role"] == "roles/secretmanager.secretAccessor"
    assert member.startswith("serviceAccount:")


def test_the_scopes_for_hubspot_are_those_that_the_sandbox_demands() -> None:
    """The document names exactly the scopes with which every test of the CRM runs."""
    section = DOCUMENT.split("\n## HubSpot\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(crm\.[\w.]+)`", section, re.MULTILINE)) == set(HubSpotSettings().scopes)
