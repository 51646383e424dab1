"""Whatever is sent to the receiver gets an answer that says what is wrong, and none makes it fail."""

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.warehouses.base import load_warehouse
from sandbox.hubspot.signing import signed_headers
from tests.fuzz.inputs import BODIES, HEADERS, MARK, VALUES, WORDS, fuzzed, json_of
from triggers.receiver import HubSpotApp, Limits, Submissions, make_app
from triggers.signatures import CONTACTS_SCHEME, STANDARD_SCHEME, Stamp

URL = "https://hooks.example.com/hubspot/webhook"
SECRETS = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "shared-s3cr3t")
LIMIT = 65_536

NAMES = ["subscriptionType", "objectId", "occurredAt", "changeSource", "sourceId", "propertyName", "propertyValue"]
KINDS = [
    f"{family}.{kind}"
    for family in ("contact", "object")
    for kind in ("creation", "propertyChange", "merge", "privacyDeletion")
]
EVENTS = st.lists(
    st.dictionaries(
        st.sampled_from([*NAMES, "mergedObjectIds", "newObjectId", "objectTypeId"]),
        VALUES | st.sampled_from([*KINDS, "0-1", 501, "501"]),
        max_size=6,
    ).flatmap(lambda event: st.sampled_from(KINDS).map(lambda kind: {**event, "subscriptionType": kind})),
    max_size=3,
)
CONTACTS = st.lists(
    st.dictionaries(st.sampled_from(["crm_id", "email", "crm", "name"]), VALUES, max_size=4), max_size=3
)


Client = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Give the receiver in this process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ENRICHMENT_SQLITE_PATH", str(tmp_path_factory.mktemp("fuzz") / "warehouse.db"))
        warehouse = load_warehouse("sqlite")
        warehouse.migrate()
        warehouse.close()
        app = make_app(
            lambda: load_warehouse("sqlite"),
            Limits(LIMIT, 30.0, 50),
            staged=lambda: None,
            hubspot=HubSpotApp(URL, "54321", "", lambda: SECRETS[1:]),
            erase=lambda _: None,
            submissions=Submissions("hubspot", ["hubspot", "salesforce"], 1e9, lambda: SECRETS),
        )
        with asyncio.Runner() as runner:
            lifespan = app.router.lifespan_context(app)
            runner.run(lifespan.__aenter__())
            http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://receiver")
            yield lambda path, **content: runner.run(http.post(path, **content))
            runner.run(lifespan.__aexit__(None, None, None))


def send(client: Client, path: str, body: bytes, headers: dict[str, str], caplog: pytest.LogCaptureFixture) -> int:
    """Send a request, and return the status; neither log nor answer quotes it, and nothing is unexpected."""
    caplog.clear()
    raw = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    answer = client(path, content=body, headers=raw)
    flaws = [flaw["what"] for flaw in answer.json().get("flaws", [])] if answer.content else []
    assert MARK not in caplog.text + "".join(flaws)
    assert "unexpected" not in answer.text, caplog.text
    return answer.status_code


def signed_as(scheme: str, body: bytes) -> dict[str, str]:
    now = int(time.time())
    if scheme == "hubspot":
        return signed_headers(SECRETS[1], URL, body, now * 1000)
    if scheme == "standard":
        signature = STANDARD_SCHEME.sign(SECRETS[0], body, Stamp("", str(now), "msg_1"))
        return {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    signature = CONTACTS_SCHEME.sign(SECRETS[1], body, Stamp("", str(now)))
    return {"X-Enrichment-Timestamp": str(now), "X-Enrichment-Signature": signature}


@fuzzed
@given(
    body=BODIES | EVENTS.map(json_of) | CONTACTS.map(json_of),
    scheme=st.sampled_from(["hubspot", "standard", "own"]),
    headers=HEADERS,
)
def test_whatever_is_signed_is_taken_or_refused(
    client: Client, caplog: pytest.LogCaptureFixture, body: bytes, scheme: str, headers: dict[str, str]
) -> None:
    """200 or 202 for what is well formed, 400, 413 or 422 for what isn't."""
    path, expected = ("/hubspot/webhook", {200, 400, 413}) if scheme == "hubspot" else ("/contacts", {202, 413, 422})
    assert send(client, path, body, signed_as(scheme, body) | headers, caplog) in expected


@fuzzed
@given(
    body=BODIES,
    headers=HEADERS,
    signature=st.dictionaries(
        st.sampled_from([*signed_as("hubspot", b""), *signed_as("standard", b""), *signed_as("own", b"")]),
        WORDS.map(lambda text: "".join(one for one in text if " " <= one <= "\xff")) | st.just(str(int(time.time()))),
        max_size=5,
    ),
)
@pytest.mark.parametrize("path", ["/hubspot/webhook", "/contacts"])
def test_whatever_is_not_signed_is_refused(
    client: Client,
    caplog: pytest.LogCaptureFixture,
    path: str,
    body: bytes,
    headers: dict[str, str],
    signature: dict[str, str],
) -> None:
    """401, or 413 if it says that it is too large; the body isn't looked at."""
    assert send(client, path, body, headers | signature, caplog) in {401, 413}
