"""ZoomInfo GTM: tokens, the envelope, matches and their fields, errors."""

import base64

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import MEDIA_TYPE, ZoomInfoCaller

ALL_FIELDS = (
    *("id", "firstName", "lastName", "email", "jobTitle", "contactAccuracyScore", "externalUrls"),
    *("city", "country", "companyId", "companyName", "companyWebsite", "companyEmployeeCount"),
    *("companyPrimaryIndustry", "companyRevenueNumeric"),
)


def _token(http: httpx.Client, box: Box, secret: str = "sandbox-secret", **form: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", **form}
    return http.post(f"{box.zoominfo_url}/oauth/v1/token", data=form, auth=("sandbox-client", secret))


def _codes(answer: httpx.Response) -> list[str]:
    body = answer.json()
    return [body["error"]["code"]] if "error" in body else [each["code"] for each in body["errors"]]


def test_token_is_issued_for_basic_credentials(box: Box, http: httpx.Client) -> None:
    """The right client gets a token whose lifetime is as set."""
    box.configure(zoominfo={"token_lifetime_seconds": 900})
    body = _token(http, box).json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert box.world.zoominfo.tokens_issued == 1


def test_token_credentials_in_the_body_count_only_alone(box: Box, http: httpx.Client) -> None:
    """The pair in the body is taken without the header, and ignored beside it."""
    pair = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
    url = f"{box.zoominfo_url}/oauth/v1/token"
    assert http.post(url, data={"grant_type": "client_credentials", **pair}).status_code == 200
    assert _token(http, box, secret="wrong", **pair).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"scope": "api:data:contact api:data:nothing"}, "invalid_scope"),
    ],
)
def test_token_is_refused(box: Box, http: httpx.Client, form: dict[str, str], error: str) -> None:
    """Another grant fails, and so does a scope that the app lacks."""
    answer = _token(http, box, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_token_with_garbage_credentials(box: Box, http: httpx.Client) -> None:
    """A header that isn't Basic credentials is a wrong client."""
    for header in ("Basic ///", "Basic " + base64.b64encode(b"\xff").decode(), ""):
        answer = http.post(f"{box.zoominfo_url}/oauth/v1/token", headers={"Authorization": header})
        assert answer.status_code == 401


def test_expired_and_revoked_tokens(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A token ends with its lifetime, or when it is revoked, with the gateway's error."""
    assert zoominfo.enrich("hit+a@b.example").status_code == 200
    box.world.clock.advance(3601)
    answer = zoominfo.enrich("hit+a@b.example")
    assert (answer.status_code, _codes(answer)) == (401, ["ZI0001"])
    box.reset(contacts=0)
    box.world.zoominfo.tokens.revoke_all()
    assert zoominfo.enrich("hit+a@b.example").status_code == 401


def test_missing_scope(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A call whose scope the app lacks is forbidden."""
    box.configure(zoominfo={"scopes": ["api:data:company"]})
    answer = zoominfo.enrich("hit+a@b.example")
    assert (answer.status_code, _codes(answer)) == (403, ["ZI0002"])


@pytest.mark.parametrize(("method", "path"), [("GET", "/data/v1/contacts/enrich"), ("POST", "/data/v1/nothing")])
def test_unknown_path_or_verb(zoominfo: ZoomInfoCaller, method: str, path: str) -> None:
    """A wrong verb is the same 404 as a wrong path."""
    answer = zoominfo.http.request(method, zoominfo.url + path, headers=zoominfo.headers())
    assert (answer.status_code, _codes(answer)) == (404, ["ZI9998"])
    assert answer.headers["x-request-id"] == answer.json()["error"]["requestId"]


@pytest.mark.parametrize("header", ["Content-Type", "Accept"])
def test_wrong_media_type(zoominfo: ZoomInfoCaller, header: str) -> None:
    """Plain JSON is not acceptable, neither sent nor asked for."""
    answer = zoominfo.post("/data/v1/contacts/enrich", "ContactEnrich", {}, **{header: "application/json"})
    assert answer.status_code == 406


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PFAPI0002"),
        (b'{"data": []}', "PFAPI0002"),
        (b'{"data": {"type": "Contact", "attributes": {}}}', "PFAPI0003"),
        (b'{"data": {"type": "ContactEnrich", "attributes": []}}', "PFAPI0002"),
    ],
)
def test_malformed_envelope(zoominfo: ZoomInfoCaller, body: bytes, code: str) -> None:
    """What isn't the envelope of the call fails with the platform's error."""
    url = f"{zoominfo.url}/data/v1/contacts/enrich"
    answer = zoominfo.http.post(url, content=body, headers=zoominfo.headers())
    assert (answer.status_code, _codes(answer)) == (400, [code])
    assert answer.json()["errors"][0]["source"]["pointer"].startswith("/data")


@pytest.mark.parametrize("count", [0, 26])
def test_number_of_inputs(zoominfo: ZoomInfoCaller, count: int) -> None:
    """A call takes 1 to 25 inputs."""
    assert zoominfo.enrich(*["hit+a@b.example"] * 25).status_code == 200
    answer = zoominfo.enrich(*["hit+a@b.example"] * count)
    assert (answer.status_code, _codes(answer)) == (400, ["PFAPI0004"])


@pytest.mark.parametrize("lookup", [{"personId": "12"}, {"email": "a@b.example"}, {"companyId": True}])
def test_input_keys_and_types(zoominfo: ZoomInfoCaller, lookup: dict[str, object]) -> None:
    """An unknown key and a value of the wrong type fail the whole call."""
    assert _codes(zoominfo.enrich("hit+a@b.example", lookup)) == ["PFAPI0006"]


def test_output_fields_are_required_and_known(zoominfo: ZoomInfoCaller) -> None:
    """Output fields must be given, and an unknown one is named."""
    assert _codes(zoominfo.enrich("hit+a@b.example", fields=())) == ["PFAPI0005"]
    answer = zoominfo.enrich("hit+a@b.example", fields=("id", "shoeSize"))
    assert _codes(answer) == ["PFAPI0009"]
    assert "'shoeSize'" in answer.json()["detail"]


def test_disallowed_output_field_fails_the_batch(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A field that the account lacks fails the whole batch, is quoted, and costs nothing."""
    box.configure(zoominfo={"disallowed_fields": ["companyName"]})
    answer = zoominfo.enrich("hit+a@b.example", fields=("id", "companyName"))
    assert (answer.status_code, _codes(answer)) == (400, ["PFAPI0001"])
    assert "'companyName'" in answer.json()["errors"][0]["detail"]
    assert box.world.zoominfo.credits_used == 0


def test_full_match_has_the_documented_types(zoominfo: ZoomInfoCaller) -> None:
    """A match has its id as a text on the item, and company fields nested without their prefix."""
    (row,) = zoominfo.enrich("hit+jane.doe@acme-widgets.example", fields=ALL_FIELDS).json()["data"]
    attributes, company = row["attributes"], row["attributes"]["company"]
    assert (row["type"], row["id"].isdigit()) == ("Contact", True)
    assert "id" not in attributes
    assert (attributes["firstName"], attributes["lastName"]) == ("Jane", "Doe")
    assert 75 <= int(attributes["contactAccuracyScore"]) <= 99
    assert isinstance(attributes["contactAccuracyScore"], str)
    assert "linkedin.com" in attributes["externalUrls"][0]["url"]
    assert (company["name"], company["website"]) == ("Acme Widgets", "www.acme-widgets.example")
    assert {name: type(value) for name, value in company.items()} == {
        "id": int,
        "name": str,
        "website": str,
        "employeeCount": int,
        "primaryIndustry": list,
        "revenueNumeric": int,
    }


def test_employee_ranges(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A range of employees goes with their number."""
    box.configure(zoominfo={"per_second": 1000})
    emails = [f"hit+a@{company.domain}" for company in box.world.population.companies[:100]]
    fields = ("companyEmployeeCount", "companyEmployeeRange")
    for start in range(0, 100, 25):
        for row in zoominfo.enrich(*emails[start : start + 25], fields=fields).json()["data"]:
            company = row["attributes"]["company"]
            low, _, high = company["employeeRange"].replace(",", "").partition(" - ")
            if high:
                assert int(low) <= company["employeeCount"] < int(high)
            else:
                assert (low, company["employeeCount"] >= 10_000) == ("Over 10000", True)


def test_only_requested_fields_are_returned(zoominfo: ZoomInfoCaller) -> None:
    """Nothing is returned but what was asked for."""
    (row,) = zoominfo.enrich("hit+a@b.example", fields=("email", "companyName")).json()["data"]
    assert set(row["attributes"]) == {"email", "company"}
    assert set(row["attributes"]["company"]) == {"name"}


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        ("hit", "FULL_MATCH"),
        ("miss", "NO_MATCH"),
        ("optout", "OPT_OUT"),
        ("invalid", "INVALID_INPUT"),
        ("companyonly", "COMPANY_ONLY_MATCH"),
        ("contactonly", "CONTACT_ONLY_MATCH"),
    ],
)
def test_prefix_decides(zoominfo: ZoomInfoCaller, prefix: str, status: str) -> None:
    """The prefix of an e-mail says how its lookup ends; a miss has no attributes."""
    (row,) = zoominfo.enrich(f"{prefix}+x@y.example").json()["data"]
    hit = status.endswith("_MATCH") and status != "NO_MATCH"
    assert row["meta"]["matchStatus"] == status
    assert (row["type"], row["id"] != "0", "attributes" in row) == (
        ("Contact" if hit else "NoMatch"),
        hit,
        hit,
    )


def test_partial_matches_have_their_half(zoominfo: ZoomInfoCaller) -> None:
    """A match of the company only has no contact fields, one of the contact only no company."""
    company, contact = zoominfo.enrich("companyonly+x@y.example", "contactonly+x@y.example").json()["data"]
    assert set(company["attributes"]) == {"company"}
    assert set(contact["attributes"]) == {"email"}


@pytest.mark.parametrize(("prefix", "status"), [("fault", 500), ("fault504", 504), ("fault400", 400)])
def test_fault_prefix_fails_the_call(box: Box, zoominfo: ZoomInfoCaller, prefix: str, status: int) -> None:
    """A poisoned input fails the whole call, and nothing is billed."""
    answer = zoominfo.enrich("hit+a@b.example", f"{prefix}+x@y.example")
    assert answer.status_code == status
    assert box.world.zoominfo.credits_used == 0


def test_input_is_echoed_as_it_came(zoominfo: ZoomInfoCaller) -> None:
    """The echo keeps keys, values and their case."""
    lookup = {"emailAddress": " Hit+A@B.example", "firstName": "Ána"}
    (row,) = zoominfo.enrich(lookup).json()["data"]
    assert row["meta"] == {"matchStatus": "FULL_MATCH", "input": lookup}


def test_shuffled_answers(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Answers may come in another order than the inputs, to be distinguished by the echo."""
    emails = [f"hit+{number}@b.example" for number in range(25)]
    box.configure(zoominfo={"shuffle": True})
    echoed = [row["meta"]["input"]["emailAddress"] for row in zoominfo.enrich(*emails).json()["data"]]
    assert echoed != emails
    assert sorted(echoed) == sorted(emails)


def test_seeded_contacts_match_as_documented(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """About three of four work e-mails match, role addresses never, malformed ones are invalid."""
    box.configure(zoominfo={"per_second": 1000})
    emails = [f"person{number}@northwind.example" for number in range(500)]
    statuses = [s for start in range(0, 500, 25) for s in zoominfo.statuses(*emails[start : start + 25])]
    assert 0.68 < statuses.count("FULL_MATCH") / 500 < 0.80
    assert {"COMPANY_ONLY_MATCH", "CONTACT_ONLY_MATCH", "OPT_OUT", "NO_MATCH"} < set(statuses)
    assert zoominfo.statuses("info@northwind.example", "a(at)b", "") == [
        "NO_MATCH",
        "INVALID_INPUT",
        "INVALID_INPUT",
    ]


def test_lookup_by_name_and_by_id(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A person is found by name and company, and again by the id that was returned."""
    people = box.world.population.people
    names = [{"firstName": p.first_name, "lastName": p.last_name, "companyName": p.company.name} for p in people[:25]]
    hits = [row for row in zoominfo.enrich(*names).json()["data"] if row["type"] == "Contact"]
    assert len(hits) > 10
    (again,) = zoominfo.enrich({"personId": int(hits[0]["id"])}).json()["data"]
    assert again["id"] == hits[0]["id"]
    (stranger,) = zoominfo.enrich("hit+new@new.example").json()["data"]
    assert zoominfo.statuses({"personId": int(stranger["id"])}) == ["FULL_MATCH"]
    assert zoominfo.statuses({"firstName": "No", "lastName": "Body", "companyName": "Nowhere"}) == ["NO_MATCH"]
    assert zoominfo.statuses({"firstName": "Half"}, {"personId": 5}) == [
        "INVALID_INPUT",
        "NO_MATCH",
    ]


def test_required_fields(zoominfo: ZoomInfoCaller) -> None:
    """A record that lacks a required field is not a match."""
    statuses = zoominfo.statuses("companyonly+x@y.example", "hit+x@y.example", requiredFields=["email"])
    assert statuses == ["NON_MATCH_BY_REQUIRED_FIELDS", "FULL_MATCH"]


def test_warnings_occur(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A few records carry warnings."""
    box.configure(zoominfo={"per_second": 1000})
    pages = [zoominfo.enrich(*[f"hit+{p}-{n}@b.example" for n in range(25)]).json()["data"] for p in range(8)]
    warned = [row for page in pages for row in page if "warnings" in row["meta"]]
    assert 0 < len(warned) < 30
    assert set(warned[0]["meta"]["warnings"][0]) == {"code", "message", "fields"}


def test_technologies_and_intent(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """One company's technologies and intent signals come page by page, for one credit each; nothing known is free."""
    company_id = box.world.population.companies[0].id
    tech = zoominfo.post("/data/v1/companies/technologies/enrich", "TechnologyEnrich", {"companyId": company_id})
    topics = ["ERP", "Zero Trust", "Payroll", "Kubernetes", "Observability", "E-Commerce"]
    intent = zoominfo.post(
        "/data/v1/intent/enrich?page[size]=1",
        "IntentEnrich",
        {"companyId": str(company_id), "topics": topics},
    )
    assert tech.json()["meta"]["totalResults"] == len(tech.json()["data"]) > 0
    assert {"product", "vendor", "category", "categoryParent"} == set(tech.json()["data"][0]["attributes"])
    assert len(intent.json()["data"]) <= 1
    assert intent.json()["meta"]["page"]["total"] == intent.json()["meta"]["totalResults"]
    unknown = zoominfo.post("/data/v1/companies/technologies/enrich", "TechnologyEnrich", {"companyId": 0})
    assert unknown.json()["meta"]["totalResults"] == 0
    assert box.world.zoominfo.billed == {f"technologies:{company_id}": 1, f"intent:{company_id}": 1}
    assert box.world.zoominfo.company_lookups == {
        f"technologies:{company_id}:1": 1,
        f"intent:{company_id}:1": 1,
        "technologies:0:1": 1,
    }


def test_further_pages_cost_nothing(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """The pages of a company's technologies hold each one once, and are paid for once."""
    box.configure(zoominfo={"longest_page": 3})
    company_id = box.world.population.companies[0].id
    path = "/data/v1/companies/technologies/enrich?page[size]=100&page[number]="
    pages = [
        zoominfo.post(f"{path}{number}", "TechnologyEnrich", {"companyId": company_id}).json() for number in (1, 2)
    ]
    total = pages[0]["meta"]["totalResults"]
    assert pages[0]["meta"]["page"]["total"] == -(-total // 3)
    assert len({row["id"] for page in pages for row in page["data"]}) == min(total, 6)
    assert box.world.zoominfo.credits_used == 1


def test_company_calls_are_checked(zoominfo: ZoomInfoCaller) -> None:
    """An unknown company has no rows; a missing id, and topics beyond 50, are refused."""
    path = "/data/v1/intent/enrich"
    assert zoominfo.post(path, "IntentEnrich", {"companyId": 1, "topics": ["ERP"]}).json()["data"] == []
    assert _codes(zoominfo.post(path, "IntentEnrich", {"topics": ["ERP"]})) == ["PFAPI0006"]
    assert _codes(zoominfo.post(path, "IntentEnrich", {"companyId": 1, "topics": ["x"] * 51})) == ["PFAPI0004"]


def test_get_needs_no_content_type(zoominfo: ZoomInfoCaller) -> None:
    """The usage is read without a content type."""
    headers = {"Authorization": f"Bearer {zoominfo.token}", "Accept": MEDIA_TYPE}
    assert zoominfo.http.get(f"{zoominfo.url}/data/v1/users/usage", headers=headers).status_code == 200
