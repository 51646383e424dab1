"""Tokens as they are asked for on the wire."""

import json

from pydantic import SecretStr

from blocks.providers.http.auth import fetcher
from blocks.providers.spec.model import load_spec
from tests.integration.providers.stub import Response, running_stub


def test_a_token_is_asked_for_in_our_name() -> None:
    """Bot protection in front of an API refuses the default name of an HTTP client, with a page and status 403."""
    with running_stub() as stub:
        stub.answer = lambda _: Response(200, json.dumps({"access_token": "t", "expires_in": 3600}))
        secrets = {name: SecretStr("s") for name in ("client_id", "client_secret")}
        fetcher(load_spec("zoominfo"), stub.url, secrets)()
    assert [seen.headers["user-agent"] for seen in stub.seen] == ["contact-enrichment"]
