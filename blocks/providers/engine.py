"""The adapter of every provider that a spec describes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from blocks.providers.account import check_account
from blocks.providers.asking import Asking
from blocks.providers.base import Reading, Reply, Request
from blocks.providers.channel import Options, shared_for, terms_of, tls
from blocks.providers.interpret import read_reply
from blocks.providers.spec import ProviderSpec
from enrichment import identifiers
from enrichment.records import Contact


class HttpProvider:
    """
    A provider over HTTP.

    Args:
        spec: what the provider is.
        options: what the user sets.
    """

    def __init__(self, spec: ProviderSpec, options: Options) -> None:
        self.name = spec.id
        self.terms = terms_of(spec, options)
        self._spec = spec
        self._options = options
        self._shared = shared_for(spec, options)
        # They log whole URLs and headers, which may hold an address or a key.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    def choose_input(self, contact: Contact) -> dict[str, str] | None:
        """Return the identifiers to ask with, or None if the contact has too few."""
        return identifiers.choose_input(contact, self._spec.min_input)

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key; it counts the output fields of the spec, also those that the account lacks."""
        return identifiers.request_key(self.name, lookup_input, self._spec.output_fields.names)

    async def ask(self, requests: Sequence[Request], keep: Callable[[Sequence[Reply]], None]) -> list[Reply]:
        """Ask in native batches, concurrently, under the shared rate limit; see the protocol."""
        # One more than are under way at once, for a call that can't wait.
        connections = httpx.Limits(max_connections=self._options.concurrency + 1)
        async with httpx.AsyncClient(verify=tls(), limits=connections, follow_redirects=False) as client:
            return await Asking(self._spec, self._options, self._shared, client, keep).ask(requests)

    def read(self, body: Any) -> Reading:
        """Say what a journalled reply means by today's spec."""
        return read_reply(self._spec, body)

    def share(self, runs: int) -> None:
        """Pace for so many runs at work."""
        self._shared.pacer.share(runs)

    def check(self) -> str:
        """
        Make one free call and say what is left.

        Raises:
            EnrichmentError: it failed; the message says what to do.
        """
        return check_account(self._spec, self._options, self._shared)
