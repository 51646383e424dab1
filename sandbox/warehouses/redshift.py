"""
PostgreSQL standing in for Redshift: what the real redshift_connector needs to talk to it, and a few of its functions.

A loopback proxy leaves out the start-up settings that PostgreSQL doesn't know, declines TLS, says version 8.0.2, and
quotes the date part of DATEADD and the name JSON_SERIALIZE. Transactions read one snapshot, as on Redshift. Keys aren't
enforced: the dialect has none. Physical design, COPY, the leader node and Redshift's own locks stay untested.
"""

import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from sandbox.warehouses import postgres

_DATABASE = "redshift"
_PRELUDE = """
SET allow_system_table_mods = on;
CREATE DOMAIN pg_catalog.super AS jsonb;
CREATE FUNCTION pg_catalog.getdate() RETURNS timestamp STABLE LANGUAGE sql
    AS $$ SELECT date_trunc('second', statement_timestamp() AT TIME ZONE 'UTC') $$;
CREATE FUNCTION pg_catalog.dateadd(text, integer, timestamp) RETURNS timestamp IMMUTABLE LANGUAGE sql
    AS $$ SELECT $3 + $2 * ('1 ' || $1)::interval $$;
CREATE FUNCTION pg_catalog.json_parse(text) RETURNS super IMMUTABLE LANGUAGE sql AS $$ SELECT $1::jsonb $$;
CREATE FUNCTION pg_catalog.json_serialize(super) RETURNS varchar IMMUTABLE LANGUAGE sql
    AS $$ SELECT coalesce($1::jsonb::text, 'null') $$;
ALTER DATABASE redshift SET default_transaction_isolation = 'repeatable read';
"""
_KNOWN_SETTINGS = {"user", "database", "application_name", "options", "client_encoding"}
_SSL_REQUEST = 80877103
_DATE_PART = re.compile(rb"(?i)\bDATEADD\((\w+),")


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Run a separate PostgreSQL and the proxy before it; the files are gone when it ends."""
    with postgres.serve(folder) as settings:
        dsn = settings["ENRICHMENT_POSTGRES_DSN"]
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE redshift")
        with psycopg.connect(dsn, dbname=_DATABASE, autocommit=True) as connection:
            connection.execute(_PRELUDE)
        with _Proxy(("127.0.0.1", 0), _Conversation) as proxy:
            proxy.upstream = f"{conninfo_to_dict(dsn)['host']}/.s.PGSQL.5432"
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            try:
                yield _settings(proxy.server_address[1])
            finally:
                proxy.shutdown()


def apart(settings: dict[str, str], name: str) -> dict[str, str]:
    """Return the settings of another schema."""
    return {**settings, "ENRICHMENT_REDSHIFT_PIPELINE_SCHEMA": name}


def _settings(port: int) -> dict[str, str]:
    return {
        "ENRICHMENT_REDSHIFT_HOST": "127.0.0.1",
        "ENRICHMENT_REDSHIFT_PORT": str(port),
        "ENRICHMENT_REDSHIFT_DATABASE": _DATABASE,
        "ENRICHMENT_REDSHIFT_USER": "postgres",
        "ENRICHMENT_REDSHIFT_PASSWORD": "made-up",
        "ENRICHMENT_REDSHIFT_SSL": "false",
    }


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64
    upstream: str


class _Conversation(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = self.request.makefile("rwb")
        start = _startup(client)
        with socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(self.server.upstream)
            server = upstream.makefile("rwb")
            server.write(start)
            server.flush()
            back = threading.Thread(target=_relay, args=(server, client, _answer, self.request), daemon=True)
            back.start()
            _relay(client, server, _ask, upstream)
            back.join()


def _startup(client: Any) -> bytes:
    """Read the start-up message, without TLS, and return it with what PostgreSQL knows."""
    length, code = struct.unpack("!II", client.read(8))
    if code == _SSL_REQUEST:
        client.write(b"N")
        client.flush()
        length, code = struct.unpack("!II", client.read(8))
    words = client.read(length - 8).split(b"\0")
    pairs = [
        (name, value) for name, value in zip(words[::2], words[1::2], strict=False) if name.decode() in _KNOWN_SETTINGS
    ]
    body = b"".join(name + b"\0" + value + b"\0" for name, value in pairs) + b"\0"
    return struct.pack("!II", len(body) + 8, code) + body


def _relay(source: Any, target: Any, change: Callable[[bytes, bytes], bytes], other_side: socket.socket) -> None:
    """Pass messages on until one side hangs up, then hang up on the other."""
    with suppress(OSError):
        while len(head := source.read(5)) == 5:
            body = change(head[:1], source.read(struct.unpack("!I", head[1:])[0] - 4))
            target.write(head[:1] + struct.pack("!I", len(body) + 4) + body)
            target.flush()
    with suppress(OSError):
        other_side.shutdown(socket.SHUT_RDWR)


def _ask(kind: bytes, body: bytes) -> bytes:
    if kind != b"P":
        return body
    # PostgreSQL has its own JSON_SERIALIZE, which is syntax; quoted, it is our function.
    return _DATE_PART.sub(rb"DATEADD('\1',", body).replace(b"JSON_SERIALIZE(", b'"json_serialize"(')


def _answer(kind: bytes, body: bytes) -> bytes:
    return b"server_version\x008.0.2\0" if kind == b"S" and body.startswith(b"server_version\0") else body
