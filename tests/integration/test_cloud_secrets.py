"""Secrets kept by AWS and by Google, read through Prefect's own blocks with the vendors' own clients."""

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from google.cloud.secretmanager_v1.types import (
    AccessSecretVersionRequest,
    AccessSecretVersionResponse,
    SecretPayload,
)
from moto.server import ThreadedMotoServer
from prefect.settings import get_current_settings
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.secrets_manager import AwsSecret
from prefect_gcp import GcpCredentials
from prefect_gcp.secret_manager import GcpSecret
from pydantic import SecretStr

from blocks.crms.base import open_crm
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError
from enrichment.intake import EveryContact
from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from tasks.books import RunReport
from tests.integration.conftest import Pipeline

VALUE = "s3cr3t-v4lue"
ACCESS_KEY = "s3cr3t-access-key"
SETTING = "ENRICHMENT_X_TOKEN"
#: The secret that both tokens of the pipeline come from.
TOKENS = "crm/tokens"
HUBSPOT_LOG = "urllib3.connectionpool"  # of HubSpot's client: a line for each answer
STEPS_LOG = "prefect.task_runs"

#: What another process does with the references that it is given: it prints each one's value or error, and logs all.
READER = """
import json, logging, sys
from pydantic import SecretStr
from blocks.secrets import reveal
from enrichment.errors import ConfigurationError

for name in json.loads(sys.argv[2]):
    sys.modules[name] = None
logging.basicConfig(level=logging.DEBUG)
answers = {}
for reference in json.loads(sys.argv[1]):
    try:
        answers[reference] = reveal(SecretStr(f"block:{reference}"), "ENRICHMENT_X_TOKEN")
    except ConfigurationError as error:
        answers[reference] = f"refused: {error}"
print(json.dumps(answers))
"""


