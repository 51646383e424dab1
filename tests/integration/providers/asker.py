"""Asks a provider as the pipeline does, and remembers what was kept in the journal and when."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from blocks.providers.base import Reply, Request
from blocks.providers.block import make_block_class
from blocks.providers.http.engine import HttpProvider
from blocks.providers.spec.model import ProviderSpec


@dataclass
class Journal:
    """Remembers the replies of each call of `keep`."""

    calls: list[list[Reply]] = field(default_factory=list)

    def keep(self, replies: Sequence[Reply]) -> None:
        self.calls.append(list(replies))

    @property
    def replies(self) -> list[Reply]:
        return [reply for call in self.calls for reply in call]


def make_provider(spec: ProviderSpec, base_url: str, **settings: Any) -> HttpProvider:
    """Return the adapter of a spec that is to call another address."""
    secrets = {name: SecretStr(value) for name, value in settings.items() if isinstance(value, str)}
    others = {name: value for name, value in settings.items() if not isinstance(value, str)}
    provider = make_block_class(spec)(base_url=base_url, **secrets, **others).get_provider()
    assert isinstance(provider, HttpProvider)
    return provider


def impatient(spec: ProviderSpec, **changes: Any) -> ProviderSpec:
    """Return the spec with waits of its own that take no time; the server's waits stay."""
    retry = spec.retry.model_copy(update={"base_seconds": 0.001, "cap_seconds": 0.01, **changes})
    return spec.model_copy(update={"retry": retry})


def requests_for(provider: HttpProvider, emails: Sequence[str]) -> list[Request]:
    """Return a request for each address."""
    return [Request(provider.request_key({"email": email}), {"email": email}) for email in emails]


def ask(provider: HttpProvider, emails: Sequence[str], journal: Journal | None = None) -> dict[str, Reply]:
    """Ask for addresses and return each one's reply; there is exactly one for each request."""
    requests = requests_for(provider, emails)
    replies = provider.ask(requests, (journal or Journal()).keep)
    assert sorted(reply.key for reply in replies) == sorted(request.key for request in requests)
    by_key = {reply.key: reply for reply in replies}
    return {request.lookup_input["email"]: by_key[request.key] for request in requests}
