"""When people are alerted, and what they read."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.alerts import (
    Cause,
    Concern,
    Known,
    Limits,
    Shares,
    concerns_of,
    gravest,
    judge,
    jump,
    likeness,
    pack_known,
    unpack_known,
)
from enrichment.books import Books
from enrichment.causes import failed as failed_as
from enrichment.messages import Alert, Occasion, compose_alert, compose_version_notice
from enrichment.records import Disposition
from enrichment.refusals import RefusedField

BOOKS = Books(1000, 15, {Disposition.WRITTEN: 965, Disposition.FAILED: 20})
SINCE = "2026-11-01T10:00:00.000Z"
CAUSES = [
    Cause("status_500", "look_up", 17, ("101", "102"), SINCE),
    Cause("validation_error", "write_back", 3, ("103",)),
    Cause("chunk_broken", "chunk", 1),
]
RETRY = "enrich retry --run r1"
STOP = "ZoomInfo: no credits are left"
START = datetime(2026, 11, 1, tzinfo=UTC)


def day(number: int) -> str:
    return (START + timedelta(days=number)).isoformat()


def live_through(*runs: Sequence[Concern], days: Sequence[int] = ()) -> list[Alert | None]:
    """Return what people read after each run, of which one follows the other."""
    known: Known = {}
    alerted = []
    for number, concerns in enumerate(runs):
        fresh, after = judge(concerns, known, day(days[number] if days else 0))
        alerted.append(compose_alert(fresh, concerns, known, Occasion("flow run brave-otter (r1)", RETRY, BOOKS)))
        known = unpack_known(pack_known(after))
    return alerted


def kinds_alerted(*runs: Sequence[Concern], days: Sequence[int] = ()) -> list[str | None]:
    return [alert.kind if alert else None for alert in live_through(*runs, days=days)]


def rate(share: float) -> Concern:
    return Concern("failure_rate", size=share, text=f"{share:.0%}")


def failed(count: int, cause: str = "status_500 at look_up") -> Concern:
    return Concern("failed_contacts", cause, count, counts=True, text=f"{count} x {cause}")


def refused(share: float, field: str = "industry") -> Concern:
    return Concern("refused_fields", f"{field} not_an_option", share, text=field)


def stopped(message: str, kind: str = "quota_exhausted") -> Concern:
    return Concern(kind, likeness(message), text=message)


@pytest.mark.parametrize(
    ("failures", "limit", "stop", "kinds"),
    [
        (0, 0.01, "", []),
        (10, 0.01, "", ["failed_contacts"]),
        (11, 0.01, "", ["failure_rate", "failed_contacts"]),
        (1, 0.0, "", ["failure_rate", "failed_contacts"]),
        (1000, 1.0, "", ["failed_contacts"]),
        (0, 0.01, "quota_exhausted", ["quota_exhausted"]),
        (500, 0.01, "crashed", ["crashed", "failure_rate", "failed_contacts"]),
    ],
)
def test_a_run_s_concerns_are_its_end_its_failures_and_their_rate(
    failures: int, limit: float, stop: str, kinds: list[str]
) -> None:
    """The limit itself is still well, and contacts that failed are a concern below it, too."""
    books = Books(1000, 0, {Disposition.FAILED: failures, Disposition.WRITTEN: 1000 - failures})
    causes = [Cause("timeout", "look_up", failures)] if failures else []
    found = concerns_of(books, Limits(limit), causes=causes, stop=(stop, "words"))
    assert [one.kind for one in found] == kinds
    assert gravest(found) == (kinds or [""])[0]


def test_a_run_that_claimed_nothing_is_well() -> None:
    """No record, no concern, whatever the limits."""
    assert concerns_of(Books(), Limits(0.0, 0.0, 1.0, 1)) == []


@pytest.mark.parametrize(
    ("one", "alerted"),
    [
        (RefusedField("industry", "not_an_option", 3, (), 10), True),
        (RefusedField("industry", "not_an_option", 2, (), 10), False),
        (RefusedField("industry", "not_an_option", 3, (), 9), False),
        (RefusedField("industry", "not_an_option", 9), False),
        (RefusedField("industry", "not_an_option", 10), True),
        (RefusedField("enr_x", "no_such_field", 1, (), 1), True),
        (RefusedField("enr_x", "read_only", 1), True),
        (RefusedField("phone", "unreadable", 10, (), 10), False),
    ],
)
def test_refused_values_are_a_concern_above_their_share(one: RefusedField, alerted: bool) -> None:
    """Above a fifth of ten values or more; a field that takes nothing at all is one at once."""
    assert bool(concerns_of(Books(), Limits(), refusals=[one], crm="hubspot")) is alerted


NOTHING = Shares()


@pytest.mark.parametrize(
    ("name", "now", "before", "alerted"),
    [
        ("invalid", Shares(3, 0, 7), NOTHING, False),
        ("invalid", Shares(4, 0, 6), NOTHING, True),
        ("invalid", Shares(10, 0, 0), NOTHING, True),
        ("invalid", Shares(9, 0, 0), NOTHING, False),
        ("invalid", Shares(20, 0, 30, unasked=200), NOTHING, False),
        ("unmatched", Shares(0, 71, 29, unasked=200), NOTHING, True),
        ("invalid", Shares(40, 0, 60), Shares(20, 0, 80), False),
        ("invalid", Shares(61, 0, 39), Shares(20, 0, 80), True),
        ("invalid", Shares(31, 0, 69), Shares(0, 0, 100), True),
        ("invalid", Shares(29, 0, 71), Shares(0, 0, 100), False),
        ("unmatched", Shares(0, 60, 40), NOTHING, False),
        ("unmatched", Shares(0, 71, 29), NOTHING, True),
        ("unmatched", Shares(90, 8, 0), NOTHING, False),
        ("unmatched", Shares(0, 60, 40), Shares(0, 15, 85), True),
        ("unmatched", Shares(0, 84, 16), Shares(0, 70, 30), False),
        ("unmatched", Shares(0, 86, 14), Shares(0, 70, 30), True),
    ],
)
def test_a_jump_is_a_share_far_above_the_last_runs(name: str, now: Shares, before: Shares, alerted: bool) -> None:
    """Three times as many, or halfway to all; without history a usual share is assumed, few contacts say nothing."""
    assert (jump(name, now, before, Limits()) is not None) is alerted
    assert jump(name, now, before, Limits(jump_factor=0)) is None


@pytest.mark.parametrize(
    ("ended", "reasons", "words"),
    [
        ("invalid", {"contact_gone": 19, "email_malformed": 1}, "the ids may be of another account"),
        ("invalid", {"email_malformed": 20}, "another column may have been taken"),
        ("invalid", {"no_usable_identifier": 20}, "the column of the addresses may not have been recognised"),
        ("invalid", {}, "may not have been recognised"),
        ("unmatched", {}, "the provider's account may lack"),
        ("unmatched", {"NO_MATCH": 20}, "the provider's account may lack"),
        ("unmatched", {"doubtful_name": 15, "NO_MATCH": 5}, "columns may be mixed up"),
    ],
)
def test_a_jump_names_the_likely_cause(ended: str, reasons: dict[str, int], words: str) -> None:
    """By the most frequent reason, with the share and the number of contacts."""
    books = Books(20, 0, {Disposition(ended): 20})
    (one,) = concerns_of(books, Limits(), reasons={ended: reasons})
    alert = compose_alert([one], [one], {}, Occasion("r", RETRY, books))
    assert alert is not None
    assert alert.subject == f"Contact enrichment: 100% of the contacts are {ended}"
    assert f"20 contacts, 100%, are {ended}" in alert.body
    assert words in alert.body


@pytest.mark.parametrize(
    ("runs", "alerted"),
    [
        ([[], [], []], [None, None, None]),
        ([[rate(0.5)], [rate(0.5)], []], ["failure_rate", None, ""]),
        ([[rate(0.02)], [rate(0.03)], [rate(0.04)]], ["failure_rate", None, "failure_rate"]),
        ([[rate(0.5)], [rate(0.69)], [rate(0.7)]], ["failure_rate", None, "failure_rate"]),
        ([[failed(7)], [failed(7)], [failed(7)], [failed(7)]], ["failed_contacts", *["failed_contacts", None] * 2][:4]),
        ([[failed(7)], [failed(3)], [failed(4)]], ["failed_contacts", None, "failed_contacts"]),
        ([[failed(1)], [], [], [failed(1)]], ["failed_contacts", "", None, "failed_contacts"]),
        ([[failed(5)], [failed(1), failed(1, "new")]], ["failed_contacts", "failed_contacts"]),
        ([[stopped("No credits.")], [stopped("No credits.")], []], ["quota_exhausted", None, ""]),
        ([[stopped("A: no key", "failed")], [stopped("B: no key", "failed")]], ["failed", "failed"]),
        ([[stopped("x")], [rate(0.5)], []], ["quota_exhausted", "failure_rate", ""]),
        ([[refused(0.5)], [], [refused(0.5)], [refused(0.7)]], ["refused_fields", None, None, "refused_fields"]),
    ],
)
def test_people_are_alerted_to_what_is_new_or_worse(runs: list[list[Concern]], alerted: list[str | None]) -> None:
    """A problem that lasts alerts once, and its end once; what grows alerts again, and what is new at once."""
    assert kinds_alerted(*runs) == alerted


def test_a_field_that_stays_refused_alerts_once_a_week() -> None:
    """A run without such values disproves nothing, and after a week people are reminded."""
    runs = [[refused(0.5)], [], [refused(0.5)], [refused(0.5)], [refused(0.5)]]
    assert kinds_alerted(*runs, days=[0, 1, 6, 7, 8]) == ["refused_fields", None, None, "refused_fields", None]


@given(
    st.lists(st.lists(st.sampled_from([failed(1), failed(50), failed(2, "b"), rate(0.3), refused(0.3)]), max_size=4))
)
def test_no_contact_that_fails_after_a_clean_run_is_passed_over(runs: list[list[Concern]]) -> None:
    """Whatever came before: a cause that the run before didn't have alerts."""
    unique = [list({one.key: one for one in run}.values()) for run in runs]
    for before, now, alert in zip([[], *unique], unique, live_through(*unique), strict=False):
        new = {one.key for one in now if one.kind == "failed_contacts"} - {one.key for one in before}
        assert not new or alert is not None


