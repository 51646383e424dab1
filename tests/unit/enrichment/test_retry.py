"""Retry decisions, as tables: the time and the chance are given."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.errors import TransientError
from enrichment.records import Disposition, Finished, Returned, StagedRecord, State
from enrichment.retry import (
    LONGEST_INLINE_WAIT_SECONDS,
    ONCE,
    Fault,
    RetryDecision,
    RetryPolicy,
    Verdict,
    asked_wait,
    backoff,
    decide,
    fault_of_status,
    parse_retry_after,
    settle_absent,
    settle_failure,
    settle_unread,
)

NOW = datetime(1994, 11, 6, 8, 47, 37, tzinfo=UTC)
POLICY = RetryPolicy()

RETRY_AFTER = [
    # RFC 9110 §10.2.3: seconds
    ("120", 120),
    ("0", 0),
    ("999999", 999_999),
    (" 120 ", 120),
    # liberal: a fraction is rounded up, never down
    ("1.5", 2),
    ("0.001", 1),
    # the three forms of a date (§5.6.7), two minutes from now
    ("Sun, 06 Nov 1994 08:49:37 GMT", 120),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 120),
    ("Sun Nov  6 08:49:37 1994", 120),
    # forms that HTTP doesn't know but mail servers and proxies send
    ("Sun, 06 Nov 1994 08:49:37 -0000", 120),
    ("Sun, 06 Nov 1994 09:49:37 +0100", 120),
    # the past is now
    ("Sun, 06 Nov 1994 08:47:36 GMT", 0),
    ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    # garbage
    ("", None),
    (" ", None),
    ("soon", None),
    ("-1", None),
    ("-0.5", None),
    ("nan", None),
    ("inf", None),
    ("-inf", None),
    ("1e999", None),
    ("120 seconds", None),
    ("Sun, 99 Nov 1994 08:49:37 GMT", None),
    ("Sun, 06 Nov 99999 08:49:37 GMT", None),
    ("Sun, 06 Nov 1994 08:49:37 +9999", None),
    ("Sun, 06 Nov 1994 8:3000000000 GMT", None),
]


@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER)
def test_retry_after_is_read_in_every_form(value: str, seconds: float | None) -> None:
    """Seconds and all three forms of a date are understood; what makes no sense is as good as absent."""
    assert parse_retry_after(value, NOW) == seconds


@given(
    st.text()
    | st.from_regex(r"\A(Sun, )?\d{1,3} Nov \d{1,6} \d{1,3}:\d{1,3}(:\d{1,12})?( GMT| [+-]\d{1,8})?\Z")
    | st.floats().map(str)
)
def test_no_retry_after_breaks_a_repeatable_call(value: str) -> None:
    """Whatever the header holds, reading it gives a wait or nothing, and never an error."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**7))
