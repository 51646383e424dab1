"""A server whose certificate isn't trusted, or is another host's, gets no request of any client."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from blocks.calls.messages import Call
from blocks.calls.tls import tls
from blocks.crms.base import load_crm
from blocks.crms.salesforce.session import Session
from blocks.crms.salesforce.transport import Transport
from blocks.notifiers.base import load_notifier
from blocks.providers.base import Request
from blocks.providers.block import load_provider
from blocks.warehouses.base import load_warehouse
from blocks.warehouses.postgres import unverified
from enrichment.errors import ConfigurationError, EnrichmentError, TransientError
from enrichment.retry import Trouble
from triggers.salesforce.client import Endpoint, PubSubClient

#: How a client ends a handshake that it doesn't trust; gRPC's says nothing.
REFUSED = re.compile("UNKNOWN_CA|CERTIFICATE|UNEXPECTED_EOF")
#: Those that ask HTTP APIs for us; they say what to do, and don't try again.
CALLERS = ("provider", "token endpoint", "hubspot", "salesforce login", "salesforce")


class Server:
    """Speaks TLS, at once or after a few words in the clear, and remembers how each handshake ended."""

    def __init__(self, certificate: trustme.LeafCert, words: Callable[[socket.socket], None]) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)
        self._words = words
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.handshakes: list[str] = []
        self.received = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Wait until the last handshake has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(30)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with client, suppress(OSError):
                    self._talk(client)

    def _talk(self, client: socket.socket) -> None:
        client.settimeout(10)
        self._words(client)
        try:
            secured = self._context.wrap_socket(client, server_side=True)
        except ssl.SSLError as error:
            self.handshakes.append(error.reason)
            return
        self.handshakes.append("done")
        with secured, suppress(OSError):  # however the client takes it that there is no such service here
            secured.settimeout(1)  # a mail client waits to be greeted
            self.received += secured.recv(1024)


def at_once(_: socket.socket) -> None:
    """Speak TLS from the first byte on."""


def as_postgres(client: socket.socket) -> None:
    """Take the request for TLS that PostgreSQL's and Redshift's clients begin with."""
    client.recv(8)
    client.sendall(b"S")


def as_smtp(client: socket.socket) -> None:
    """Be a mail server up to STARTTLS."""
    client.sendall(b"220 mail.example\r\n")
    client.recv(1024)
    client.sendall(b"250-mail.example\r\n250 STARTTLS\r\n")
    client.recv(1024)
    client.sendall(b"220 go\r\n")


def set_all(monkeypatch: pytest.MonkeyPatch, prefix: str, **values: object) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"ENRICHMENT_{prefix}_{name}".upper(), str(value))


def call_provider(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "hunter", base_url=f"https://localhost:{port}", api_key="key")
    provider = load_provider("hunter")
    [reply] = provider.ask([Request("key", {"email": "m4rk3r@x.example"})], lambda _: None)
    raise TransientError(f"{reply.outcome} {reply.reason}")


def call_token_endpoint(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "zoominfo", base_url=f"https://localhost:{port}", client_id="id", client_secret="s3cr3t")
    load_provider("zoominfo").check()


def call_hubspot(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "hubspot", base_url=f"https://localhost:{port}", access_token="t0k3n")
    load_crm("hubspot").describe_fields()


def call_salesforce_login(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "salesforce", login_url=f"https://localhost:{port}", consumer_key="k", consumer_secret="s3cr3t")
    load_crm("salesforce").describe_fields()


def call_salesforce(port: int, env: pytest.MonkeyPatch) -> None:
    session = Session("t0k3n", f"https://localhost:{port}", "00D000000000000AAA")
    answer = Transport("68.0", (5, 5)).send(session, Call("GET", "sobjects"))
    assert isinstance(answer, Trouble)
    raise ConfigurationError(answer.what)


def call_pubsub(port: int, env: pytest.MonkeyPatch) -> None:
    session = Session("t0k3n", f"https://localhost:{port}", "00D000000000000AAA")
    PubSubClient(Endpoint.read(f"localhost:{port}", None), session).topic("/data/ContactChangeEvent")


def call_slack(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "slack", webhook_url=f"https://localhost:{port}/s3cr3t")
    load_notifier("slack").send("subject", "body")


def send_mail(port: int, env: pytest.MonkeyPatch, security: str = "starttls") -> None:
    set_all(
        env, "email", host="localhost", port=port, security=security, sender="a@b.example", recipients="c@d.example"
    )
    load_notifier("email").send("subject", "body")


def send_mail_over_tls(port: int, env: pytest.MonkeyPatch) -> None:
    send_mail(port, env, "tls")


def query_postgres(port: int, env: pytest.MonkeyPatch) -> None:
    env.setenv("ENRICHMENT_POSTGRES_DSN", f"host=localhost port={port} user=u sslmode=verify-full sslrootcert=system")
    load_warehouse("postgres").check_schema()


def query_redshift(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "redshift", host="localhost", port=port, user="u", password="s3cr3t", timeout_seconds=5)
    load_warehouse("redshift").check_schema()


def query_snowflake(port: int, env: pytest.MonkeyPatch) -> None:
    account = {"account": "a", "user": "u", "password": "s3cr3t", "warehouse": "w", "database": "d"}
    set_all(env, "snowflake", **account, host="localhost", port=port, network_timeout_seconds=1)
    load_warehouse("snowflake").check_schema()


def query_bigquery(port: int, env: pytest.MonkeyPatch) -> None:
    set_all(env, "bigquery", project="p", api_endpoint=f"https://localhost:{port}", timeout_seconds=1)
    load_warehouse("bigquery").check_schema()


CLIENTS: dict[str, tuple[Callable[[int, pytest.MonkeyPatch], None], Callable[[socket.socket], None]]] = {
    "provider": (call_provider, at_once),
    "token endpoint": (call_token_endpoint, at_once),
    "hubspot": (call_hubspot, at_once),
    "salesforce login": (call_salesforce_login, at_once),
    "salesforce": (call_salesforce, at_once),
    "salesforce events": (call_pubsub, at_once),
    "slack": (call_slack, at_once),
    "mail, STARTTLS": (send_mail, as_smtp),
    "mail, TLS": (send_mail_over_tls, at_once),
    "postgres": (query_postgres, as_postgres),
    "redshift": (query_redshift, as_postgres),
    "snowflake": (query_snowflake, at_once),
    "bigquery": (query_bigquery, at_once),
}


@contextmanager
def serving(certificate: trustme.LeafCert, words: Callable[[socket.socket], None]) -> Iterator[Server]:
    server = Server(certificate, words)
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_certificate_that_is_not_trusted_is_refused(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client ends the handshake, so that neither credentials nor contacts are sent; the error names none."""
    call, words = CLIENTS[client]
    with serving(trustme.CA().issue_cert("localhost"), words) as server, pytest.raises(EnrichmentError) as raised:
        call(server.port, monkeypatch)
    assert server.handshakes
    assert [reason for reason in server.handshakes if not REFUSED.search(reason)] == []
    assert server.received == b""
    if client in CALLERS:
        assert len(server.handshakes) == 1
        assert re.search("isn't trusted.*SSL_CERT_FILE|untrusted_certificate", str(raised.value))
    assert not any(secret in str(raised.value) for secret in ("s3cr3t", "t0k3n", "m4rk3r"))


