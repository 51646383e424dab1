"""Whatever stands in a file, a header or an event is read, or refused by an error of ours that says what to do."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.calls.messages import parse_json, whole
from blocks.crms.hubspot.api import HubSpotApi
from blocks.crms.hubspot.block import _calls_left
from blocks.crms.hubspot.contacts import DEFAULT_RULES
from blocks.crms.mapping import read_rules
from blocks.csv_files.table import open_table
from blocks.providers.spec.model import parse_spec
from blocks.settings import load_settings, read_price_book
from enrichment.errors import EnrichmentError
from enrichment.retry import asked_wait
from enrichment.text import is_storable
from sandbox.salesforce.event_schemas import schema_of
from tests.fuzz.inputs import BODIES, HEADERS, MARK, NUMBERS, VALUES, WORDS, fuzzed, json_of
from triggers.salesforce.pubsub_pb2 import ConsumerEvent
from triggers.salesforce.topic import Fields, Topic, read_position

NOW = datetime(2026, 11, 23, tzinfo=UTC)
YAML = st.one_of(
    VALUES.map(json_of),
    BODIES,
    st.lists(
        st.sampled_from(
            [
                "- ",
                "a: ",
                "zoominfo: {price: ",
                "field: ",
                "2001-99-99",
                "0o9",
                "!!python/object:os.system ",
                "&a ",
                "*a ",
                "\n",
                "  ",
                "}",
                MARK,
                ": ",
            ]
        ),
        max_size=12,
    ).map(lambda parts: "".join(parts).encode()),
)


@fuzzed
@given(body=BODIES)
def test_json_of_others_is_read_as_something_that_can_be_stored(body: bytes) -> None:
    """Or as None."""
    assert is_storable(json.dumps(parse_json(body), ensure_ascii=False))


@fuzzed
@given(
    value=NUMBERS | WORDS | st.datetimes().map(str), date=WORDS, form=st.sampled_from(["epoch_s", "iso8601", "delta_s"])
)
def test_a_wait_is_a_number_of_seconds_or_none(value: str, date: str, form: str) -> None:
    """In Retry-After, in the hint of a body and in the header of a rate's reset."""
    for headers, hint in (({"retry-after": value, "date": date}, None), ({}, value), ({"reset": value}, None)):
        wait = asked_wait(headers, now=NOW, body_hint=hint, reset=("reset", form))
        assert wait is None or 0 <= wait < float("inf")


@fuzzed
@given(headers=HEADERS)
def test_a_rate_in_headers_is_adopted_or_passed_over(headers: dict[str, str]) -> None:
    """Of HubSpot's answers; a sign that looks like a digit, or thousands of them, is no number."""
    api = HubSpotApi(
        base_url="http://localhost", api_version="v3", read_token=lambda: "t", per_second=10.0, timeouts=(1, 1)
    )
    api._learn_rate(headers)
    _calls_left(headers)
    api.close()
    assert all(whole(value) is None or value.isascii() for value in headers.values())


@fuzzed
@given(
    text=BODIES.map(lambda body: body.decode(errors="replace"))
    | st.fixed_dictionaries({"replay_id": WORDS, "reached_at": WORDS}).map(json.dumps)
)
def test_a_stored_place_is_read_or_begun_anew(text: str) -> None:
    """Of a listener, as event_cursors has it."""
    assert isinstance(read_position(text).replay_id, bytes)


def refusal_of(read: Callable[[], Any]) -> str:
    """Return why something isn't read, by an error of ours; empty if it is."""
    try:
        read()
    except EnrichmentError as error:
        return str(error)
    return ""


FILES: dict[str, Callable[[Path], Any]] = {
    "a price book": read_price_book,
    "a mapping": lambda path: read_rules(path, DEFAULT_RULES),
    "a provider": lambda path: parse_spec(path.read_text("utf-8", "replace"), path.name),
    "a list": lambda path: open_table(path, ["crm_id", "email"]),
    "a list of people": lambda path: [
        *open_table(path, ["email", "first_name", "last_name", "company_name"], required=["email"]).rows()
    ],
}
ROWS = st.lists(st.lists(WORDS, max_size=3).map(",".join), max_size=4).map(
    lambda rows: "\n".join(["crm_id,email,x", *rows]).encode()
)


@pytest.mark.parametrize("kind", FILES)
@fuzzed
@given(content=YAML | ROWS | st.binary(max_size=200))
def test_a_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, kind: str, content: bytes) -> None:
    """The message names the file, and no value in it."""
    path = tmp_path_factory.getbasetemp() / f"fuzzed-{kind.replace(' ', '-')}"
    path.write_bytes(content)
    assert path.name in (refusal_of(lambda: FILES[kind](path)) or path.name)


@fuzzed
@given(
    content=YAML
    | st.lists(
        st.sampled_from(
            [
                "ENRICHMENT_CHUNK_SIZE",
                "ENRICHMENT_FRESH_DAYS",
                "=",
                "'",
                '"',
                "\n",
                "export ",
                "${A}",
                "#",
                "²",
                "\\",
                MARK,
            ]
        ),
        max_size=10,
    ).map(lambda parts: "".join(parts).encode())
)
def test_an_env_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """The message has no value of it: it may be a secret."""
    path = tmp_path_factory.getbasetemp() / "fuzzed.env"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ENRICHMENT_ENV_FILE", str(path))
        assert MARK not in refusal_of(load_settings)


class Answers:
    """The one call that a topic makes to read events."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def schema(self, _: str) -> str:
        return self._schema


@pytest.mark.parametrize("name", ["/data/ContactChangeEvent", "/event/Contact_Created__e"])
@fuzzed
@given(payload=st.binary(max_size=120))
def test_an_event_is_read_or_looked_for_by_query(caplog: pytest.LogCaptureFixture, name: str, payload: bytes) -> None:
    """Of any bytes: one event that can't be read holds up no other."""
    schema = schema_of(name, 1)
    caplog.clear()
    topic = Topic(name, Fields("Contact_Id__c", "Email__c"))
    event = ConsumerEvent()
    event.event.schema_id, event.event.payload = schema.id, payload
    [meaning] = topic.read(Answers(schema.text), [event])
    assert meaning.query_needed or meaning.committed_at is not None or not meaning.contacts
    assert MARK not in caplog.text