def test_a_date_means_the_same_as_its_seconds(seconds: int) -> None:
    """Both forms of one wait are read alike."""
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, NOW) == parse_retry_after(str(seconds), NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "body_hint", "reset", "seconds"),
    [
        ({}, None, None, None),
        ({"retry-after": "30"}, None, None, 30),
        # the answer's own Date header corrects a clock that goes wrong, ours or theirs
        ({"retry-after": "Sun, 06 Nov 1994 09:49:37 GMT", "date": "Sun, 06 Nov 1994 09:49:07 GMT"}, None, None, 30),
        ({"retry-after": "Sun, 06 Nov 1994 08:47:38 GMT", "date": "Sun Nov  6 08:46:37 1994"}, None, None, 61),
        ({"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT", "date": "yesterday"}, None, None, 120),
        ({"retry-after": "30", "date": "Sun, 06 Nov 1994 09:49:07 GMT"}, None, None, 30),
        # the order: Retry-After, the body's hint, the provider's reset header
        ({"retry-after": "1", "x-reset": "3"}, 2, ("X-Reset", "delta_s"), 1),
        ({"retry-after": "0", "x-reset": "3"}, 2, ("X-Reset", "delta_s"), 0),
        ({"retry-after": "soon", "x-reset": "3"}, 2, ("X-Reset", "delta_s"), 2),
        ({"x-reset": "3"}, None, ("X-Reset", "delta_s"), 3),
        ({"x-reset": "3"}, "soon", ("X-Reset", "delta_s"), 3),
        ({"x-reset": "3"}, 0, ("X-Reset", "delta_s"), 0),
        # the body's hint
        ({}, 5, None, 5),
        ({}, "5", None, 5),
        ({}, 0.2, None, 1),
        ({}, -5, None, None),
        ({}, True, None, None),
        ({}, {"seconds": 5}, None, None),
        # the reset header in each declared format
        ({}, None, ("x-reset", "delta_s"), None),
        ({"x-reset": "-3"}, None, ("x-reset", "delta_s"), None),
        ({"x-reset": str(int(NOW.timestamp()) + 90)}, None, ("x-reset", "epoch_s"), 90),
        ({"x-reset": str(int(NOW.timestamp()) - 90)}, None, ("x-reset", "epoch_s"), 0),
        ({"x-reset": "tomorrow"}, None, ("x-reset", "epoch_s"), None),
        ({"x-reset": "1994-11-06T08:49:37Z"}, None, ("x-reset", "iso8601"), 120),
        ({"x-reset": "1994-11-06T09:49:37+01:00"}, None, ("x-reset", "iso8601"), 120),
        ({"x-reset": "1994-11-06T08:49:37"}, None, ("x-reset", "iso8601"), 120),
        ({"x-reset": "1994-11-06T08:00:00Z"}, None, ("x-reset", "iso8601"), 0),
        ({"x-reset": "tomorrow"}, None, ("x-reset", "iso8601"), None),
        (
            {"x-reset": "1994-11-06T09:49:37Z", "date": "Sun, 06 Nov 1994 09:49:07 GMT"},
            None,
            ("x-reset", "iso8601"),
            30,
        ),
        (
            {"x-reset": str(int(NOW.timestamp()) + 90), "date": "Sun, 06 Nov 1994 08:48:37 GMT"},
            None,
            ("x-reset", "epoch_s"),
            30,
        ),
    ],
)
def test_the_wait_is_taken_from_the_first_place_that_makes_sense(
    headers: dict[str, str], body_hint: object, reset: tuple[str, str] | None, seconds: float | None
) -> None:
    """Retry-After comes first, then the body's hint, then the provider's reset header in its declared format."""
    assert asked_wait(headers, now=NOW, body_hint=body_hint, reset=reset) == seconds


ATTEMPTS_WORTH = {
    Fault.CONNECT: 5,
    Fault.UNTRUSTED: 1,
    Fault.THROTTLED: 5,
    Fault.UNAVAILABLE: 5,
    Fault.SERVER_ERROR: 3,
    Fault.LOST_ANSWER: 1,
}
HOLDS_ALL = {
    Fault.CONNECT: False,
    Fault.UNTRUSTED: False,
    Fault.THROTTLED: True,
    Fault.UNAVAILABLE: True,
    Fault.SERVER_ERROR: False,
    Fault.LOST_ANSWER: False,
}
FAULT_BY_ATTEMPT = [(fault, attempt) for fault in Fault for attempt in range(1, 7)]


@pytest.mark.parametrize(("fault", "attempt"), FAULT_BY_ATTEMPT)
def test_each_fault_is_worth_its_attempts(fault: Fault, attempt: int) -> None:
    """A fault is repeated up to its limit, with full jitter, and a shared one makes everybody wait."""
    decision = decide(fault, attempt, POLICY, server_wait=None, chance=0.5)
    if attempt < ATTEMPTS_WORTH[fault]:
        assert decision == RetryDecision(Verdict.RETRY, 2 ** (attempt - 1) * 0.5, HOLDS_ALL[fault])
    else:
        assert decision.verdict is Verdict.GIVE_UP


@pytest.mark.parametrize(
    ("fault", "attempt", "verdict"),
    [
        (Fault.SERVER_ERROR, 1, Verdict.RETRY),
        (Fault.SERVER_ERROR, 2, Verdict.GIVE_UP),
        (Fault.LOST_ANSWER, 3, Verdict.RETRY),
        (Fault.LOST_ANSWER, 4, Verdict.GIVE_UP),
        (Fault.CONNECT, 2, Verdict.RETRY),
        (Fault.CONNECT, 3, Verdict.GIVE_UP),
    ],
)
def test_a_policy_sets_the_attempts_by_fault(fault: Fault, attempt: int, verdict: Verdict) -> None:
    """A provider that doesn't bill twice may repeat a lost answer; each limit is its own."""
    policy = RetryPolicy(attempts=3, attempts_after_server_error=2, attempts_after_lost_answer=4)
    assert decide(fault, attempt, policy, server_wait=None, chance=0).verdict is verdict