def test_an_alert_names_the_run_the_counts_the_causes_and_what_to_do() -> None:
    """A reader knows which run, how many contacts, why, that nothing is lost, and the command."""
    stop = ("quota_exhausted", STOP)
    concerns = concerns_of(BOOKS, Limits(), causes=CAUSES, stop=stop, crm="hubspot", provider="zoominfo")
    occasion = Occasion("flow run brave-otter (r1)", RETRY, BOOKS, "https://app.example/1/{crm_id}")
    alert = compose_alert(concerns, concerns, {}, occasion)
    assert alert is not None
    assert alert.body.splitlines() == [
        "flow run brave-otter (r1)",
        "1,000 contacts taken from the queue, 985 finished, 15 back in the queue",
        STOP,
        "20 of 1,000 contacts failed",
        "17 contacts failed at zoominfo: the provider answered 500 (status_500 at look_up)",
        f"- since {SINCE}; contacts [101](https://app.example/1/101), [102](https://app.example/1/102)",
        "- how to fix it: `enrich retry --cause status_500`",
        "3 contacts failed at hubspot: hubspot refuses the update as invalid (validation_error at write_back)",
        "- contacts [103](https://app.example/1/103)",
        f"- how to fix it: {failed_as('validation_error', 'write_back', 'hubspot').advice}",
        f"1 contact failed at the step chunk: {failed_as('chunk_broken', 'chunk').words} (chunk_broken at chunk)",
        "- how to fix it: read the log of the run, then `enrich retry --cause chunk_broken`",
        "Raise the quota, or wait for its renewal.",
        f"Fix the causes, then put the contacts back into the queue: `{RETRY}`",
        "Nothing is lost: failed contacts are kept until they are retried, and all others wait in the queue.",
    ]


