"""ZoomInfo's older API over real sockets: two ways to log in, names in lower case, errors that only a text explains."""

import sys
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from blocks.providers.base import Reply
from blocks.providers.block import load_provider
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import load_spec
from enrichment.errors import ConfigurationError, CredentialsRejectedError
from enrichment.records import Outcome
from sandbox.server import Box, running
from tests.integration.providers.asker import Journal, ask, impatient, make_provider

SPEC = impatient(load_spec("zoominfo_legacy"))
WINDOWS = tuple(one.model_copy(update={"limit": one.limit * 100}) for one in SPEC.rate.windows)
#: As fast as the sandbox allows; the pace itself is tested where it is decided.
FAST = SPEC.model_copy(update={"rate": SPEC.rate.model_copy(update={"windows": WINDOWS})})
ENRICH, LOGIN = "enrich/contact", "authenticate"

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
PUBLIC = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Box]:
    with running(contacts=20, seed=7) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def box(sandbox: Box) -> Box:
    """Give a new world; the user is another one each time, since tokens and holds are shared by credential."""
    account = {"per_second": 5000, "per_minute": 150_000, "username": f"user-{uuid.uuid4().hex}", "public_key": PUBLIC}
    sandbox.reset(zoominfo_legacy=account)
    return sandbox


@pytest.fixture
def provider(box: Box) -> HttpProvider:
    return connect(box)


def connect(box: Box, **credentials: str) -> HttpProvider:
    account = box.world.zoominfo_legacy.settings
    given = {"username": account.username, **(credentials or {"password": account.password})}
    return make_provider(FAST, box.zoominfo_legacy_url, **given)


def people(count: int, prefix: str = "hit") -> list[str]:
    return [f"{prefix}+p{number}@acme.example" for number in range(count)]


def outcomes(replies: dict[str, Reply]) -> list[Outcome]:
    return [reply.outcome for reply in replies.values()]


def statuses(box: Box, path: str = ENRICH) -> list[int]:
    return [record.status for record in box.world.zoominfo_legacy.requests if path in record.path]


def fault(box: Box, path: str, kind: str, **options: Any) -> None:
    box.world.faults.add(service="zoominfo_legacy", path_contains=path, kind=kind, **options)


