"""`enrich init`: questions, the folder that it writes, and what it leaves alone."""

import stat
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from dotenv import dotenv_values
from typer.testing import CliRunner

import cli
from blocks.base import block_class, module_names, own_fields
from blocks.crms.base import CrmBlock
from blocks.crms.mapping import read_rules
from blocks.kinds import KINDS
from blocks.providers.block import provider_block_class
from blocks.providers.spec.model import spec_names
from blocks.settings import read_price_book
from enrichment.estimate import Price
from tasks.own_folder import Choices, check_choices, folder_files, questions, unanswered

ROOT = Path(__file__).parents[2]
TOKEN = "pat-eu1-'quoted' \\ #not-a-comment"


def init(folder: Path, *options: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli.app, ["init", str(folder), *options], input=typed)


def settings(folder: Path) -> dict[str, str | None]:
    return dotenv_values(folder / ".env")


def test_without_questions_the_folder_has_what_the_choices_need(tmp_path: Path) -> None:
    """Only the chosen systems' settings are in .env, which others can't read; the other files are read back."""
    done = init(tmp_path / "new", "--yes", "--provider", "zoominfo,hunter", "--price", "hunter=0.1USD")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "new"
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert set(settings(folder)) == {
        *(f"ENRICHMENT_{name}" for name in ("CRM", "PROVIDER", "WAREHOUSE", "NOTIFIERS", "CREDITS_PER_DAY")),
        *(f"ENRICHMENT_{name}" for name in ("PRICE_BOOK", "HUBSPOT_MAPPING_FILE", "HUBSPOT_ACCESS_TOKEN")),
        *(f"ENRICHMENT_{name}" for name in ("ZOOMINFO_CLIENT_ID", "ZOOMINFO_CLIENT_SECRET", "HUNTER_API_KEY")),
    }
    rules = block_class("blocks.crms", "hubspot", CrmBlock)().default_rules()
    assert read_rules(folder / "mapping.yaml", ()) == rules
    assert read_price_book(folder / "prices.yaml") == {"hunter": Price(0.1, "USD")}
    assert (folder / "prefect.yaml").read_bytes() == (ROOT / "prefect.yaml").read_bytes()
    assert "fill in ENRICHMENT_ZOOMINFO_CLIENT_ID" in " ".join(done.stderr.split())


