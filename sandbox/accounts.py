"""The accounts at the stand-ins, and the settings that lead a pipeline to them, for demo and tests alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.settings import Settings
from sandbox.slack import WEBHOOK_PATH


@dataclass(frozen=True, slots=True)
class Account:
    """
    An account at a provider or a CRM.

    Args:
        path: of the API, below the sandbox's URL.
        credentials: the names of the stand-in's settings that hold them, by the pipeline's names;
            the first identifies the account.
        address: the pipeline's name of the setting that holds the URL.
    """

    path: str
    credentials: Mapping[str, str]
    address: str = "base_url"

    @property
    def identity(self) -> str:
        """Return the stand-in's setting that identifies the account."""
        return next(iter(self.credentials.values()))


_KEY = {"api_key": "api_key"}

#: By the provider's name; one that isn't here has no stand-in.
PROVIDERS: Mapping[str, Account] = {
    "zoominfo": Account("/zoominfo/gtm", {"client_id": "client_id", "client_secret": "client_secret"}),
    "zoominfo_legacy": Account("/zoominfo_legacy", {"username": "username", "password": "password"}),
    "clearbit": Account("/clearbit", _KEY),
    "peopledatalabs": Account("/peopledatalabs/v5", _KEY),
    "apollo": Account("/apollo/api/v1", _KEY),
    "hunter": Account("/hunter/v2", _KEY),
}

#: By the CRM's name. A CSV file needs no stand-in.
CRMS: Mapping[str, Account] = {
    "hubspot": Account("/hubspot", {"access_token": "token"}),
    "salesforce": Account(
        "/salesforce", {"consumer_key": "consumer_key", "consumer_secret": "consumer_secret"}, "login_url"
    ),
}

ACCOUNTS: Mapping[str, Account] = {**PROVIDERS, **CRMS}


def account_settings(name: str, url: str, options: Any = None) -> dict[str, str]:
    """
    Return the settings that lead a pipeline to an account.

    Args:
        name: of the provider or CRM.
        url: of the sandbox.
        options: the stand-in's present settings; None for those that it has at the beginning.
    """
    account = ACCOUNTS[name]
    options = options or getattr(Settings(), name)
    values = {account.address: url + account.path}
    values |= {setting: getattr(options, own) for setting, own in account.credentials.items()}
    return {f"ENRICHMENT_{name}_{setting}".upper(): value for setting, value in values.items()}


def notifier_settings(url: str, smtp_port: int) -> dict[str, str]:
    """Return the settings that send alerts to the stand-ins of Slack and a mail server."""
    return {
        "ENRICHMENT_NOTIFIERS": "slack,email",
        "ENRICHMENT_SLACK_WEBHOOK_URL": f"{url}/slack{WEBHOOK_PATH}",
        "ENRICHMENT_EMAIL_HOST": "127.0.0.1",
        "ENRICHMENT_EMAIL_PORT": str(smtp_port),
        "ENRICHMENT_EMAIL_SECURITY": "none",
        "ENRICHMENT_EMAIL_SENDER": "enrich@demo.example",
        "ENRICHMENT_EMAIL_RECIPIENTS": "revops@demo.example",
    }
