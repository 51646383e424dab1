"""Clients that send slowly, or too much, keep nothing busy for long, and no other client out."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from sandbox.hubspot.signing import signed_headers
from tests.integration.triggers.conftest import (
    CLIENT_SECRET,
    TARGET_URL,
    MakeReceiver,
    Receiver,
    creation,
    now_ms,
)
from triggers.http import PatientProtocol


class Hasty(PatientProtocol):
    """Waits for a head as long as a test does."""

    head_seconds = 0.2


@pytest.fixture
def receiver(make_receiver: MakeReceiver) -> Receiver:
    """Give a receiver that doesn't wait for long."""
    return make_receiver(protocol=Hasty, answer_within_seconds=0.5)


@contextmanager
def connected(receiver: Receiver) -> Iterator[socket.socket]:
    address = urlsplit(receiver.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as client:
        yield client


def said(client: socket.socket) -> bytes:
    """Return what the receiver says until it closes the connection."""
    parts = []
    try:
        while part := client.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"P", b"POST /hubspot/webhook HTTP/1.1\r\nHost: x\r\nX-A: "])
def test_a_head_that_does_not_arrive_ends_the_connection(receiver: Receiver, sent: bytes) -> None:
    """Of nothing, of one byte, or of one header too few; others are served meanwhile."""
    with connected(receiver) as client:
        client.sendall(sent)
        assert receiver.deliver(creation(1)).status_code == 200
        assert said(client) == b""


def test_a_second_head_that_does_not_arrive_ends_the_connection(receiver: Receiver) -> None:
    """A connection that was good for one request is given no more patience than a new one."""
    with connected(receiver) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(b"G")
        assert b"HTTP/1.1" not in said(client)


def test_a_body_that_does_not_arrive_is_answered_with_retry(receiver: Receiver) -> None:
    """503 in the time that a request may take, however little of the body is there; then the connection ends."""
    signed = signed_headers(CLIENT_SECRET, TARGET_URL, b"[", now_ms())
    lines = [f"{name}: {value}" for name, value in signed.items()]
    head = ["POST /hubspot/webhook HTTP/1.1", "Host: x", "Content-Length: 1000", *lines, "", ""]
    with connected(receiver) as client:
        client.sendall("\r\n".join(head).encode() + b"[")
        assert client.recv(65_536).startswith(b"HTTP/1.1 503")
        client.sendall(b" ")
        said(client)
    assert receiver.deliver(creation(1)).status_code == 200


def test_a_head_that_is_too_large_is_refused(receiver: Receiver) -> None:
    """400, and the connection ends."""
    with connected(receiver) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX-A: " + b"a" * 70_000)
        assert said(client).startswith(b"HTTP/1.1 400")
