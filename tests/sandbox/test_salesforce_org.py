"""The stand-in of Salesforce: what its documentation promises, seen by a plain HTTP client."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.server import Box

DATA = "/services/data/v68.0/"
CLIENT = {"client_id": "sandbox-consumer", "client_secret": "sandbox-secret"}


@dataclass(frozen=True)
class Caller:
    """Calls Salesforce with a session."""

    http: httpx.Client
    url: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.http.request(method, self.url + DATA + path, headers=headers, **options)

    def query(self, soql: str, kind: str = "query/") -> Any:
        return self.call("GET", kind, params={"q": soql}).json()

    def update(self, *records: dict[str, Any]) -> httpx.Response:
        typed = [{"attributes": {"type": "Contact"}, **record} for record in records]
        return self.call("PATCH", "composite/sobjects", json={"allOrNone": False, "records": typed})


def sign_in(http: httpx.Client, box: Box, **form: str) -> httpx.Response:
    return http.post(f"{box.salesforce_url}/services/oauth2/token", data=form)


@pytest.fixture
def salesforce(box: Box, http: httpx.Client) -> Caller:
    """Give an authorised client of Salesforce."""
    answer = sign_in(http, box, grant_type="client_credentials", **CLIENT).json()
    return Caller(http, answer["instance_url"], answer["access_token"])


def ids(box: Box) -> list[str]:
    return list(box.world.salesforce.contacts)


def test_a_session_leads_to_the_org(box: Box, http: httpx.Client) -> None:
    """The answer says where the API is, and names no lifetime."""
    answer = sign_in(http, box, grant_type="client_credentials", **CLIENT).json()
    assert answer["instance_url"] == box.salesforce_url
    assert "expires_in" not in answer
    basic = http.post(
        f"{box.salesforce_url}/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=("sandbox-consumer", "sandbox-secret"),
    )
    assert basic.status_code == 200


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials", "client_id": "x"}, "invalid_client_id"),
        ({"grant_type": "client_credentials", **CLIENT, "client_secret": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token", **CLIENT, "refresh_token": "x"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "x"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
    ],
)
def test_token_errors_are_objects(box: Box, http: httpx.Client, form: dict[str, str], error: str) -> None:
    """All others are lists."""
    answer = sign_in(http, box, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_without_a_session_nothing_is_answered(box: Box, salesforce: Caller) -> None:
    """Also with one that has ended."""
    box.world.salesforce.sessions.end_all()
    answer = salesforce.call("GET", "limits/")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


def test_ids_have_their_check_characters(box: Box) -> None:
    """The last three repeat the case of the others, as in every org."""
    assert all(len(crm_id) == 18 and crm_id.startswith("003") for crm_id in ids(box))
    assert ids(box) == sorted(ids(box))


def test_every_answer_says_what_was_used(salesforce: Caller) -> None:
    """Other users of the org can see it coming."""
    first, second = (salesforce.call("GET", "limits/") for _ in range(2))
    assert (first.headers["Sforce-Limit-Info"], second.headers["Sforce-Limit-Info"]) == (
        "api-usage=1/100000",
        "api-usage=2/100000",
    )
    assert second.json()["DailyApiRequests"] == {"Max": 100_000, "Remaining": 99_998}


@pytest.mark.parametrize("kind", ["Total", "Concurrent"])
def test_both_limits_have_one_code(box: Box, salesforce: Caller, kind: str) -> None:
    """Only the message distinguishes them."""
    if kind == "Total":
        box.configure(salesforce={"daily_calls": 0})
    else:
        box.world.salesforce.be_busy(1)
    answer = salesforce.call("GET", "limits/")
    (error,) = answer.json()
    assert (answer.status_code, error["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert error["message"].startswith(f"{kind}Requests")


def test_a_query_goes_on_page_by_page(box: Box, salesforce: Caller) -> None:
    """The address of the next page is followed as it is."""
    box.configure(salesforce={"query_page": 50})
    page = salesforce.query("SELECT Id, Email FROM Contact ORDER BY Id")
    found = [row["Id"] for row in page["records"]]
    assert (page["totalSize"], page["done"]) == (120, False)
    while not page["done"]:
        page = salesforce.call("GET", page["nextRecordsUrl"].removeprefix(DATA)).json()
        found += [row["Id"] for row in page["records"]]
    assert found == ids(box)


def test_only_query_all_shows_the_deleted(box: Box, salesforce: Caller) -> None:
    """With into whom they were merged."""
    first, second = ids(box)[:2]
    box.world.salesforce.delete(first, into=second)
    soql = f"SELECT Id, MasterRecordId FROM Contact WHERE Id IN ('{first}', '{second}') AND MasterRecordId != null"
    assert salesforce.query(soql)["records"] == []
    (row,) = salesforce.query(soql, "queryAll/")["records"]
    assert (row["Id"], row["MasterRecordId"]) == (first, second)


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Id ! 'x'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT 1 1", "MALFORMED_QUERY"),
        ("SELECT Nothing__c FROM Contact", "INVALID_FIELD"),
    ],
)
def test_a_wrong_query_is_refused(salesforce: Caller, soql: str, code: str) -> None:
    """With a list of errors."""
    answer = salesforce.call("GET", "query/", params={"q": soql})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_records_come_in_the_order_of_the_ids(box: Box, salesforce: Caller) -> None:
    """Null stands for what isn't there."""
    first, second, gone = ids(box)[:3]
    box.world.salesforce.delete(gone)
    wanted = {"ids": [second, gone, "0035e00000zzzzzAAA", first], "fields": ["Email"]}
    found = salesforce.call("POST", "composite/sobjects/Contact", json=wanted).json()
    assert [record and record["Id"] for record in found] == [second, None, None, first]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ids": ["003"], "fields": ["Id"]}, "MALFORMED_ID"),
        ({"ids": [], "fields": ["Nothing__c"]}, "INVALID_FIELD"),
        ({"ids": ["0035e00000zzzzzAAA"] * 2001, "fields": ["Id"]}, "EXCEEDED_ID_LIMIT"),
        ([], "JSON_PARSER_ERROR"),
    ],
)
def test_a_wrong_collection_is_refused_as_a_whole(salesforce: Caller, body: Any, code: str) -> None:
    """One unknown field, one id that is none, or too many."""
    answer = salesforce.call("POST", "composite/sobjects/Contact", json=body)
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_updates_end_each_on_their_own(box: Box, salesforce: Caller) -> None:
    """The status is 200 whatever the entries say, and failed ones have no id."""
    first, second, gone, locked = ids(box)[:4]
    box.world.salesforce.delete(gone)
    box.world.salesforce.hold(locked, 1)
    answer = salesforce.update(
        {"id": first, "Title": "CTO"},
        {"id": second, "Title": "x" * 200},
        {"id": gone, "Title": "CTO"},
        {"id": locked, "Title": "CTO"},
        {"id": first, "Title": "CEO"},
        {"id": "0035e00000zzzzzAAA", "Title": "CTO"},
    )
    codes = [entry["errors"][0]["statusCode"] if entry["errors"] else "" for entry in answer.json()]
    assert answer.status_code == 200
    assert codes == [
        "",
        "STRING_TOO_LONG",
        "ENTITY_IS_DELETED",
        "UNABLE_TO_LOCK_ROW",
        "DUPLICATE_VALUE",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    assert ["id" in entry for entry in answer.json()] == [True, *[False] * 5]
    assert salesforce.update({"id": locked, "Title": "CTO"}).json()[0]["success"]
    assert box.world.salesforce.updates_by_contact == {first: 1, locked: 1}


def test_null_clears_a_field_and_a_required_one_is_kept(box: Box, salesforce: Caller) -> None:
    """As in every org."""
    crm_id = ids(box)[0]
    salesforce.update({"id": crm_id, "Title": "CTO"})
    salesforce.update({"id": crm_id, "Title": None})
    assert "Title" not in box.world.salesforce.contacts[crm_id]
    (entry,) = salesforce.update({"id": crm_id, "LastName": None}).json()
    assert entry["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"


def test_more_than_two_hundred_updates_are_refused(box: Box, salesforce: Caller) -> None:
    """Nothing of them is written."""
    answer = salesforce.update(*({"id": crm_id, "Title": "x"} for crm_id in (ids(box) * 2)[:201]))
    assert answer.status_code == 400
    assert box.world.salesforce.writes == []


def test_a_bulk_job_lists_what_became_of_its_rows(box: Box, salesforce: Caller) -> None:
    """An empty cell leaves a field, `#N/A` clears it, and JobComplete says nothing of the rows."""
    first, second, third = ids(box)[:3]
    for crm_id in (first, second, third):
        box.world.salesforce.edit(crm_id, {"Department": "Sales"})
    job = salesforce.call("POST", "jobs/ingest", json={"object": "Contact", "operation": "update"}).json()["id"]
    text = f"Id,Title,Department\n{first},CTO,\n{second},,#N/A\n{third},{'x' * 200},\n"
    assert salesforce.call("PUT", f"jobs/ingest/{job}/batches", content=text).status_code == 201
    assert salesforce.call("PUT", f"jobs/ingest/{job}/batches", content=text).status_code == 400
    salesforce.call("PATCH", f"jobs/ingest/{job}", json={"state": "UploadComplete"})
    states = [salesforce.call("GET", f"jobs/ingest/{job}").json()["state"] for _ in range(2)]
    assert states == ["InProgress", "JobComplete"]
    rows = {
        kind: list(csv.DictReader(io.StringIO(salesforce.call("GET", f"jobs/ingest/{job}/{kind}").text)))
        for kind in ("successfulResults", "failedResults", "unprocessedrecords")
    }
    assert [row["sf__Id"] for row in rows["successfulResults"]] == [first, second]
    assert rows["failedResults"][0]["sf__Error"].startswith("STRING_TOO_LONG:")
    assert rows["unprocessedrecords"] == []
    held = box.world.salesforce.contacts
    assert (held[first]["Department"], "Department" in held[second]) == ("Sales", False)


def test_its_contacts_are_those_of_the_population(box: Box) -> None:
    """The provider knows them, and companies are accounts."""
    emails = {contact["email"] for contact in box.world.population.contacts if contact.get("email")}
    held = box.world.salesforce.contacts.values()
    assert {contact["Email"] for contact in held if contact.get("Email")} == emails
    assert all(contact["LastName"] for contact in held)
    assert any(contact.get("AccountId", "").startswith("001") for contact in held)


def test_it_is_counted_in_the_ledger(box: Box, salesforce: Caller) -> None:
    """By status, with what was written."""
    salesforce.update({"id": ids(box)[0], "Title": "CTO"})
    assert box.world.summary()["salesforce"] == {
        "requests": {200: 2},
        "sessions": 1,
        "contacts": 120,
        "updates": 1,
        "contacts_updated": 1,
        "most_updates_of_one_contact": 1,
        "rejected": 0,
        "events": {"published": 1},
    }