def test_at_a_terminal_it_asks(tmp_path: Path) -> None:
    """A wrong answer is asked again, a secret isn't shown, and a listener's settings are asked for if it is wanted."""
    address = "https://hooks.example.com/hubspot/webhook"
    answers = [
        "hubspt",
        "hubspot",
        "clearbit",
        "",
        "",
        "",
        "y",
        "500",
        "",
        "2",
        "0.2EUR",
        "the-key",
        TOKEN,
        "",
        address,
    ]
    done = init(tmp_path, typed="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert "unknown crm 'hubspt'" in done.stderr
    assert "'2' is not a price" in done.stderr
    assert not [secret for secret in ("the-key", TOKEN) if secret in done.output]
    found = settings(tmp_path)
    assert found["ENRICHMENT_CLEARBIT_API_KEY"] == "the-key"
    assert found["ENRICHMENT_HUBSPOT_ACCESS_TOKEN"] == TOKEN
    assert found["ENRICHMENT_HUBSPOT_TARGET_URL"] == address
    assert found["ENRICHMENT_CREDITS_PER_DAY"] == "500"
    assert read_price_book(tmp_path / "prices.yaml") == {"clearbit": Price(0.2, "EUR")}


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """Whatever differs is shown, of settings the names alone, and nothing is written; the same again is no problem."""
    assert init(tmp_path, "--yes").exit_code == 0
    assert init(tmp_path, "--yes").exit_code == 0
    (tmp_path / ".env").write_text("ENRICHMENT_CRM=hubspot\nENRICHMENT_HUBSPOT_ACCESS_TOKEN=very-secret\nMINE=1\n")
    (tmp_path / "prices.yaml").write_text("zoominfo: {price: 9, currency: EUR}\n")
    (tmp_path / "mapping.yaml").unlink()
    done = init(tmp_path, "--yes")
    assert done.exit_code == 2
    assert "ENRICHMENT_HUBSPOT_ACCESS_TOKEN: another value" in done.stderr
    assert "MINE: only in the file that is there" in done.stderr
    assert "ENRICHMENT_PROVIDER: not in the file that is there" in done.stderr
    assert "-zoominfo: {price: 9, currency: EUR}" in done.stderr
    assert "very-secret" not in done.output
    assert not (tmp_path / "mapping.yaml").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crm", "pipedrive"], "unknown crm 'pipedrive'"),
        (["--provider", "zoominfo,acme"], "unknown provider 'acme'"),
        (["--secrets", "paper"], "choose one of file, prefect, aws, google"),
        (["--price", "zoominfo=cheap"], "'cheap' is not a price"),
        (["--set", "ENRICHMENT_HUBSPOT_ACCESS_TOKEN=x"], "is a secret"),
        (["--set", "ENRICHMENT_SNOWFLAKE_USER=x"], "isn't asked for"),
        (["--set", "ENRICHMENT_SNOWFLAKE_USER"], "write it as `NAME=value`"),
        (["--prefect-api-url", "http://${HOST}/api"], "PREFECT_API_URL has `${` in it"),
    ],
)
def test_a_wrong_option_writes_nothing(tmp_path: Path, options: list[str], message: str) -> None:
    """One sentence says what is wrong."""
    done = init(tmp_path / "new", "--yes", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert not (tmp_path / "new").exists()


def test_secrets_in_a_store_are_named_and_not_asked_for(tmp_path: Path) -> None:
    """Each setting holds the name of its secret block; what isn't secret comes from `--set`, or is left as usual."""
    by_store = {
        store: folder_files(Choices(secrets=store, notifiers="slack"), {})[".env"] for store in ("prefect", "aws")
    }
    assert "ENRICHMENT_SLACK_WEBHOOK_URL=block:secret/slack-webhook-url\n" in by_store["prefect"]
    assert "_WEBHOOK_URL='block:aws-secret/contact-enrichment#slack_webhook_url'\n" in by_store["aws"]
    options = ["--warehouse", "redshift", "--set", "ENRICHMENT_REDSHIFT_HOST=db.example.com"]
    assert init(tmp_path, "--yes", *options).exit_code == 0
    found = settings(tmp_path)
    assert found["ENRICHMENT_REDSHIFT_HOST"] == "db.example.com"
    assert found["ENRICHMENT_REDSHIFT_DATABASE"] == "dev"
    assert found["ENRICHMENT_REDSHIFT_PASSWORD"] == ""


def test_what_may_stay_empty_is_not_to_be_filled_in() -> None:
    """BigQuery's key, for application default credentials, isn't; its project is."""
    asked = questions(Choices(warehouse="bigquery", notifiers="email"))
    missing = [name.removeprefix("ENRICHMENT_") for name in unanswered(asked, {})]
    assert [name for name in missing if name.startswith(("BIGQUERY", "EMAIL"))] == [
        *("BIGQUERY_PROJECT", "EMAIL_HOST", "EMAIL_SENDER", "EMAIL_RECIPIENTS")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_every_vendor_says_what_to_ask_for(kind: str) -> None:
    """What a block asks for are fields of it, described; every CRM has default rules."""
    for vendor in module_names(kind):
        cls = block_class(kind, vendor, KINDS[kind])
        asked = (*cls.asked, *(cls.asked_by_listener if issubclass(cls, CrmBlock) else ()))
        assert [name for name in asked if not own_fields(cls)[name].description] == []
        assert cls.optional <= set(asked)
        if issubclass(cls, CrmBlock):
            assert cls().default_rules()


@pytest.mark.parametrize("name", spec_names())
def test_every_provider_asks_for_its_credentials(name: str) -> None:
    """Each has at least one secret, and nothing else."""
    asked = questions(Choices(provider=name))
    own = [one for one in asked if one.variable.startswith(f"ENRICHMENT_{name}_".upper())]
    assert own
    assert all(one.secret for one in own)
    assert provider_block_class(name).asked


def test_a_saved_block_needs_no_answers() -> None:
    """What Prefect's block configures isn't asked for."""
    choices = Choices("hubspot/eu", "zoominfo/eu", "postgres/eu", "notification_block/ms-teams-webhook/ops")
    check_choices(choices)
    assert questions(choices) == []
    assert yaml.safe_load(folder_files(choices, {})["mapping.yaml"])
