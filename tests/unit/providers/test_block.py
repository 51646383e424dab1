"""Blocks of providers: what a user may set, and how it is refused."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.providers.block import load_provider, make_block_class, provider_block_class
from blocks.providers.http.engine import HttpProvider
from blocks.providers.http.interpret import addresses_of
from blocks.providers.spec.model import load_spec, spec_path
from enrichment.errors import ConfigurationError
from enrichment.records import Contact, Outcome
from tests.unit.providers.samples import CARDFILE


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_CLIENT_ID", "id")
    monkeypatch.setenv("ENRICHMENT_ZOOMINFO_CLIENT_SECRET", "secret")


def test_each_provider_has_a_block_type_of_its_own() -> None:
    """Common fields, a secret for each credential, a switch for each follow-up, and what else its spec can do."""
    zoominfo, cardfile = provider_block_class("zoominfo"), make_block_class(CARDFILE)
    assert (zoominfo.get_block_type_slug(), cardfile.get_block_type_slug()) == (
        "zoominfo-provider",
        "cardfile-provider",
    )
    common = {"base_url", "requests_per_second", "concurrency", "batch_size"}
    own = {"client_id", "client_secret", "min_confidence", "tech_stack", "intent_topics"}
    assert set(zoominfo.model_fields) == common | own
    assert set(cardfile.model_fields) == common | {"api_key", "min_confidence"}
    assert provider_block_class("zoominfo") is zoominfo


def test_a_corrected_spec_makes_another_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user's own file goes before the packaged one, and a change of it is seen."""
    packaged = provider_block_class("zoominfo")
    written = spec_path("zoominfo").read_text("utf-8")
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path))
    own = tmp_path / "zoominfo.yaml"
    own.write_text(written.replace("title: ZoomInfo", "title: Mine"), "utf-8")
    first = provider_block_class("zoominfo")
    own.write_text(written.replace("title: ZoomInfo", "title: Ours"), "utf-8")
    os.utime(own, ns=(1, 1))
    assert [cls.spec.title for cls in (packaged, first, provider_block_class("zoominfo"))] == [
        "ZoomInfo",
        "Mine",
        "Ours",
    ]


def test_a_block_hides_its_secrets() -> None:
    """Neither repr nor dump of a block shows a credential."""
    block = make_block_class(CARDFILE)(api_key=SecretStr("hush"))
    assert "hush" not in f"{block!r} {block.model_dump_json()}"


def test_the_adapter_is_made_from_the_environment(credentials: None) -> None:
    """With both credentials set, the adapter is there, and nothing was called."""
    provider = load_provider("zoominfo")
    assert provider.name == "zoominfo"
    assert provider.choose_input(Contact("1", email=" Ada@X.example ")) == {"email": "ada@x.example"}
    named = Contact("1", first_name="Ada", last_name="Byron", company_name="Engines")
    assert provider.choose_input(named) == {"first_name": "Ada", "last_name": "Byron", "company_name": "Engines"}
    assert provider.choose_input(Contact("1", first_name="Ada", last_name="Byron")) is None


def test_a_missing_credential_names_its_variable() -> None:
    """Who forgot both learns of both at once."""
    with pytest.raises(ConfigurationError, match="ENRICHMENT_ZOOMINFO_CLIENT_ID and ENRICHMENT_ZOOMINFO_CLIENT_SECRET"):
        load_provider("zoominfo")


