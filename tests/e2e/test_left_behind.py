"""What commands, runs and Prefect leave behind holds no secret and nothing of a person."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx

from sandbox.place import Place
from tests.e2e.conftest import new_world

CONTACTS = 60
#: Settings that hold a secret.
SECRET = re.compile(r"ENRICHMENT_\w+_(TOKEN|SECRET|PASSWORD|API_KEY|WEBHOOK_URL)$")
#: What is the user's own: the warehouse and the page that a person asked for may name whom they are about.
OWN = re.compile(r"warehouse\.db")


def canaries(place: Place) -> Iterator[str]:
    """Yield what must be nowhere: credentials, and the contacts' addresses and phone numbers."""
    yield from (value for name, value in place.environment.items() if SECRET.match(name) and len(value) > 8)
    for values in place.crm_contacts().values():
        yield from (value for name in ("email", "phone", "mobilephone") if len(value := values.get(name) or "") > 8)


def left_behind(folders: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Yield all files, such as logs, Prefect's database and its storage; what the stand-ins log is theirs."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not OWN.search(path.name) and path.name != "sandbox.log":
                yield path, path.read_bytes()


def test_secrets_and_people_stay_where_they_belong(shared_place: Place, place: Place) -> None:
    """A run with matches, misses, a provider that quotes an address in its error, a report and a review."""
    temporary = place.folder / "temporary"
    temporary.mkdir()
    place.environment["TMPDIR"] = str(temporary)  # what is left there, too
    warehouse = new_world(place, CONTACTS)
    planted = [*canaries(place)]
    quoting = {"kind": "status", "service": "zoominfo", "path_contains": "enrich", "status": 500, "times": 2}
    body = {"faults": [{**quoting, "body": f"can't read {planted[-1]}"}]}
    httpx.post(f"{place.sandbox_url}/control/faults", json=body["faults"][0], timeout=60).raise_for_status()
    place.result("run")
    place.result("report", "--out", str(place.folder / "report.html"))
    for command in ("review", "status", "failures", "unmatched", "audit"):
        place.result(command)
    warehouse.close()
    files = [*left_behind([shared_place.folder, place.folder])]
    names = {path.name for path, _ in files}
    assert {"prefect.db", "server.log", "run.log", "report.html"} <= names
    assert len(planted) > CONTACTS
    found = {(path.name, planted.index(one)) for path, text in files for one in planted if one.encode() in text}
    assert found == set()
