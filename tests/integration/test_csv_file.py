"""A CSV file enriched by the command line: real flows, a real warehouse, and the sandbox's provider."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

import cli
from blocks.crms.base import Update
from blocks.crms.file.adapter import FileCrm
from blocks.crms.file.block import File
from enrichment.errors import TransientError
from enrichment.write_policy import Change
from tests.integration.conftest import Pipeline

pytestmark = pytest.mark.usefixtures("without_server")

OURS = ["company_name", "employee_count", "linkedin_url", "provider", "enriched_at"]
SET_BY_THE_COMMAND = ("CRM", "FRESH_DAYS", *(f"FILE_{name}" for name in ("PATH", "OUTPUT", "IN_PLACE", "OVERWRITE")))


@pytest.fixture
def folder(pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder, beside a pipeline that has no CRM."""
    pipeline.new_world(1)
    monkeypatch.delenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN")
    monkeypatch.delenv("ENRICHMENT_NOTIFIERS")
    for name in [*SET_BY_THE_COMMAND, "FILE_ID_COLUMN", "FILE_EMAIL_COLUMN"]:
        monkeypatch.setenv(f"ENRICHMENT_{name}", "")  # so that what the command sets ends with the test
    return tmp_path


def enrich(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["file", *map(str, arguments)])


def undo(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["undo", *map(str, arguments)])


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))
    return path


