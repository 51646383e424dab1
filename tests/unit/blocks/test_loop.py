"""The one loop of all calls: what is repeated, renewed, held and logged, blocking and on an event loop alike."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

import pytest

from blocks.calls.credentials import CredentialSource, Grant
from blocks.calls.loop import CallPool, Line, Purpose, Unanswered, make_call, make_call_async
from blocks.calls.messages import Answer
from blocks.calls.pacing import Pacer
from enrichment.errors import PostponedError, TransientError
from enrichment.retry import ONCE, Fault, RetryPolicy, Trouble, Verdict

POLICY = RetryPolicy(attempts=3, attempts_after_server_error=2, attempts_after_lost_answer=3, base_seconds=0.0)
GOOD = Answer(200, {}, "good")
DENIED = Answer(401, {})
BUSY = Trouble(Fault.UNAVAILABLE, "status 503")
LOST = Trouble(Fault.LOST_ANSWER, "the network failed")
UNSENT = Trouble(Fault.CONNECT, "the network failed")
BUG = Trouble(Fault.SERVER_ERROR, "status 500")


@dataclass
class Service:
    """Answers calls from a list, whose last entry lasts, and remembers with which token each came."""

    answers: list[Answer | Trouble]
    tokens: list[str] = field(default_factory=lambda: ["t1", "t2", "t3"])
    seen: list[str] = field(default_factory=list)
    pacer: Pacer = field(default_factory=lambda: Pacer("weather", 1e6))

    def line(self, *, forgives: bool = False) -> Line[str]:
        source = CredentialSource(self.issue, "weather")
        return Line("weather", "The weather", POLICY, self.pacer, source, forgives=forgives)

    def issue(self) -> Grant[str]:
        return Grant(self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0])

    def send(self, grant: str) -> Answer | Trouble:
        self.seen.append(grant)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


Caller = Callable[[Service, Line[str], Purpose], Answer | Unanswered]


def blocking(service: Service, line: Line[str], purpose: Purpose) -> Answer | Unanswered:
    return make_call(line, purpose, service.send, lambda answer: answer)


def on_a_loop(service: Service, line: Line[str], purpose: Purpose) -> Answer | Unanswered:
    @contextlib.asynccontextmanager
    async def gate() -> AsyncIterator[None]:
        yield

    async def send(grant: str) -> Answer | Trouble:
        return service.send(grant)

    async def judge(answer: Answer) -> Answer | Trouble:
        return answer

    return asyncio.run(make_call_async(line, purpose, send, judge, gate))


CALLERS = pytest.mark.parametrize("call", [blocking, on_a_loop])


@CALLERS
@pytest.mark.parametrize(
    ("answers", "seen"),
    [
        ([GOOD], ["t1"]),
        ([BUSY, GOOD], ["t1", "t1"]),
        ([UNSENT, BUSY, GOOD], ["t1", "t1", "t1"]),
        ([BUG, GOOD], ["t1", "t1"]),
        ([DENIED, GOOD], ["t1", "t2"]),
        ([BUSY, DENIED, LOST, GOOD], ["t1", "t1", "t2", "t2"]),
    ],
)
def test_what_heals_is_repeated_until_the_answer(
    call: Caller, answers: list[Answer | Trouble], seen: list[str]
) -> None:
    """Each fault is worth its attempts, and refused credentials are renewed within one of them."""
    service = Service(list(answers))
    assert call(service, service.line(), Purpose("GET sky")) is GOOD
    assert service.seen == seen


@CALLERS
def test_credentials_are_renewed_once_and_then_the_401_is_the_answer(call: Caller) -> None:
    """What a second 401 means is for the caller to judge."""
    service = Service([DENIED])
    assert call(service, service.line(), Purpose("GET sky")) is DENIED
    assert service.seen == ["t1", "t2"]


@CALLERS
@pytest.mark.parametrize(("forgives", "calls"), [(False, 1), (True, 2)])
def test_the_same_credentials_are_tried_again_only_where_that_helps(call: Caller, forgives: bool, calls: int) -> None:
    """A key that was read again and is the same is sent once more only to a service that is known for hiccups."""
    service = Service([DENIED], ["only"])
    assert call(service, service.line(forgives=forgives), Purpose("GET sky")) is DENIED
    assert service.seen == ["only"] * calls


@pytest.mark.parametrize(
    ("trouble", "purpose", "calls"),
    [
        (BUSY, Purpose("GET sky"), 3),
        (BUG, Purpose("GET sky"), 2),
        (LOST, Purpose("GET sky"), 3),
        (LOST, Purpose("POST sky", repeatable=False), 1),
        (BUG, Purpose("POST sky", repeatable=False), 1),
        (UNSENT, Purpose("POST sky", repeatable=False), 3),
        (BUSY, Purpose("GET sky", policy=ONCE), 1),
        (BUSY, Purpose("GET sky", attempt=3), 1),
    ],
)
def test_attempts_end(trouble: Trouble, purpose: Purpose, calls: int) -> None:
    """The last trouble is raised where that is all, and handed up where the caller has more to say."""
    blocked, looping = Service([trouble]), Service([trouble])
    attempt = purpose.attempt + calls - 1
    with pytest.raises(TransientError, match=rf"The weather: {trouble.what} at {purpose.at}, attempt {attempt}"):
        blocking(blocked, blocked.line(), purpose)
    assert on_a_loop(looping, looping.line(), purpose) == Unanswered(trouble, Verdict.GIVE_UP, attempt)
    assert len(blocked.seen) == len(looping.seen) == calls


def test_a_long_pause_is_handed_up_and_holds_all_callers(caplog: pytest.LogCaptureFixture) -> None:
    """It is never slept; the next call isn't let through."""
    pause = Trouble(Fault.THROTTLED, "status 429", 3600.0)
    service = Service([pause])
    line = service.line()
    assert on_a_loop(service, line, Purpose("GET sky")) == Unanswered(pause, Verdict.POSTPONE, 1)
    for call in (blocking, on_a_loop):
        with pytest.raises(PostponedError):
            call(service, line, Purpose("GET sky"))
    assert len(service.seen) == 1
    other = Service([pause])
    with pytest.raises(PostponedError, match="The weather requested a pause: status 429"):
        blocking(other, other.line(), Purpose("GET sky"))
    assert caplog.text.count("calls_paused service=weather seconds=3600.0") == 2


