"""The doctor's free call: does the provider answer to these credentials, and what is left?"""

from datetime import UTC, datetime
from typing import Any

import httpx

from blocks.base import variable_prefix
from blocks.calls.loop import Purpose, make_call
from blocks.calls.messages import Answer, Call
from blocks.providers.http.auth import credential_names
from blocks.providers.http.channel import Options, Shared, build_request, line_to, read_answer, tls
from blocks.providers.http.steps import Action, Step, next_step, wait_of_answer
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import Usage
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    TransientError,
)
from enrichment.outcomes import Outcome


def check_account(spec: ProviderSpec, options: Options, shared: Shared) -> str:
    """
    Return a line that says that the provider answers and what is left.

    Raises:
        EnrichmentError: it doesn't; the message says what to do.
    """
    usage = spec.usage
    if usage is None:
        shared.credentials.get()
        return f"{spec.title}: credentials are set; there is no free call to try them with"
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
