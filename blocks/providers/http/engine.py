"""The adapters of every provider that a spec describes, and of its follow-ups, and the doctor's free call."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx

from blocks.base import variable_prefix
from blocks.calls import background
from blocks.calls.loop import Purpose, make_call
from blocks.calls.messages import Answer, Call
from blocks.calls.tls import tls
from blocks.providers.base import BELOW_MIN_CONFIDENCE, Reading, Reply, Request, unhindered
from blocks.providers.http.asking import Asking
from blocks.providers.http.auth import credential_names
from blocks.providers.http.channel import (
    Options,
    Shared,
    build_request,
    line_to,
    read_answer,
    shared_for,
    terms_of,
)
from blocks.providers.http.follow_ups import choose_key, follow_up_spec, further_pages
from blocks.providers.http.interpret import read_reply
from blocks.providers.http.steps import Action, Step, next_step, wait_of_answer
from blocks.providers.spec.follow_ups import FollowUp
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import Usage
from enrichment import identifiers
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    TransientError,
)
from enrichment.records import ENRICHED, Contact, Outcome


class HttpProvider:
    """
    A provider over HTTP.

    Args:
        spec: what the provider is.
        options: what the user sets.
    """

    def __init__(self, spec: ProviderSpec, options: Options) -> None:
        self.name = spec.id
        self.step = ""
        self.terms = terms_of(spec, options)
        self.cache_days: int | None = None
        self.miss_days = spec.miss_days
        self._spec = spec
        self._options = options
        self._shared = shared_for(spec, options)
        switched_on = [one for one in spec.follow_ups if one.name in options.follow_ups]
        self.follow_ups = tuple(HttpFollowUp(spec, one, options) for one in switched_on)
        # They log whole URLs and headers, which may hold an address or a key.
        for library in ("httpx", "httpcore"):
            logging.getLogger(library).setLevel(logging.WARNING)

    def choose_input(self, contact: Contact) -> dict[str, str] | None:
        """Return the identifiers to query with, or None if the contact has too few."""
        return identifiers.choose_input(contact, self._spec.min_input)

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key; it counts the output fields of the spec, also those that the account lacks."""
        return identifiers.request_key(self.name, lookup_input, self._spec.output_fields.names)

    def ask(
        self,
        requests: Sequence[Request],
        keep: Callable[[Sequence[Reply]], None],
        refusal: Callable[[], str] = unhindered,
    ) -> list[Reply]:
        """Ask in native batches, concurrently, under the shared rate limit; see the protocol."""
        return background.run(Asking(self._spec, self._options, self._shared, keep, refusal).ask(requests))

    def read(self, body: Any) -> Reading:
        """Say what a journalled reply means by today's spec and today's least confidence."""
        reading = read_reply(self._spec, body)
        sure = reading.confidence is None or reading.confidence >= self._options.min_confidence
        if reading.outcome in ENRICHED and not sure:
            return replace(reading, outcome=Outcome.UNMATCHED, reason=BELOW_MIN_CONFIDENCE, fields={})
        return reading

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._shared.pacer.share(fraction)

    def check(self) -> str:
        """
        Make one free call and say what is left.

        Raises:
            EnrichmentError: it failed; the message says what to do.
        """
        return check_account(self._spec, self._options, self._shared)