@pytest.mark.parametrize(("narrow", "held"), [(True, (True, False)), (False, (False, True))])
def test_only_those_whom_a_limit_concerns_are_held(narrow: bool, held: tuple[bool, bool]) -> None:
    """A limit of searches stops searches, and any other limit everything."""
    service, searches = Service([Trouble(Fault.THROTTLED, "status 429", 50.0, narrow=narrow)]), Pacer("searches", 1e6)
    purpose = Purpose("POST search", policy=ONCE, narrow=searches)
    with pytest.raises(TransientError):
        blocking(service, service.line(), purpose)
    assert (searches.held, service.pacer.held) == held


def test_what_is_better_repeated_in_parts_comes_back_after_the_pause() -> None:
    """The caller divides it and goes on counting."""
    service = Service([Trouble(Fault.UNAVAILABLE, "status 504", 0.0, divides=True), GOOD])
    failure = on_a_loop(service, service.line(), Purpose("POST sky"))
    assert isinstance(failure, Unanswered)
    assert (failure.verdict, failure.attempt, len(service.seen)) == (Verdict.RETRY, 1, 1)


@CALLERS
def test_each_event_has_its_line(call: Caller, caplog: pytest.LogCaptureFixture) -> None:
    """A retry, a pause, a renewal and an adopted rate are logged in one line each, without a secret."""
    caplog.set_level(logging.INFO, logger="blocks.calls")
    service = Service([LOST, Trouble(Fault.THROTTLED, "status 429", 0.0), DENIED, GOOD])
    call(service, service.line(), Purpose("GET sky"))
    service.pacer.allow(40.0)
    service.pacer.allow(40.0)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("blocks.calls")]
    assert [line.split()[0] for line in lines] == [
        "call_failed",
        "call_failed",
        "calls_paused",
        "credentials_renewed",
        "rate_adopted",
    ]
    assert (
        "service=weather at='GET sky' fault=lost_answer trouble='the network failed' attempt=1 next=retry" in lines[0]
    )
    assert lines[3:] == ["credentials_renewed service=weather", "rate_adopted service='weather' per_second=40.0"]
    assert not any(token in caplog.text for token in ("t1", "t2"))


def test_calls_in_a_pool_belong_to_the_run_that_submits_them() -> None:
    """Prefect knows by the context which run a log line is of."""
    run: ContextVar[str] = ContextVar("run", default="none")
    with CallPool(1) as pool:
        for name in ("first", "second"):
            run.set(name)
            assert list(pool.map(lambda _: run.get(), range(2))) == [name] * 2