def read(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def people(count: int) -> list[str]:
    return [f"{number},hit+p{number}@acme{number}.example" for number in range(1, count + 1)]


def lookups(pipeline: Pipeline) -> int:
    return sum(pipeline.box.world.zoominfo.lookups.values())


def test_a_file_keeps_its_rows_and_gains_columns(pipeline: Pipeline, folder: Path) -> None:
    """Every row, cell, delimiter, line end and mark stays as it was; ours stand behind, and blanks are filled."""
    rows = [
        ";industry;E-Mail;Notes;",
        "1;Baking;hit+ada.byron@acme.example;says hi;",
        '2;;hit+grace.hopper@navy.example;"two\r\nlines; and ""quotes""";x',
        "",
        "3;;miss+nobody@nowhere.example;Ünïcode;",
    ]
    source = write(folder / "list.csv", *rows, encoding="utf-8-sig")
    before = source.read_bytes()
    done = enrich(source, "--out", folder / "out.csv", "--json")
    assert done.exit_code == 0, done.output
    assert source.read_bytes() == before
    made = (folder / "out.csv").read_bytes()
    assert made.startswith(b"\xef\xbb\xbf;industry;E-Mail;Notes;;company_name;employee_count;tech_stack;")
    assert made.count(b"\r\n\r\n") == 1
    first, second, third = read(folder / "out.csv", ";")
    assert (first["Notes"], second["Notes"], third["Notes"]) == ("says hi", 'two\r\nlines; and "quotes"', "Ünïcode")
    assert first["industry"] == "Baking"
    assert second["industry"] not in {"", "Baking"}
    assert all(first[column] and second[column] for column in OURS)
    assert not any(third[column] for column in OURS)
    assert not list(folder.glob(".*"))


def test_to_repeat_costs_nothing_and_changes_nothing(pipeline: Pipeline, folder: Path) -> None:
    """The same command again, and the same list into another file, take every reply from the journal."""
    source = write(folder / "list.csv", "crm_id,email", *people(30))
    assert enrich(source, "--out", folder / "out.csv").exit_code == 0
    made, asked = (folder / "out.csv").read_bytes(), lookups(pipeline)
    assert enrich(source, "--out", folder / "out.csv").exit_code == 0
    assert (folder / "out.csv").read_bytes() == made
    assert enrich(source, "--out", folder / "other.csv").exit_code == 0
    assert (folder / "other.csv").read_bytes() == made
    assert lookups(pipeline) == asked


def test_only_what_is_asked_for_is_overwritten(pipeline: Pipeline, folder: Path) -> None:
    """A value that the list has is kept by default and replaced by `--overwrite`; the input is changed in place."""
    source = write(folder / "list.csv", "email,industry", "hit+ada.byron@acme.example,Baking")
    assert enrich(source, "--in-place").exit_code == 0
    assert read(source)[0]["industry"] == "Baking"
    assert read(source)[0]["company_name"]
    assert enrich(source, "--in-place", "--overwrite").exit_code == 0
    assert read(source)[0]["industry"] != "Baking"


def test_rows_with_the_same_number_in_two_files_are_two_contacts(pipeline: Pipeline, folder: Path) -> None:
    """What one list left in the queue never ends up in another list."""
    one = write(folder / "one.csv", "email", "hit+ada.byron@acme.example", "hit+b@acme.example")
    two = write(folder / "two.csv", "email", "hit+grace.hopper@navy.example", "hit+c@navy.example")
    assert enrich(one, "--out", folder / "one-out.csv", "--limit", 1).exit_code == 0
    assert enrich(two, "--out", folder / "two-out.csv").exit_code == 0
    assert enrich(one, "--out", folder / "one-out.csv").exit_code == 0
    names = [row["company_name"] for name in ("one", "two") for row in read(folder / f"{name}-out.csv")]
    assert all(names)
    assert names[0] != names[2]


def test_a_run_that_stops_is_finished_by_the_next(pipeline: Pipeline, folder: Path) -> None:
    """What was paid for before the credits ended is in the output, and the next run adds the rest."""
    source = write(folder / "list.csv", "crm_id,email", *people(40))
    pipeline.box.configure(zoominfo={"credits_left": 10})
    stopped = enrich(source, "--out", folder / "out.csv")
    assert stopped.exit_code == 1
    assert "the remaining contacts wait in the queue" in " ".join(stopped.output.split())
    assert sum(bool(row["company_name"]) for row in read(folder / "out.csv")) == 10
    pipeline.box.configure(zoominfo={"credits_left": 1000})
    assert enrich(source, "--out", folder / "out.csv").exit_code == 0
    assert all(row["company_name"] for row in read(folder / "out.csv"))
    assert max(pipeline.box.world.zoominfo.billed.values()) == 1


def test_several_chunks_at_once_lose_nothing(pipeline: Pipeline, folder: Path) -> None:
    """Chunks that write at the same time all find their rows in the output, in the input's order."""
    pipeline.setenv("ENRICHMENT_CHUNK_SIZE", "10")
    source = write(folder / "list.csv", "crm_id,email", *people(120))
    done = enrich(source, "--out", folder / "out.csv", "--json")
    assert done.exit_code == 0, done.output
    rows = read(folder / "out.csv")
    assert [row["crm_id"] for row in rows] == [str(number) for number in range(1, 121)]
    assert all(row["provider"] == "zoominfo" for row in rows)


def test_columns_can_be_chosen(pipeline: Pipeline, folder: Path) -> None:
    """A list with names of its own is read by the names that are given."""
    source = write(folder / "list.csv", "Nr|Kontakt", "a7|hit+ada.byron@acme.example")
    done = enrich(source, "--out", folder / "out.csv", "--column", "crm_id=Nr", "--column", "email=Kontakt")
    assert done.exit_code == 0, done.output
    assert read(folder / "out.csv", "|")[0]["company_name"]


@pytest.mark.parametrize(
    ("lines", "arguments", "said"),
    [
        (["email", "a@b.example"], ["--column", "email=Mail"], "no column 'Mail'"),
        (["email", "a@b.example"], ["--column", "phone=email"], "'phone' is not a valid identifier"),
        (["email", "a@b.example"], ["--column", "email"], "'email' is not a valid column choice"),
        (["Notes", "x"], [], "no column that a lookup can use"),
        (["crm_id,email", "1,a@b.example", "1,c@d.example"], [], "has '1' a second time"),
        (["crm_id,email", ",a@b.example"], [], "the cell is empty"),
        (["email,email", "a@b.example,c@d.example"], [], "twice"),
        (["email,industry,industry", "a@b.example,,"], [], "twice"),
        (["email", "a@b.example,x,y"], [], "3 cells, but 1 columns"),
        (["email,Notes", 'a@b.example,"never closed'], [], "line 2, column 'Notes': a quotation mark"),
        (["email,Notes", "a@b.example"], [], "line 2: 1 cells, but 2 columns"),
        ([], [], "is empty"),
        (None, [], "can't be read"),
    ],
)
def test_a_wrong_list_is_refused_and_nothing_is_made(
    pipeline: Pipeline, folder: Path, lines: Sequence[str] | None, arguments: list[str], said: str
) -> None:
    """The message says what is wrong and the exit code is 2; there is no output, and nothing was bought."""
    source = folder / "list.csv"
    if lines is not None:
        source.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    done = enrich(source, "--out", folder / "out.csv", *arguments)
    assert (done.exit_code, said in " ".join(done.output.split())) == (2, True), done.output
    assert not (folder / "out.csv").exists()
    assert lookups(pipeline) == 0


def test_a_file_that_is_there_is_not_replaced_unasked(pipeline: Pipeline, folder: Path) -> None:
    """Neither the input nor a stranger is written over; `--force` starts again."""
    source = write(folder / "list.csv", "email", "hit+ada.byron@acme.example")
    stranger = write(folder / "out.csv", "email", "precious@data.example")
    for arguments in (["--out", stranger], ["--out", source], [], ["--out", stranger, "--in-place"]):
        assert enrich(source, *arguments).exit_code == 2
    assert read(stranger) == [{"email": "precious@data.example"}]
    assert source.read_text() == "email\nhit+ada.byron@acme.example\n"
    assert enrich(source, "--out", stranger, "--force").exit_code == 0
    assert read(stranger)[0]["company_name"]


@pytest.fixture
def crm(tmp_path: Path) -> FileCrm:
    """Give a file's adapter, with an output that was begun."""
    source = write(tmp_path / "list.csv", "crm_id,email", *people(3))
    crm = File(path=source, output=tmp_path / "out.csv").get_crm()
    crm.begin()
    return crm


def test_a_write_that_fails_leaves_nothing_behind(crm: FileCrm, tmp_path: Path) -> None:
    """If the place takes no file, it stays as it was, and what was found is kept for the next run."""
    crm.write([Update("2", "t", (Change("provider", None, "x"),))])
    (tmp_path / "out.csv" / "inside").mkdir(parents=True)
    with pytest.raises(TransientError, match="can't be written"):
        crm.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.csv.enriching", "list.csv", "out.csv"]
    (tmp_path / "out.csv" / "inside").rmdir()
    (tmp_path / "out.csv").rmdir()
    crm.finish()
    assert [row["provider"] for row in read(tmp_path / "out.csv")] == ["", "x", ""]
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_writer_left_is_cleared(crm: FileCrm, tmp_path: Path) -> None:
    """Half a file beside the output is removed by the next run, and what was found before is there."""
    left = tmp_path / ".out.csv.0123.part"
    left.write_text("crm_id,em")
    crm.write([Update("2", "t", (Change("provider", None, "x"),))])
    again = File(path=tmp_path / "list.csv", output=tmp_path / "out.csv").get_crm()
    again.begin()
    assert not left.exists()
    again.finish()
    assert [row["provider"] for row in read(tmp_path / "out.csv")] == ["", "x", ""]


@pytest.mark.parametrize("in_place", [False, True])
def test_what_was_written_into_a_file_can_be_undone(folder: Path, in_place: bool) -> None:
    """The file has its old cells again, numbers included, and the next enrichment leaves them alone."""
    given = write(folder / "in.csv", "email,employee_count,company_name", "hit+a@firm.example,,Mine")
    place = ["--in-place"] if in_place else ["--out", folder / "out.csv"]
    output = given if in_place else folder / "out.csv"
    assert enrich(given, *place).exit_code == 0
    assert read(output)[0]["employee_count"]
    where = ["--csv", given, *([] if in_place else place)]
    shown = undo("--field", "employee_count", *where)
    assert "1 values of 1 contacts would be restored" in shown.stdout, shown.stderr
    assert read(output)[0]["employee_count"]
    assert undo("--contact", 1, *where, "--yes").exit_code == 0
    emptied = read(output)[0]
    assert [name for name, cell in emptied.items() if cell] == ["email", "company_name"]
    assert enrich(given, *place).exit_code == 0
    assert read(output)[0] == emptied
