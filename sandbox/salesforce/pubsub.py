"""The Pub/Sub API of the org: gRPC over TLS, with a certificate that is made at the start."""

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import fastavro
import grpc

from sandbox.salesforce.certificates import make_authority
from sandbox.salesforce.event_bus import BusError, Event, EventBus, replay_id
from sandbox.salesforce.event_streams import EventStream, Message, Wish
from sandbox.salesforce.service import Salesforce
from sandbox.salesforce.sessions import ORG_ID
from triggers.salesforce import pubsub_pb2 as api
from triggers.salesforce.pubsub_pb2_grpc import PubSubServicer, add_PubSubServicer_to_server

HOST = "localhost"
PREFIX = "sfdc.platform.eventbus.grpc."
_THREADS = 32


class Holder(Protocol):
    """Something that has the present world."""

    @property
    def world(self) -> Any:
        """Return it."""


@dataclass(frozen=True, slots=True)
class EventsAddress:
    """Where the API is, and the file of who vouches for it."""

    endpoint: str
    ca_file: Path


@contextmanager
def serve_events(holder: Holder, folder: Path) -> Iterator[EventsAddress]:
    """Serve the present world's events on a free port; the authority's certificate is put into the folder."""
    authority = make_authority(HOST)
    ca_file = folder / "events-ca.pem"
    ca_file.write_bytes(authority.certificate)
    server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="pubsub"))
    add_PubSubServicer_to_server(PubSub(holder), server)  # type: ignore[no-untyped-call]
    credentials = grpc.ssl_server_credentials([(authority.server_key, authority.server_certificate)])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield EventsAddress(f"{HOST}:{port}", ca_file)
    finally:
        server.stop(grace=None).wait()


class PubSub(PubSubServicer):
    """Answers the calls; their names are those of the interface file."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    def GetTopic(self, request: api.TopicRequest, context: Any) -> api.TopicInfo:  # noqa: N802
        """Answer what there is to know about a topic."""
        org = self._admit(context)
        with _bus_errors(context):
            org.bus.meet("GetTopic")
            schema = org.bus.schema(request.topic_name)
        return api.TopicInfo(
            topic_name=request.topic_name,
            tenant_guid=ORG_ID,
            can_publish=request.topic_name.startswith("/event/"),
            can_subscribe=org.settings.subscribable,
            schema_id=schema.id,
        )

    def GetSchema(self, request: api.SchemaRequest, context: Any) -> api.SchemaInfo:  # noqa: N802
        """Answer with a schema, also one of before."""
        org = self._admit(context)
        with _bus_errors(context):
            org.bus.meet("GetSchema")
            org.bus.totals["schemas_asked"] += 1
            schema = org.bus.schemas.get(request.schema_id)
            if schema is None:
                raise BusError("NOT_FOUND", "schema.not.found")
        return api.SchemaInfo(schema_json=schema.text, schema_id=schema.id)

    def Publish(self, request: api.PublishRequest, context: Any) -> api.PublishResponse:  # noqa: N802
        """Take events that the caller encoded."""
        org = self._admit(context)
        with _bus_errors(context):
            results = [
                api.PublishResult(
                    replay_id=replay_id(org.bus.publish(request.topic_name, payload=event.payload).number),
                    correlation_key=event.id,
                )
                for event in request.events
            ]
            schema = org.bus.schema(request.topic_name)
        return api.PublishResponse(results=results, schema_id=schema.id)

    def Subscribe(self, requests: Iterator[api.FetchRequest], context: Any) -> Iterator[api.FetchResponse]:  # noqa: N802
        """Send events as they come, as many as are asked for."""
        org = self._admit(context)
        with _bus_errors(context), _counted(org.bus):
            stream = EventStream(org.bus, org.options, _wish(next(requests)))
            context.add_callback(stream.finish)
            threading.Thread(target=_listen, args=(requests, stream), daemon=True).start()
            while context.is_active() and not stream.over:
                if self._holder.world.salesforce is not org:
                    raise BusError("UNAVAILABLE")
                message = stream.next()
                if message:
                    yield _response(org.bus, message)
                    _pause(org.settings.events_pause_seconds)

    def _admit(self, context: Any) -> Salesforce:
        org: Salesforce = self._holder.world.salesforce
        given = {key: str(value) for key, value in context.invocation_metadata()}
        if given.get("tenantid") != ORG_ID or not given.get("instanceurl", "").startswith(("http://", "https://")):
            _abort(context, BusError("UNAUTHENTICATED", "service.auth.headers.invalid"))
        if not org.sessions.holds(given.get("accesstoken", "")) or not org.settings.sessions_hold:
            _abort(context, BusError("UNAUTHENTICATED", "service.auth.error"))
        return org


def _listen(requests: Iterator[api.FetchRequest], stream: EventStream) -> None:
    try:
        for request in requests:
            stream.ask(_wish(request))
    except grpc.RpcError:
        pass  # the subscriber has gone
    finally:
        stream.finish()


def _wish(request: api.FetchRequest) -> Wish:
    return Wish(request.topic_name, request.replay_preset, request.replay_id, request.num_requested)


def _response(bus: EventBus, message: Message) -> api.FetchResponse:
    return api.FetchResponse(
        events=[
            api.ConsumerEvent(
                event=api.ProducerEvent(id=event.id, schema_id=event.schema_id, payload=_payload(bus, event)),
                replay_id=replay_id(event.number),
            )
            for event in message.events
        ],
        latest_replay_id=replay_id(message.reached),
        pending_num_requested=message.pending,
    )


def _payload(bus: EventBus, event: Event) -> bytes:
    if event.values is None:
        return event.payload
    buffer = io.BytesIO()
    schema = fastavro.parse_schema(json.loads(bus.schemas[event.schema_id].text))
    fastavro.schemaless_writer(buffer, schema, dict(event.values))
    return buffer.getvalue()


def _pause(seconds: float) -> None:
    if seconds:
        threading.Event().wait(seconds)


@contextmanager
def _bus_errors(context: Any) -> Iterator[None]:
    try:
        yield
    except BusError as error:
        _abort(context, error)


@contextmanager
def _counted(bus: EventBus) -> Iterator[None]:
    with bus.changed:
        bus.totals["streams"] += 1
        bus.totals["streams_open"] += 1
    try:
        yield
    finally:
        with bus.changed:
            bus.totals["streams_open"] -= 1


def _abort(context: Any, error: BusError) -> NoReturn:
    if error.code:
        context.set_trailing_metadata((("error-code", PREFIX + error.code), ("rpc-id", "00000000-sandbox")))
    context.abort(getattr(grpc.StatusCode, error.status), f"the sandbox says {error.code or error.status}")
    raise AssertionError
