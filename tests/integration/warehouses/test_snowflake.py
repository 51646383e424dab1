"""What only Snowflake's adapter has: its SQL's limits, key pairs, sign-in, long lists, and what its errors become."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from snowflake.connector import errors

from blocks.warehouses._session import ConflictError, replayed
from blocks.warehouses.base import NewRecord, Warehouse, load_warehouse
from enrichment.errors import ConfigurationError, ContractError, EnrichmentError, RecordRefusedError, TransientError
from enrichment.records import Origin

MakeWarehouse = Callable[[str], Warehouse]


def pem(passphrase: str = "") -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@contextmanager
def service(status: int, answer: dict[str, object]) -> Iterator[int]:
    """Give the port of a service that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_key_pair_signs_in(make_warehouse: MakeWarehouse, monkeypatch: pytest.MonkeyPatch, passphrase: str) -> None:
    """A PEM is read with and without passphrase, also with its line ends written out; the stand-in checks no JWT."""
    make_warehouse("snowflake")
    monkeypatch.delenv("ENRICHMENT_SNOWFLAKE_PASSWORD")
    monkeypatch.setenv("ENRICHMENT_SNOWFLAKE_PRIVATE_KEY", pem(passphrase).replace("\n", "\\n"))
    if passphrase:
        monkeypatch.setenv("ENRICHMENT_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", passphrase)
    warehouse = load_warehouse("snowflake")
    assert "0 contacts" in warehouse.check()
    warehouse.close()


def test_an_encrypted_key_without_its_passphrase_is_a_wrong_setting(
    make_warehouse: MakeWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variables and repeats nothing of the key."""
    make_warehouse("snowflake")
    key = pem("secret")
    monkeypatch.setenv("ENRICHMENT_SNOWFLAKE_PRIVATE_KEY", key)
    with pytest.raises(ConfigurationError, match="ENRICHMENT_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE") as caught:
        load_warehouse("snowflake")
    assert key.splitlines()[1] not in str(caught.value)


def test_missing_settings_are_named() -> None:
    """Every variable that is missing is named at once."""
    with pytest.raises(ConfigurationError, match=r"ENRICHMENT_SNOWFLAKE_ACCOUNT, .*ENRICHMENT_SNOWFLAKE_DATABASE"):
        load_warehouse("snowflake")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(200, "390100", ConfigurationError), (403, "", ConfigurationError), (503, "", TransientError)],
)
def test_a_refused_sign_in_is_not_taken_for_an_outage(
    make_warehouse: MakeWarehouse,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    expected: type[EnrichmentError],
) -> None:
    """Wrong credentials stop the run before its first claim; an outage may heal."""
    make_warehouse("snowflake")
    answer = {"data": {}, "code": code, "message": "Incorrect username or password was specified.", "success": False}
    with service(status, answer) as port:
        monkeypatch.setenv("ENRICHMENT_SNOWFLAKE_PORT", str(port))
        with pytest.raises(expected, match="ENRICHMENT_SNOWFLAKE_ACCOUNT") as caught:
            load_warehouse("snowflake").check()
    assert "made-up" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.ProgrammingError(msg="Object 'X' does not exist", errno=2003, sqlstate="42S02"), ConfigurationError),
        (errors.ProgrammingError(msg="no current database", errno=90105, sqlstate="22000"), ConfigurationError),
        (errors.ProgrammingError(msg="Insufficient privileges", errno=3001, sqlstate="42501"), ConfigurationError),
        (errors.ProgrammingError(msg="No active warehouse", errno=606, sqlstate="57P03"), ConfigurationError),
        (errors.ProgrammingError(msg="has locked table 'T'", errno=625, sqlstate="57014"), ConflictError),
        (errors.InternalServerError(msg="HTTP 500", errno=290500), ConflictError),
        (errors.ProgrammingError(msg="session gone", errno=390112, sqlstate="08001"), TransientError),
        (errors.OperationalError(msg="no route", errno=250001), TransientError),
        (
            errors.ProgrammingError(msg="value 'a@b.example' is no number", errno=100038, sqlstate="22018"),
            RecordRefusedError,
        ),
        (errors.ProgrammingError(msg="syntax error at 'a@b.example'", errno=1003, sqlstate="42000"), ContractError),
    ],
)
def test_errors_become_ours_without_row_data(error: errors.Error, expected: type[EnrichmentError]) -> None:
    """Each error of the connector gets its meaning, and its text stays behind."""
    from blocks.warehouses.snowflake import explain_statement  # noqa: PLC0415 - takes seconds to import

    row = {"crm_id": "1", "attributes": {"title": "a@b.example"}}
    explained = explain_statement(error, "CRM.ENRICHMENT_PIPELINE", {"rows": [row]})
    assert type(explained) is expected
    assert "a@b.example" not in str(explained)
    assert ("in the column attributes.title" in str(explained)) == (expected is RecordRefusedError)


def test_a_conflict_is_replayed_and_other_errors_are_not() -> None:
    """The whole verb is repeated until it gets through."""
    asked = []

    @replayed
    def verb() -> int:
        asked.append(1)
        if len(asked) < 3:
            raise ConflictError("again")
        return len(asked)

    assert verb() == 3


def test_a_long_list_goes_in_parts_and_counts_as_one(make_warehouse: MakeWarehouse) -> None:
    """No statement grows beyond its limit, and a contact that stands in two parts is staged once."""
    warehouse = make_warehouse("snowflake")
    records = [NewRecord("hubspot", str(number % 4500), "a@b.example", "manual", "live") for number in range(5000)]
    assert warehouse.stage(records) == 4500
    assert len(warehouse.peek(origin=Origin("hubspot"), lane="", limit=10_000)) == 4500