def read_elsewhere(references: list[str], *absent: str, **environment: str) -> tuple[dict[str, str], str]:
    """Read references in a process of its own, where some modules are absent; return its answers and its log."""
    api = {"PREFECT_API_URL": str(get_current_settings().api.url), "GOOGLE_SDK_PYTHON_LOGGING_SCOPE": "google"}
    done = subprocess.run(
        [sys.executable, "-c", READER, json.dumps(references), json.dumps(absent)],
        env={**os.environ, **api, **environment},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answers: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answers, done.stderr + "".join(done.stdout.splitlines()[:-1])


@pytest.fixture(scope="module")
def secrets_manager(prefect_server: None) -> Iterator[Any]:
    """Give a client of an AWS Secrets Manager on the loopback that holds a few secrets, each with its block."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = {"region_name": "eu-central-1", "aws_access_key_id": "testing", "aws_secret_access_key": ACCESS_KEY}
    client = boto3.client("secretsmanager", endpoint_url=f"http://{host}:{port}", **address)
    client.create_secret(Name="crm/text", SecretString=VALUE)
    client.create_secret(Name="crm/bytes", SecretBinary=VALUE.encode())
    client.create_secret(Name="crm/binary", SecretBinary=b"\xff\xfe" + VALUE.encode())
    client.create_secret(Name="crm/object", SecretString=json.dumps({"token": VALUE, "port": 5432}))
    client.create_secret(Name=TOKENS, SecretString="{}")
    parameters = AwsClientParameters(endpoint_url=f"http://{host}:{port}")
    credentials = AwsCredentials(**address, aws_client_parameters=parameters)
    credentials.save("loopback", overwrite=True)
    for name in ("crm/text", "crm/bytes", "crm/binary", "crm/object", "crm/absent", TOKENS):
        AwsSecret(aws_credentials=credentials, secret_name=name).save(name.replace("/", "-"), overwrite=True)
    yield client
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()  # what it holds would outlive the server
    server.stop()


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("aws-secret/crm-text", VALUE),
        ("aws-secret/crm-bytes", VALUE),
        ("aws-secret/crm-object#token", VALUE),
        ("aws-secret/crm-object#port", "5432"),
        ("aws-secret/crm-object", json.dumps({"token": VALUE, "port": 5432})),
    ],
)
def test_a_secret_of_aws_is_read(secrets_manager: Any, reference: str, text: str) -> None:
    """Text, bytes and one key of a JSON object arrive from Secrets Manager as they were put there."""
    assert reveal(SecretStr(f"block:{reference}"), SETTING) == text


@pytest.mark.parametrize("name", ["crm-absent", "crm-binary", "crm-object#absent", "crm-text#absent", "nobody"])
def test_what_aws_can_not_give_is_an_error_without_a_secret(
    secrets_manager: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An absent secret, bytes that aren't text and an absent key name the block; no secret is shown or logged."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError, match=f"'aws-secret/{name.partition('#')[0]}'") as caught:
        reveal(SecretStr(f"block:aws-secret/{name}"), SETTING)
    assert caught.value.__suppress_context__
    assert not [secret for secret in (VALUE, ACCESS_KEY) if secret in f"{caught.value!r} {caplog.text}"]


def test_reading_from_aws_leaves_no_trace_of_the_secret(secrets_manager: Any) -> None:
    """Another process that logs everything reads the secret, and logs neither it nor the key to it."""
    references = ["aws-secret/crm-text", "aws-secret/crm-bytes", "aws-secret/crm-object#token"]
    answers, log = read_elsewhere(references)
    assert answers == dict.fromkeys(references, VALUE)
    assert not [secret for secret in (VALUE, ACCESS_KEY) if secret in log]


@pytest.mark.parametrize(
    ("absent", "extras"),
    [
        (["prefect_aws", "prefect_gcp"], {"aws-secret/crm-text": "aws", "gcpsecret/crm-text": "gcp"}),
        (["google.cloud.secretmanager"], {"gcpsecret/crm-text": "gcp"}),
    ],
    ids=["blocks", "client"],
)
def test_a_block_whose_library_is_missing_names_the_extra(
    secrets_manager: Any, google_environment: dict[str, str], absent: list[str], extras: dict[str, str]
) -> None:
    """Where the cloud's library isn't installed, the message says which extra installs it."""
    answers, _ = read_elsewhere([*extras], *absent, **google_environment)
    for reference, extra in extras.items():
        assert answers[reference].startswith("refused: ")
        assert f"`uv sync --extra {extra}`" in answers[reference]


def put_tokens(pipeline: Pipeline, secrets_manager: Any, hubspot: str, zoominfo: str) -> None:
    """Rotate both tokens: AWS has the new ones, and the sandbox refuses the old ones."""
    tokens = json.dumps({"hubspot": hubspot, "zoominfo": zoominfo})
    secrets_manager.put_secret_value(SecretId=TOKENS, SecretString=tokens)
    pipeline.box.configure(hubspot={"token": hubspot}, zoominfo={"client_secret": zoominfo})
    pipeline.box.world.zoominfo.tokens.revoke_all()


@pytest.fixture
def referring(pipeline: Pipeline, secrets_manager: Any) -> Pipeline:
    """Give a pipeline of which all credentials are kept by AWS."""
    pipeline.new_world(250)
    put_tokens(pipeline, secrets_manager, f"first-{uuid.uuid4().hex}", f"first-{uuid.uuid4().hex}")
    pipeline.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "block:aws-secret/crm-tokens#hubspot")
    pipeline.setenv("ENRICHMENT_ZOOMINFO_CLIENT_SECRET", "block:aws-secret/crm-tokens#zoominfo")
    # One chunk at a time, so that no call comes between the two halves of a rotation; and a rate that HubSpot corrects.
    pipeline.setenv("ENRICHMENT_CHUNKS_IN_FLIGHT", "1")
    pipeline.setenv("ENRICHMENT_HUBSPOT_REQUESTS_PER_10_SECONDS", "99")
    return pipeline


class OnceAfter(logging.Handler):
    """Does something when HubSpot first answers after a chunk was stored: between its reading and its writing."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__(logging.DEBUG)
        self._act = act
        self._awaited = ["chunk_stored", "batch/read"]

    def emit(self, record: logging.LogRecord) -> None:
        if self._awaited and self._awaited[0] in record.getMessage():
            self._awaited.pop(0)
            if not self._awaited:
                self._act()


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[logging.Handler], None]]:
    """Give a way to follow what the steps and HubSpot's adapter log."""
    attached: list[logging.Handler] = []

    def attach(handler: logging.Handler) -> None:
        attached.append(handler)
        for name in (HUBSPOT_LOG, STEPS_LOG):
            monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
            logging.getLogger(name).addHandler(handler)

    yield attach
    for name in (HUBSPOT_LOG, STEPS_LOG):
        for handler in attached:
            logging.getLogger(name).removeHandler(handler)