def test_an_alert_names_contacts_without_links_where_no_page_is_known() -> None:
    """The ids alone; and of a field that was not written, what to do about it."""
    (one,) = concerns_of(Books(), Limits(), refusals=[RefusedField("enr_x", "no_such_field", 1, (), 1)], crm="hubspot")
    one = replace(one, contacts=("7", "8"))
    alert = compose_alert([one], [one], {}, Occasion("r1"))
    assert alert is not None
    assert alert.body.splitlines()[1:4] == [
        "enr_x: hubspot has no such field; 1 value was not written",
        "- contacts 7, 8",
        "- how to fix it: run `enrich setup`, or correct the field mapping, then `enrich retry --field enr_x`",
    ]


@pytest.mark.parametrize(
    ("concern", "subject", "advice"),
    [
        (rate(0.02), "Contact enrichment: 2.0% of 1,000 contacts failed", RETRY),
        (failed(3), "Contact enrichment: 3 contacts failed", RETRY),
        (Concern("quota_exhausted"), "Contact enrichment stopped: quota exhausted", "Raise the quota"),
        (Concern("credentials_rejected"), "Contact enrichment stopped: credentials rejected", "`enrich doctor`"),
        (Concern("request_refused"), "Contact enrichment stopped: request refused", "add the permission"),
        (Concern("crashed"), "Contact enrichment: part of a run failed unexpectedly", "flow run's log"),
        (Concern("failed"), "Contact enrichment: a run failed", "`enrich doctor`"),
        (refused(0.5), "Contact enrichment: industry can't be written as mapped", "from the saved replies"),
    ],
)
def test_an_alert_says_what_happened_and_what_to_do(concern: Concern, subject: str, advice: str) -> None:
    """The subject is the trouble in one line; the last lines are what to do, and that nothing is lost."""
    alert = compose_alert([concern], [concern], {}, Occasion("r1", RETRY, BOOKS))
    assert alert is not None
    assert alert.subject == subject
    assert advice in alert.body.splitlines()[-2]
    assert "Nothing is lost" in alert.body.splitlines()[-1]


