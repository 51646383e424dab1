"""The walk-through of docs/add-a-provider.md, followed to the letter."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.providers.base import Reply, Request
from blocks.providers.block import load_provider
from blocks.providers.http.interpret import read_reply
from blocks.providers.spec.model import load_spec, spec_names
from enrichment.records import Contact, Outcome
from tests.contract.test_providers import replay
from tests.integration.providers.stub import Response, Seen, Stub, running_stub

DOCUMENT = (Path(__file__).parents[2] / "docs" / "add-a-provider.md").read_text("utf-8")
SPEC, FOLLOW_UPS = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)

KNOWN = {
    "ada@analytical.example": {
        "id": 7,
        "position": "Analyst",
        "sure": 0.9,
        "employer": {"id": 12, "name": "Analytical Engines", "staff": "51+", "turnover": 5000},
    },
    "out@opted.example": {"optedOut": True},
    "bob@freelance.example": {"id": 8, "position": "Writer"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the document's YAML where the document says."""
    (tmp_path / "namebook.yaml").write_text(SPEC, "utf-8")
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def namebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """Serve what the document says of Namebook."""

    def answer(seen: Seen) -> Response:
        if seen.headers.get("x-namebook-key") != "key-1":
            return Response(401)
        if (seen.method, seen.path) == ("POST", "/v3/tools"):
            tools = [{"name": "Snowflake"}] if json.loads(seen.body) == {"firm": "12"} else []
            return Response(200, json.dumps({"tools": tools}))
        if (seen.method, seen.path) != ("POST", "/v3/lookup"):
            return Response(404)
        people = [KNOWN.get(person["mail"]) for person in json.loads(seen.body)["people"]]
        return Response(200, json.dumps({"people": people}))

    monkeypatch.setenv("ENRICHMENT_NAMEBOOK_API_KEY", "key-1")
    with running_stub() as stub:
        monkeypatch.setenv("ENRICHMENT_NAMEBOOK_BASE_URL", stub.url)
        stub.answer = answer
        yield stub


def test_the_file_of_the_walk_through_enriches_contacts(namebook: Stub) -> None:
    """A folder with the document's file and two variables: contacts are found, missed and left alone as it says."""
    provider = load_provider("namebook")
    emails = [*KNOWN, *(f"stranger{number}@x.example" for number in range(27))]
    wanted = {email: provider.choose_input(Contact("1", email)) or {} for email in emails}
    kept: list[Reply] = []
    requests = [Request(provider.request_key(one), one) for one in wanted.values()]
    replies = {one.key: one for one in provider.ask(requests, kept.extend)}
    found = [provider.read(replies[provider.request_key(one)].body) for one in wanted.values()]
    assert [one.outcome for one in found[:3]] == [Outcome.MATCHED, Outcome.SUPPRESSED, Outcome.PARTIAL]
    assert {one.outcome for one in found[3:]} == {Outcome.UNMATCHED}
    employer = {"company_name": "Analytical Engines", "employee_range": "51+", "annual_revenue": 5_000_000}
    assert (found[0].fields, found[0].confidence) == ({**employer, "title": "Analyst"}, 90.0)
    assert sum(one.credits for one in kept) == 2
    assert sorted(len(json.loads(seen.body)["people"]) for seen in namebook.seen) == [10, 20]


def test_the_follow_up_of_the_walk_through_fills_its_field(
    namebook: Stub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put where the document says and switched on, it asks about the employer and fills the tech stack."""
    (folder / "namebook.yaml").write_text(SPEC + FOLLOW_UPS, "utf-8")
    assert load_provider("namebook").follow_ups == ()
    (switch,) = re.findall(r"`ENRICHMENT_(NAMEBOOK_\w+)=true`", DOCUMENT)
    monkeypatch.setenv(f"ENRICHMENT_{switch}", "true")
    (further,) = load_provider("namebook").follow_ups
    about = further.choose_input(KNOWN["ada@analytical.example"])
    assert about == {"firm": "12"}
    assert further.choose_input(KNOWN["bob@freelance.example"]) is None
    asked = [Request(further.request_key(one), one) for one in (about, {"firm": "13"})]
    known, unknown = further.ask(asked, lambda _: None)
    assert (known.outcome, known.credits) == (Outcome.MATCHED, 1)
    assert further.read(known.body).fields == {"tech_stack": ["Snowflake"]}
    assert (unknown.outcome, unknown.reason, unknown.credits) == (Outcome.UNMATCHED, "no_tools", 0)
    assert {seen.path for seen in namebook.seen} == {"/v3/tools"}


def test_its_fixtures_hold() -> None:
    """The recorded answers of the document mean what they say."""
    spec = load_spec("namebook")
    assert "namebook" in spec_names()
    for fixture in spec.fixtures:
        replies = replay(spec, fixture)
        assert tuple(one.outcome for one in replies) == fixture.outcomes
        assert fixture.fields in (None, tuple(read_reply(spec, one.body).fields for one in replies))


def test_what_the_document_names_is_there() -> None:
    """Every file that it sends the reader to exists, and so does every outcome that it explains."""
    root = Path(__file__).parents[2]
    for name in re.findall(r"`(\w+\.yaml)`", DOCUMENT):
        assert name == "namebook.yaml" or (root / "blocks" / "providers" / "specs" / name).is_file()
    for path in re.findall(r"`(blocks/[\w/.]+)`", DOCUMENT):
        assert (root / path).exists()
    table = DOCUMENT.partition("## What the words of `outcome` do")[2].partition("\n## ")[0]
    explained = set(re.findall(r"`(\w+)`", "\n".join(row.split("|")[1] for row in table.splitlines() if "|" in row)))
    assert explained - {"outcome"} == {str(outcome) for outcome in Outcome}