class HttpFollowUp:
    """
    A follow-up of such a provider, called with its credentials and at its pace.

    Args:
        spec: the spec of the provider.
        follow_up: what the follow-up is.
        options: what the user sets for the provider.
    """

    def __init__(self, spec: ProviderSpec, follow_up: FollowUp, options: Options) -> None:
        self.name = spec.id
        self.step = follow_up.name
        self.fills = frozenset(follow_up.fields)
        self.cache_days = follow_up.cache_days
        self.miss_days: int | None = None
        self._contacts = spec
        self._follow_up = follow_up
        self._chosen = options.follow_ups[follow_up.name]
        size = follow_up.batch.default or follow_up.batch.max
        own = follow_up_spec(spec, follow_up, self._chosen)
        self._calls = HttpProvider(own, replace(options, batch_size=size))
        self.terms = self._calls.terms

    def choose_input(self, contact_reply: Any) -> dict[str, str] | None:
        """Return what to query, by a contact's journalled reply; None if the reply names no company."""
        return choose_key(self._contacts, self._follow_up, contact_reply)

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key; it counts the output fields and the values that the user chose."""
        asked = [*self._follow_up.output_fields.names, *map(identifiers.same_text, self._chosen)]
        return identifiers.follow_up_key(self.name, self.step, lookup_input, asked)

    def further_pages(self, lookup_input: Mapping[str, str], body: Any) -> list[dict[str, str]]:
        """Return what to query for the pages behind the first one, by the first one's journalled reply."""
        return further_pages(self._follow_up.pages, lookup_input, body)

    def ask(
        self,
        requests: Sequence[Request],
        keep: Callable[[Sequence[Reply]], None],
        refusal: Callable[[], str] = unhindered,
    ) -> list[Reply]:
        """Ask as the provider does; see the protocol."""
        return self._calls.ask(requests, keep, refusal)

    def read(self, body: Any) -> Reading:
        """Say what a journalled reply means by today's spec."""
        return self._calls.read(body)

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._calls.share(fraction)


def check_account(spec: ProviderSpec, options: Options, shared: Shared) -> str:
    """
    Return a line that says that the provider answers and what is left.

    Raises:
        EnrichmentError: it doesn't; the message says what to do.
    """
    usage = spec.usage
    if usage is None:
        shared.credentials.get()
        return f"{spec.title}: credentials are set; there is no free call to test them with"
    answer = _free_call(spec, options, shared, usage)
    step = next_step(spec, answer, ())
    if step.action is not Action.READ:
        raise _refusal(spec, options, answer, step)
    remaining, limit = usage.remaining.find(answer.body), usage.limit.find(answer.body)
    if remaining is None or limit is None:
        return f"{spec.title} answers, but doesn't say what is left"
    return f"{spec.title} answers; credits left {_figure(remaining)} of {_figure(limit)}"


def _free_call(spec: ProviderSpec, options: Options, shared: Shared, usage: Usage) -> Answer:
    call = Call("GET", usage.path, headers={"Accept": spec.request.accept, **spec.request.headers})

    def send(grant: str) -> Answer:
        try:
            with httpx.Client(verify=tls(), follow_redirects=False) as client:
                return read_answer(client.send(build_request(spec, options, call, grant)))
        except httpx.HTTPError as error:
            raise TransientError(
                f"{spec.title} can't be reached at {options.base_url} ({type(error).__name__}): "
                f"check the network and {_variable(spec, 'base_url')}"
            ) from None

    answer: Answer = make_call(line_to(spec, shared), Purpose(f"GET {usage.path}"), send, lambda answer: answer)
    return answer


def _refusal(spec: ProviderSpec, options: Options, answer: Answer, step: Step) -> EnrichmentError:
    said = f"{spec.title} answers {answer.status} ({step.meaning.reason})"
    if step.meaning.outcome is Outcome.QUOTA_EXHAUSTED:
        return QuotaExhaustedError(f"{said}: the allowance is used up; raise it or wait for its renewal")
    if answer.status in {401, 403}:
        names = ", ".join(_variable(spec, name) for name in credential_names(spec.auth))
        return CredentialsRejectedError(f"{said}: check {names}, and what the account is entitled to")
    if step.action is Action.REPEAT and not answer.success:
        wait = wait_of_answer(spec, answer, step.fault, datetime.now(UTC))
        later = f"{said}: try again later"
        return TransientError(later) if wait is None else PostponedError(f"{later}, after {wait:.0f} s", wait)
    return ConfigurationError(f"{said} at {options.base_url}: check {_variable(spec, 'base_url')}")


def _variable(spec: ProviderSpec, field: str) -> str:
    return f"{variable_prefix(spec.id)}{field}".upper()


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)