@pytest.mark.parametrize(("fault", "attempt"), FAULT_BY_ATTEMPT)
@pytest.mark.parametrize("asked", [60.001, 61.0, 3600.0, 999_999.0])
def test_a_long_wait_postpones_and_is_never_shortened(fault: Fault, attempt: int, asked: float) -> None:
    """A wait above the bound is never slept, never cut, and outranks the number of attempts."""
    decision = decide(fault, attempt, POLICY, server_wait=asked, chance=0.99)
    assert decision == RetryDecision(Verdict.POSTPONE, asked, HOLDS_ALL[fault])


@pytest.mark.parametrize("fault", [fault for fault in Fault if ATTEMPTS_WORTH[fault] > 1])
@pytest.mark.parametrize("asked", [0.0, 1.0, 59.0, LONGEST_INLINE_WAIT_SECONDS])
@pytest.mark.parametrize("chance", [0.0, 0.5, 0.999])
def test_a_short_wait_is_kept_and_a_little_jitter_added(fault: Fault, asked: float, chance: float) -> None:
    """No caller comes earlier than asked, and all come within a quarter of a second after it."""
    decision = decide(fault, 1, POLICY, server_wait=asked, chance=chance)
    assert decision.verdict is Verdict.RETRY
    assert asked <= decision.wait_seconds <= asked + 0.25


@pytest.mark.parametrize("fault", [fault for fault in Fault if HOLDS_ALL[fault]])
def test_a_pause_asked_for_holds_all_even_if_this_call_gives_up(fault: Fault) -> None:
    """The last attempt of one call is not a reason for the others to ignore the pause that the server asked for."""
    decision = decide(fault, 5, POLICY, server_wait=30.0, chance=0.5)
    assert decision == RetryDecision(Verdict.GIVE_UP, 30.0, holds_all=True)


@given(
    st.sampled_from(Fault),
    st.integers(1, 100),
    st.none() | st.floats(0, 10**6),
    st.floats(0, 1, exclude_max=True),
)
def test_no_decision_waits_less_than_asked_or_sleeps_longer_than_the_bound(
    fault: Fault, attempt: int, asked: float | None, chance: float
) -> None:
    """Whatever comes together, the server's word holds, and no thread sleeps for minutes."""
    decision = decide(fault, attempt, POLICY, server_wait=asked, chance=chance)
    if decision.verdict is Verdict.RETRY:
        assert (asked or 0.0) <= decision.wait_seconds <= LONGEST_INLINE_WAIT_SECONDS + 0.25
    if decision.verdict is Verdict.POSTPONE:
        assert decision.wait_seconds == asked


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [(1, 0.0, 0), (1, 0.5, 1), (2, 0.5, 2), (3, 0.5, 4), (4, 0.5, 8), (6, 0.5, 15), (7, 0.5, 15), (10_000, 0.5, 15)],
)
def test_the_backoff_doubles_up_to_its_cap(attempt: int, chance: float, seconds: float) -> None:
    """The wait doubles with each attempt, is capped, and full jitter scales it down to nothing."""
    assert backoff(attempt, 2.0, 30.0, chance) == seconds


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (Fault.THROTTLED, [423, 429]),
        (Fault.SERVER_ERROR, [500]),
        (Fault.UNAVAILABLE, [477, 502, 503, 504, 520, 521, 523, 524, 529]),
        (None, [200, 202, 301, 400, 401, 402, 403, 404, 406, 409, 413, 422, 451, 501, 505, 511, 522, 525, 526]),
    ],
)
def test_a_status_stands_for_its_fault(fault: Fault | None, statuses: list[int]) -> None:
    """Only what may pass by itself is repeated."""
    assert {status: fault_of_status(status) for status in statuses} == dict.fromkeys(statuses, fault)


def record(attempts: int) -> StagedRecord:
    return StagedRecord("r1", "hubspot", "1", "ada@example.com", State.CLAIMED, attempts)


@pytest.mark.parametrize(
    ("attempts", "chance", "wait"),
    [(1, 0.0, 60), (1, 0.5, 90), (2, 0.0, 120), (3, 0.0, 240), (4, 0.0, 480), (4, 0.5, 720)],
)
def test_a_failed_record_waits_for_its_next_attempt(attempts: int, chance: float, wait: float) -> None:
    """Below the limit the record goes back, uses up an attempt, and waits longer each time."""
    settled = settle_failure(
        record(attempts), reason="status_500", step="look_up", detail="…", max_attempts=5, chance=chance
    )
    assert settled == Returned("r1", "status_500", wait, costs_attempt=True)


