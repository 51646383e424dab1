"""Secret stores of AWS and Google on the loopback, with a block in Prefect for each secret."""

import datetime as dt
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import grpc
import httpx
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
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from prefect_aws.secrets_manager import AwsSecret
from prefect_gcp import GcpCredentials
from prefect_gcp.secret_manager import GcpSecret


@contextmanager
def aws(secrets: Mapping[str, str | bytes | None], access_key: str) -> Iterator[Any]:
    """Give a client of a Secrets Manager that holds these; None stands for a block without a secret."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = {"region_name": "eu-central-1", "aws_access_key_id": "testing", "aws_secret_access_key": access_key}
    client = boto3.client("secretsmanager", endpoint_url=f"http://{host}:{port}", **address)
    parameters = AwsClientParameters(endpoint_url=f"http://{host}:{port}")
    credentials = AwsCredentials(**address, aws_client_parameters=parameters)
    credentials.save("loopback", overwrite=True)
    for name, value in secrets.items():
        if value is not None:
            client.create_secret(Name=name, **{"SecretString" if isinstance(value, str) else "SecretBinary": value})
        AwsSecret(aws_credentials=credentials, secret_name=name).save(name.replace("/", "-"), overwrite=True)
    yield client
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()  # what it holds would outlive the server
    server.stop()


@contextmanager
def google(secrets: Mapping[str, bytes | None], refusal: str, folder: Path) -> Iterator[dict[str, str]]:
    """
    Give the environment in which Google's client calls a Secret Manager that holds these.

    Google's client is led there by its own settings: a universe of Google Cloud that is this machine, and a
    certificate to trust. It signs its token with the key of the service account, so that no server has to issue one.

    Args:
        secrets: by name; None stands for a block without a secret.
        refusal: what is said of a secret that isn't there.
        folder: for the certificate.
    """
    private, certificate = _certificate("secretmanager.localhost")
    trusted = folder / "certificate.pem"
    trusted.write_bytes(certificate)
    held = {f"projects/acme/secrets/{name}/versions/latest": value for name, value in secrets.items() if value}
    server = grpc.server(ThreadPoolExecutor(2), handlers=(_secret_manager(held, refusal),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(private, certificate)]))
    server.start()
    account = {"type": "service_account", "project_id": "acme", "client_email": "run@acme.iam.gserviceaccount.com"}
    key = {"private_key": private.decode(), "private_key_id": "1", "token_uri": "https://127.0.0.1:9/token"}
    credentials = GcpCredentials(service_account_info={**account, **key})
    credentials.save("loopback", overwrite=True)
    for name in secrets:
        GcpSecret(gcp_credentials=credentials, secret_name=name).save(name, overwrite=True)
    yield {
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN": f"localhost:{port}",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(trusted),
        "GRPC_DNS_RESOLVER": "ares",  # knows that every name below localhost is this machine
    }
    server.stop(None).wait()


def _certificate(host: str) -> tuple[bytes, bytes]:
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


def _secret_manager(secrets: Mapping[str, bytes], refusal: str) -> grpc.GenericRpcHandler:
    """Return Google's service as far as reading goes: latest versions of one project, for callers with a token."""

    def access(request: AccessSecretVersionRequest, context: grpc.ServicerContext) -> AccessSecretVersionResponse:
        if not dict(context.invocation_metadata()).get("authorization", "").startswith("Bearer "):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        if request.name not in secrets:
            context.abort(grpc.StatusCode.NOT_FOUND, refusal)
        return AccessSecretVersionResponse(name=request.name, payload=SecretPayload(data=secrets[request.name]))

    method = grpc.unary_unary_rpc_method_handler(
        access, AccessSecretVersionRequest.deserialize, AccessSecretVersionResponse.serialize
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    return grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": method})