def test_the_message_of_a_recovery_names_what_is_over() -> None:
    """Recovery is reported with the run's counts and without advice, also beside contacts that still fail."""
    (_, well), (_, still) = live_through([rate(0.5)], []), live_through([rate(0.5)], [failed(1)])
    assert well is not None
    assert well.subject == "Contact enrichment recovered: the failure rate is below its threshold again"
    assert "1,000 contacts taken from the queue" in well.body
    assert RETRY not in well.body
    assert still is not None
    assert "Recovered: the failure rate is below its threshold again." in still.body.splitlines()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("HubSpot answered 503 (request 7f3a-11)", "HubSpot answered 502 (request 99ab-2)", True),
        ("HubSpot can't be reached", "Salesforce can't be reached", False),
        ("hubspot has no contact field enr_x", "hubspot has no contact field industry", False),
        ("hubspot has no contact field enr_x", "hubspot has no contact field enr_y", False),
        ("ENRICHMENT_HUBSPOT_TOKEN is not set", "ENRICHMENT_APOLLO_KEY is not set", False),
        ("", "", True),
    ],
)
def test_two_messages_of_one_cause_are_known_by_their_words(one: str, other: str, same: bool) -> None:
    """Numbers and ids change from run to run, and don't make a new cause."""
    assert (likeness(one) == likeness(other)) is same


def test_what_people_know_survives_as_text() -> None:
    """It is kept with the run's totals; a run of an earlier version has none."""
    _, known = judge([failed(3), refused(0.5)], {}, day(0))
    assert unpack_known(pack_known(known)) == known
    assert unpack_known(None) == unpack_known("") == {}


def test_a_new_api_version_alerts_with_both_versions() -> None:
    """The message names provider, both versions, the run and where to look; it is not a failure."""
    notice = compose_version_notice("clearbit", ["2018-11-19"], ["2019-12-19"], run="flow run x (1)")
    assert notice.subject == "Contact enrichment: clearbit answers with API version 2019-12-19 instead of 2018-11-19"
    assert "flow run x (1)" in notice.body
    assert "match rate" in notice.body


def test_what_is_used_up_at_one_system_is_one_concern_in_whatever_words() -> None:
    """A provider counts its limit down first, and refuses with a code of its own later."""
    books = Books(claimed=2, dispositions={}, returned=2)
    keys = [
        concerns_of(books, Limits(), stop=("quota_exhausted", message))[0].key
        for message in ("zoominfo: LIMIT_EXCEEDED", "zoominfo: PFAPI0011", "hunter: PFAPI0011")
    ]
    assert keys[0] == keys[1] != keys[2]