@pytest.mark.parametrize("client", [*CALLERS, "slack", "mail, STARTTLS", "mail, TLS", "redshift"])
def test_a_trusted_certificate_counts_for_its_own_host_only(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the authority's certificate in place, a server of that name is called, and one of another name isn't."""
    call, words = CLIENTS[client]
    authority = trustme.CA()
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        for own in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # variables of `requests`, which outrank it
            monkeypatch.delenv(own, raising=False)
        tls.cache_clear()
        for host, ends in (("localhost", re.compile("done")), ("other.example", REFUSED)):
            with serving(authority.issue_cert(host), words) as server, pytest.raises(EnrichmentError):
                call(server.port, monkeypatch)
            assert server.handshakes
            assert [reason for reason in server.handshakes if not ends.search(reason)] == []
    monkeypatch.undo()
    tls.cache_clear()


HTTP = {
    "hubspot": {"base_url": "http://api.example", "access_token": "t0k3n"},
    "hunter": {"base_url": "http://api.example", "api_key": "key"},
    "slack": {"webhook_url": "http://hooks.example/s3cr3t"},
    "email": {"host": "mail.example", "security": "none", "sender": "a@b.example", "recipients": "c@d.example"},
    "salesforce": {"login_url": "http://acme.example", "consumer_key": "k", "consumer_secret": "s3cr3t"},
    "snowflake": {
        "account": "a",
        "user": "u",
        "password": "s3cr3t",
        "warehouse": "w",
        "database": "d",
        "protocol": "http",
    },
    "redshift": {"host": "db.example", "user": "u", "password": "s3cr3t", "ssl": "false"},
    "bigquery": {"project": "p", "api_endpoint": "http://api.example"},
}
LOADERS = {
    "hubspot": load_crm,
    "salesforce": load_crm,
    "hunter": load_provider,
    "slack": load_notifier,
    "email": load_notifier,
}


@pytest.mark.parametrize("vendor", HTTP)
def test_without_tls_only_this_machine_is_called(vendor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One rule for providers, CRMs, notifiers and warehouses; the message names the setting and no secret."""
    set_all(monkeypatch, vendor, **HTTP[vendor])
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_{vendor.upper()}_.*on this machine") as raised:
        LOADERS.get(vendor, load_warehouse)(vendor)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "sslmode", "words"),
    [
        ("/run/postgresql", "prefer", ""),
        ("localhost", "prefer", ""),
        ("db.example", "verify-full", ""),
        ("db.example", "require", "isn't verified (sslmode=require): add sslmode=verify-full"),
    ],
)
def test_doctor_says_if_postgresql_is_not_verified(host: str, sslmode: str, words: str) -> None:
    """Many installations have an authority of their own or a network of their own, so it is said and not refused."""
    assert words in unverified(host, sslmode)
    assert bool(words) == bool(unverified(host, sslmode))
