"""Secrets kept by AWS and by Google, read through Prefect's own blocks with the vendors' own clients."""

import json
import logging
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import get_current_settings
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
    from tests.integration.secret_stores import aws  # noqa: PLC0415 - the clouds' libraries take a second to import

    secrets = {
        "crm/text": VALUE,
        "crm/bytes": VALUE.encode(),
        "crm/binary": b"\xff\xfe" + VALUE.encode(),
        "crm/object": json.dumps({"token": VALUE, "port": 5432}),
        TOKENS: "{}",
        "crm/absent": None,
    }
    with aws(secrets, ACCESS_KEY) as client:
        yield client


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
        assert f"--extra {extra}`" in answers[reference]


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


@pytest.fixture(scope="module")
def google_environment(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the environment in which Google's client calls a Secret Manager on the loopback; each secret has a block."""
    from tests.integration.secret_stores import google  # noqa: PLC0415 - as above

    secrets = {
        "crm-text": VALUE.encode(),
        "crm-binary": b"\xff\xfe",
        "crm-object": json.dumps({"token": VALUE}).encode(),
    }
    with google(
        {**secrets, "crm-absent": None}, f"not found; {VALUE}", tmp_path_factory.mktemp("google")
    ) as environment:
        yield environment


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