def test_an_unknown_provider_lists_those_found() -> None:
    """A typing mistake in a reference is answered with the names that would have worked."""
    with pytest.raises(ConfigurationError, match=r"unknown provider 'acme': choose one of .*zoominfo"):
        load_provider("acme")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BASE_URL", "api.zoominfo.com"),
        ("BASE_URL", "http://"),
        ("BASE_URL", "http://host:port"),
        ("CONCURRENCY", "0"),
        ("BATCH_SIZE", "many"),
        ("REQUESTS_PER_SECOND", "-1"),
    ],
)
def test_a_wrong_setting_is_named(
    credentials: None, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """The message names the variable."""
    monkeypatch.setenv(f"ENRICHMENT_ZOOMINFO_{variable}", value)
    with pytest.raises(ConfigurationError, match=f"ENRICHMENT_ZOOMINFO_{variable}"):
        load_provider("zoominfo")


def test_no_batch_is_larger_than_the_provider_takes(credentials: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller batch is the user's choice, a larger one is cut."""
    sizes = []
    for size in ("10", "100"):
        monkeypatch.setenv("ENRICHMENT_ZOOMINFO_BATCH_SIZE", size)
        provider = load_provider("zoominfo")
        assert isinstance(provider, HttpProvider)
        sizes.append(provider._options.batch_size)
    assert sizes == [10, 25]


def test_a_request_key_knows_what_was_asked_for(
    credentials: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Case doesn't change the key; other output fields or another provider do."""
    provider = load_provider("zoominfo")
    key = provider.request_key({"email": "ada@x.example"})
    assert key == provider.request_key({"email": "ADA@x.example"})
    assert key != provider.request_key({"email": "bob@x.example"})
    fewer = CARDFILE.model_copy(update={"output_fields": CARDFILE.output_fields.model_copy(update={"names": ("id",)})})
    keys = {
        make_block_class(spec)(api_key="k").get_provider().request_key({"email": "ada@x.example"})
        for spec in (CARDFILE, fewer)
    }
    assert len(keys | {key}) == 3


@pytest.mark.parametrize(
    ("limit", "likelihood", "expected"),
    [
        (None, 4, (Outcome.UNMATCHED, "below_min_confidence", {})),
        (None, 5, (Outcome.MATCHED, "", {"title": "CTO"})),
        ("40", 4, (Outcome.MATCHED, "", {"title": "CTO"})),
        ("0", 2, (Outcome.MATCHED, "", {"title": "CTO"})),
        ("80.5", 8, (Outcome.UNMATCHED, "below_min_confidence", {})),
        (None, None, (Outcome.MATCHED, "", {"title": "CTO"})),
    ],
)
def test_a_match_needs_the_least_confidence_of_today(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, likelihood: int | None, expected: tuple[object, ...]
) -> None:
    """By the spec's limit or the user's, when the saved reply is read; an answer that doesn't say counts."""
    monkeypatch.setenv("ENRICHMENT_PEOPLEDATALABS_API_KEY", "made up")
    if limit is not None:
        monkeypatch.setenv("ENRICHMENT_PEOPLEDATALABS_MIN_CONFIDENCE", limit)
    body = {"status": 200, "likelihood": likelihood, "data": {"id": "1", "job_title": "CTO"}}
    reading = load_provider("peopledatalabs").read(body)
    assert (reading.outcome, reading.reason, reading.fields) == expected


@pytest.mark.parametrize(
    ("provider", "item", "addresses"),
    [
        ("zoominfo", {"attributes": {"email": "Ada@X.example"}}, {"ada@x.example"}),
        ("zoominfo_legacy", {"data": [{"email": "ada@x.example"}]}, {"ada@x.example"}),
        ("clearbit", {"person": {"email": "ada@x.example"}}, {"ada@x.example"}),
        ("hunter", {"data": {"person": {"email": "ada@x.example"}}}, {"ada@x.example"}),
        ("apollo", {"id": "1", "email": "ada@x.example"}, {"ada@x.example"}),
        ("apollo", {"id": "1", "title": "CTO", "email": "email_not_unlocked@domain.com"}, set()),
        (
            "peopledatalabs",
            {"data": {"work_email": True, "personal_emails": ["a@x.example"], "emails": [{"address": "b@x.example"}]}},
            {"a@x.example", "b@x.example"},
        ),
        ("clearbit", {"person": None, "company": {"name": "X"}}, set()),
    ],
)
def test_an_answer_says_which_addresses_the_person_has(provider: str, item: object, addresses: set[str]) -> None:
    """In their one form; a placeholder and what the plan hides aren't addresses."""
    assert addresses_of(load_spec(provider), item) == addresses