@pytest.mark.parametrize(("attempts", "limit"), [(6, 100), (50, 100), (99, 100)])
def test_a_failed_record_never_waits_longer_than_an_hour(attempts: int, limit: int) -> None:
    """The backoff between attempts is capped."""
    settled = settle_failure(record(attempts), reason="x", step="s", detail="", max_attempts=limit, chance=0.999)
    assert isinstance(settled, Returned)
    assert 1800 <= settled.wait_seconds <= 3600


@pytest.mark.parametrize(
    ("attempts", "max_attempts", "permanent"), [(5, 5, False), (6, 5, False), (1, 1, False), (1, 5, True), (5, 5, True)]
)
def test_a_record_that_can_not_succeed_becomes_a_dead_letter(attempts: int, max_attempts: int, permanent: bool) -> None:
    """At the limit, or if no attempt could help, the record ends as failed with reason, step and full error."""
    settled = settle_failure(
        record(attempts),
        reason="bad_value",
        step="write_back",
        detail="the full error",
        max_attempts=max_attempts,
        chance=0.5,
        permanent=permanent,
    )
    assert settled == Finished("r1", Disposition.FAILED, "bad_value", "write_back", "the full error")


def test_a_failure_is_never_without_words() -> None:
    """A proxy may refuse a call without a body: people and the audit read that no more was said."""
    failed = settle_failure(record(5), reason="status_400", step="write_back", detail="", max_attempts=5, chance=0.5)
    assert isinstance(failed, Finished)
    assert failed.detail == "the answer said no more than this"


def test_a_contact_that_the_crm_fails_to_give_ends_with_the_crm_s_own_cause() -> None:
    """It waits as any other failed record does, and at the limit its cause is kept."""
    error = TransientError("HubSpot answered 500")
    waits = settle_unread(record(1), error, step="look_up", max_attempts=5, chance=0.5)
    assert isinstance(waits, Returned)
    ended = settle_unread(record(5), error, step="look_up", max_attempts=5, chance=0.5)
    assert ended == Finished("r1", Disposition.FAILED, "contact_unreadable", "look_up", "HubSpot answered 500")


@pytest.mark.parametrize(
    ("age", "patience", "expected"),
    [
        (0, 900, Returned("r1", "contact_absent", 30.0, costs_attempt=False)),
        (200, 900, Returned("r1", "contact_absent", 200.0, costs_attempt=False)),
        (880, 900, Returned("r1", "contact_absent", 20.0, costs_attempt=False)),
        (900, 900, Finished("r1", Disposition.INVALID, "contact_gone", "look_up")),
        (0, 0, Finished("r1", Disposition.INVALID, "contact_gone", "look_up")),
    ],
)
def test_an_absent_contact_waits_until_it_counts_as_gone(
    age: int, patience: int, expected: Returned | Finished
) -> None:
    """At no attempt, longer each time, and not beyond the moment at which it counts as gone."""
    absent = replace(record(1), age_seconds=age)
    assert settle_absent(absent, step="look_up", patience_seconds=patience) == expected


@pytest.mark.parametrize("policy", [POLICY, ONCE, RetryPolicy(attempts=2, attempts_after_lost_answer=2)])
@pytest.mark.parametrize("fault", Fault)
def test_a_call_that_may_have_had_its_effect_is_not_repeated(fault: Fault, policy: RetryPolicy) -> None:
    """Only a fault that says that nothing happened is worth as many attempts as ever."""
    free = fault in {Fault.CONNECT, Fault.THROTTLED, Fault.UNAVAILABLE}
    assert policy.unrepeatable().attempts_for(fault) == (policy.attempts_for(fault) if free else 1)


@pytest.mark.parametrize(("fault", "slept"), [(Fault.THROTTLED, 0.0), (Fault.SERVER_ERROR, 1.0)])
def test_who_is_held_with_all_others_does_not_sleep_by_itself(fault: Fault, slept: float) -> None:
    """The pause of all comes before the next turn; a wait of one's own is slept."""
    decision = decide(fault, 1, POLICY, server_wait=None, chance=1.0)
    assert (decision.wait_seconds, decision.sleep_seconds) == (1.0, slept)