def test_it_works_from_the_environment_alone(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address, user and password come from variables."""
    account = box.world.zoominfo_legacy.settings
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_LEGACY_BASE_URL", box.zoominfo_legacy_url)
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_LEGACY_USERNAME", account.username)
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_LEGACY_PASSWORD", account.password)
    provider = load_provider("zoominfo_legacy")
    assert isinstance(provider, HttpProvider)
    [reply] = ask(provider, ["hit+ada.byron@acme.example"]).values()
    reading = provider.read(reply.body)
    assert (reply.outcome, reply.credits, reply.api_version) == (Outcome.MATCHED, 1.0, "enterprise")
    assert reply.request_id.startswith("legacy-")
    assert {
        "company_name",
        "employee_count",
        "industry",
        "linkedin_url",
        "title",
        "company_domain",
    } <= reading.fields.keys()
    assert 75 <= (reading.confidence or 0) <= 99
    assert str(reading.provider_record_id).isdigit()


@pytest.mark.parametrize("spoil", [str, lambda key: key.replace("\n", "\n    "), lambda key: key.replace("\n", "\\n")])
def test_a_private_key_opens_it(box: Box, spoil: Any) -> None:
    """A signed assertion is taken instead of a password; indented keys and keys on one line are understood."""
    account = box.world.zoominfo_legacy.settings
    by_key = connect(box, client_id=account.client_id, private_key=spoil(PRIVATE))
    assert outcomes(ask(by_key, people(30))) == [Outcome.MATCHED] * 30
    assert box.world.zoominfo_legacy.logins.given == 1


def test_the_key_is_preferred_to_the_password(box: Box) -> None:
    """With both set, the password isn't sent."""
    account = box.world.zoominfo_legacy.settings
    both = connect(box, client_id=account.client_id, private_key=PRIVATE, password="wrong")
    assert outcomes(ask(both, people(1))) == [Outcome.MATCHED]


def test_a_key_of_another_user_is_refused(box: Box) -> None:
    """The run stops, and the message names the credentials without showing them."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    stranger = connect(box, client_id="c-1", private_key=other.private_bytes(*form).decode())
    with pytest.raises(CredentialsRejectedError, match="username and client_id and private_key") as caught:
        stranger.check()
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_key_that_is_none_is_a_wrong_setting(box: Box) -> None:
    """The message says what to do and doesn't show what was given."""
    with pytest.raises(ConfigurationError, match="copy the whole file") as caught:
        connect(box, client_id="c-1", private_key="no-key-at-all").check()
    assert "no-key-at-all" not in str(caught.value)


def test_without_the_library_the_extra_is_named(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login by key without PyJWT names what to install; by password it isn't needed."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError, match="zoominfo-legacy"):
        connect(box, client_id="c-1", private_key=PRIVATE).check()
    assert outcomes(ask(connect(box), people(1))) == [Outcome.MATCHED]


def test_missing_credentials_are_named_way_by_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a user name alone, the message names what either way still needs."""
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_LEGACY_USERNAME", "somebody")
    with pytest.raises(ConfigurationError, match="needs client_id and private_key, or password: set ENRICHMENT_ZOOM"):
        load_provider("zoominfo_legacy")


def test_all_calls_share_one_login(box: Box, provider: HttpProvider) -> None:
    """However many calls, one token; when it is refused, one new one, not faster than the endpoint takes them."""
    assert outcomes(ask(provider, people(200))) == [Outcome.MATCHED] * 200
    box.world.zoominfo_legacy.logins.revoke_all()
    assert outcomes(ask(provider, people(200, "miss"))) == [Outcome.UNMATCHED] * 200
    assert statuses(box, LOGIN) == [200, 200]


def test_a_throttled_login_is_tried_again(box: Box, provider: HttpProvider) -> None:
    """An endpoint that is busy costs attempts; one that is shut for long sends the records back."""
    fault(box, LOGIN, "status", status=429)
    assert outcomes(ask(provider, people(1))) == [Outcome.MATCHED]
    box.world.zoominfo_legacy.logins.revoke_all()
    fault(box, LOGIN, "status", status=429, headers={"Retry-After": "900"})
    [reply] = ask(provider, people(1, "miss")).values()
    assert (reply.outcome, reply.wait_seconds) == (Outcome.RETRYABLE, 900)


def test_a_wrong_password_stops_the_run(box: Box) -> None:
    """It is tried once, not for each batch."""
    replies = ask(connect(box, password="wrong"), people(500))
    assert {(one.outcome, one.reason) for one in replies.values()} == {(Outcome.REJECTED, "credentials_rejected")}
    assert statuses(box, LOGIN) == [401]
    assert statuses(box) == []


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_ending_reaches_its_contact(box: Box, provider: HttpProvider, shuffle: bool) -> None:
    """The echo in lower case says whose an item is, in whatever order they come."""
    box.configure(zoominfo_legacy={"shuffle": shuffle})
    expected = {
        "hit": (Outcome.MATCHED, ""),
        "miss": (Outcome.UNMATCHED, "NO_MATCH"),
        "optout": (Outcome.SUPPRESSED, "OPT_OUT"),
        "invalid": (Outcome.INVALID_INPUT, "INVALID_INPUT"),
        "companyonly": (Outcome.PARTIAL, "COMPANY_ONLY_MATCH"),
        "contactonly": (Outcome.PARTIAL, "CONTACT_ONLY_MATCH"),
        "serviceerror": (Outcome.RETRYABLE, "SERVICE_ERROR"),
    }
    emails = [f"{prefix}+P{number}@acme.example" for number in range(7) for prefix in expected]
    for email, reply in ask(provider, emails).items():
        assert (reply.outcome, reply.reason) == expected[email.partition("+")[0]]
        if reply.body:
            assert reply.body["input"]["emailaddress"] == email


def test_fields_that_the_account_lacks_are_dropped(box: Box, provider: HttpProvider) -> None:
    """The refusal lists them; the rest is asked for."""
    box.configure(zoominfo_legacy={"disallowed_fields": ("companyRevenueNumeric", "city")})
    replies = ask(provider, people(30))
    assert outcomes(replies) == [Outcome.MATCHED] * 30
    assert all("city" not in reply.body["data"][0] for reply in replies.values())


@pytest.mark.parametrize("refusal", ["error", "nameless"])
def test_a_refusal_of_another_form_drops_the_same_fields(box: Box, provider: HttpProvider, refusal: str) -> None:
    """Names in lower case under another key's text, or no names at all: those are found by free calls."""
    box.configure(zoominfo_legacy={"disallowed_fields": ("companyRevenueNumeric", "city"), "refusal": refusal})
    journal = Journal()
    replies = ask(provider, people(30), journal)
    assert outcomes(replies) == [Outcome.MATCHED] * 30
    assert all("city" not in reply.body["data"][0] for reply in replies.values())
    assert len(journal.replies) == 30


def test_names_that_were_not_asked_for_are_not_a_dead_end(box: Box, provider: HttpProvider) -> None:
    """Where the refusal has names of its own, the fields are found by free calls, too."""
    body = (
        '{"success": false, "statusCode": 400, "error": "OutputFields invalid", "invalidOutputFields": ["linkedinurl"]}'
    )
    fault(box, ENRICH, "status", status=400, body=body, content_type="application/json", times=2)
    box.configure(zoominfo_legacy={"disallowed_fields": ("externalUrls",), "refusal": "nameless"})
    replies = ask(provider, people(5))
    assert outcomes(replies) == [Outcome.MATCHED] * 5
    assert all("externalUrls" not in reply.body["data"][0] for reply in replies.values())


def test_credits_that_end(box: Box, provider: HttpProvider) -> None:
    """Rows within a batch, then a text in some case: what was bought is kept, the run stops."""
    box.configure(zoominfo_legacy={"credits_left": 10})
    journal = Journal()
    replies = ask(provider, people(500), journal)
    assert outcomes(replies).count(Outcome.MATCHED) == len(journal.replies) == 10
    assert set(outcomes(replies)) == {Outcome.MATCHED, Outcome.QUOTA_EXHAUSTED}
    [later] = ask(provider, people(1, "contactonly")).values()
    assert (later.outcome, later.reason) == (Outcome.QUOTA_EXHAUSTED, "record_limit")


def test_a_poisoned_contact_spoils_no_other(box: Box, provider: HttpProvider) -> None:
    """A batch that is refused because of one contact is bisected."""
    emails = [*people(24), "fault400+x@acme.example"]
    replies = ask(provider, emails)
    assert replies.pop(emails[-1]).outcome is Outcome.INVALID_INPUT
    assert outcomes(replies) == [Outcome.MATCHED] * 24


def test_a_wrong_path_is_not_a_miss(box: Box) -> None:
    """404 stops the run."""
    fault(box, ENRICH, "status", status=404, times=0)
    assert outcomes(ask(connect(box), people(1))) == [Outcome.REJECTED]


def test_the_check_says_what_is_left(box: Box, provider: HttpProvider) -> None:
    """One free call, and a line with the credits."""
    box.configure(zoominfo_legacy={"credits_left": 1000})
    ask(provider, people(50))
    assert provider.check() == "ZoomInfo Enterprise API answers; credits left 950 of 1,000"


def test_the_assertion_says_who_and_for_how_long(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claims are the vendor's, back-dated for clocks that differ, and last five minutes."""
    from blocks.providers.spec.auth import zoominfo_pki  # noqa: PLC0415

    form = zoominfo_pki({"username": "u-1", "client_id": "c-1", "private_key": PRIVATE})
    assertion = form.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(assertion, PUBLIC, algorithms=["RS256"], audience="enterprise_api")
    assert (claims["iss"], claims["client_id"], claims["username"]) == ("api-client@zoominfo.com", "c-1", "u-1")
    assert claims["exp"] - claims["iat"] == 300