def test_secrets_that_are_rotated_in_the_middle_of_a_run_are_picked_up(
    referring: Pipeline,
    secrets_manager: Any,
    listen: Callable[[logging.Handler], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A run goes on with new credentials of CRM and provider, from a call that is refused with the old ones."""
    assert ingest_contacts(EveryContact()) == 250
    second = f"second-{uuid.uuid4().hex}"
    listen(OnceAfter(lambda: put_tokens(referring, secrets_manager, second, second)))
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    world = referring.box.world
    assert world.hubspot.settings.token == world.zoominfo.settings.client_secret == second
    assert "credentials_renewed service=hubspot" in caplog.text
    assert {401} <= {record.status for record in world.hubspot.log.records()}
    assert {401} <= {record.status for record in world.zoominfo.log.records()}
    assert (report.stop, report.books.finished, referring.queue()) == (None, 250, 0)
    assert second not in caplog.text


def test_a_crm_that_stays_open_picks_up_a_rotated_secret(referring: Pipeline, secrets_manager: Any) -> None:
    """An adapter that lists contacts while its token is rotated lists all of them."""
    with open_crm("hubspot") as crm:
        pages = crm.list_contacts()
        listed = next(pages)
        put_tokens(referring, secrets_manager, f"third-{uuid.uuid4().hex}", "third")
        listed += [contact for page in pages for contact in page]
    assert len({contact.crm_id for contact in listed}) == 250


def make_certificate(host: str) -> tuple[bytes, bytes]:
    """Return a private key and a certificate that it signs for itself, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def secret_manager(secrets: Mapping[str, bytes]) -> grpc.GenericRpcHandler:
    """Return Google's service as far as reading goes: latest versions of one project, for callers with a token."""

    def access(request: AccessSecretVersionRequest, context: grpc.ServicerContext) -> AccessSecretVersionResponse:
        if not dict(context.invocation_metadata()).get("authorization", "").startswith("Bearer "):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        if request.name not in secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{request.name}] not found; {VALUE}")
        return AccessSecretVersionResponse(name=request.name, payload=SecretPayload(data=secrets[request.name]))

    method = grpc.unary_unary_rpc_method_handler(
        access, AccessSecretVersionRequest.deserialize, AccessSecretVersionResponse.serialize
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    return grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": method})


@pytest.fixture(scope="module")
def google_environment(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """
    Give the environment in which Google's client calls a Secret Manager on the loopback, and save a block per secret.

    Google's client is led there by its own settings: a universe of Google Cloud that is this machine, and a
    certificate to trust. It signs its token with the key of the service account, so that no server has to issue one.
    """
    private, certificate = make_certificate("secretmanager.localhost")
    trusted = tmp_path_factory.mktemp("google") / "certificate.pem"
    trusted.write_bytes(certificate)
    contents = {"text": VALUE.encode(), "binary": b"\xff\xfe", "object": json.dumps({"token": VALUE}).encode()}
    held = {f"projects/acme/secrets/crm-{name}/versions/latest": value for name, value in contents.items()}
    server = grpc.server(ThreadPoolExecutor(2), handlers=(secret_manager(held),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(private, certificate)]))
    server.start()
    account = {"type": "service_account", "project_id": "acme", "client_email": "run@acme.iam.gserviceaccount.com"}
    key = {"private_key": private.decode(), "private_key_id": "1", "token_uri": "https://127.0.0.1:9/token"}
    credentials = GcpCredentials(service_account_info={**account, **key})
    credentials.save("loopback", overwrite=True)
    for name in (*contents, "absent"):
        GcpSecret(gcp_credentials=credentials, secret_name=f"crm-{name}").save(f"crm-{name}", overwrite=True)
    yield {
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN": f"localhost:{port}",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(trusted),
        "GRPC_DNS_RESOLVER": "ares",  # knows that every name below localhost is this machine
    }
    server.stop(None).wait()


@pytest.fixture(scope="module")
def read_from_google(google_environment: dict[str, str]) -> tuple[dict[str, str], str]:
    """Give what a process gets that reads every block, and its log."""
    names = ["text", "object#token", "absent", "binary", "object#absent", "text#absent"]
    references = [*(f"gcpsecret/crm-{name}" for name in names), "gcpsecret/nobody"]
    return read_elsewhere(references, **google_environment)


def test_a_secret_of_google_is_read(read_from_google: tuple[dict[str, str], str]) -> None:
    """Text and one key of a JSON object arrive from Secret Manager, and nothing of them is logged."""
    answers, log = read_from_google
    assert answers["gcpsecret/crm-text"] == answers["gcpsecret/crm-object#token"] == VALUE
    assert VALUE not in log
    assert "PRIVATE KEY" not in log


@pytest.mark.parametrize("name", ["crm-absent", "crm-binary", "crm-object#absent", "crm-text#absent", "nobody"])
def test_what_google_can_not_give_is_an_error_without_a_secret(
    read_from_google: tuple[dict[str, str], str], name: str
) -> None:
    """An absent secret, bytes that aren't text and an absent key name the block."""
    answer = read_from_google[0][f"gcpsecret/{name}"]
    assert answer.startswith("refused: ")
    assert f"'gcpsecret/{name.partition('#')[0]}'" in answer
    assert VALUE not in answer
