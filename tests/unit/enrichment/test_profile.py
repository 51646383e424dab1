"""What a look at a CRM counts, and how the report sets two of them side by side."""

from datetime import UTC, datetime

import pytest

from enrichment.estimate import Estimate, Price, Range, Tally, Terms, TrackRecord, estimate_provider
from enrichment.profile import (
    FieldProfile,
    KeptProfile,
    Profile,
    SeenContact,
    counts_of,
    for_all,
    label_of,
    profile_lines,
    profile_markdown,
    profile_of,
    vocabulary_rows,
)
from enrichment.records import Contact
from enrichment.report_profile import FIRST, LATEST, profiled
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

AT = "2026-11-28T12:00:00.000Z"
RULES = [
    FieldRule("industry", "industry", Rule.FILL_BLANK),
    FieldRule("country", "country", Rule.FILL_BLANK),
    FieldRule("stage", "title", Rule.FILL_BLANK),
    FieldRule("phone", "phone", Rule.FILL_BLANK),
    FieldRule("vendor", "provider", Rule.ALWAYS),
    FieldRule("stamp", "received_at", Rule.ALWAYS, stamp=True),
]
DESCRIPTIONS = {"stage": FieldDescription("enumeration", options={"NEW": "New"})}


def contact(number: int, email: str | None, created: str = "", **values: str) -> SeenContact:
    moment = datetime.fromisoformat(created).replace(tzinfo=UTC) if created else None
    return SeenContact(Contact(str(number), email, "Ada", f"L{number}"), values, moment, moment)


@pytest.fixture
def profile() -> Profile:
    seen = [
        *(contact(number, f"p{number}@acme-tools.com", "2026-11-20", industry="Mining") for number in range(6)),
        contact(6, "P0@acme-tools.com", "2026-09-20", country="DE", stage="NEW"),
        contact(7, "ada@acme-tolos.com", "2026-01-20", country="Germany", stage="OLD"),
        contact(8, "ada@gmail.com", "2024-11-20", phone="+1 555 0100"),
        contact(9, "info@firm.example", "2019-11-20", industry=" "),
        SeenContact(Contact("10", "ada@@gmail", "Ada", "Byron", "Acme"), {}),
        SeenContact(Contact("11", None, "ada", "BYRON", "Acme"), {}),
        SeenContact(Contact("12"), {}),
    ]
    return profile_of(seen, RULES, DESCRIPTIONS, crm="hubspot", contacts=26, at=AT)


def test_contacts_are_counted_by_what_they_have_in_common(profile: Profile) -> None:
    """Kinds of addresses, ages, duplicates and filled fields; a stamp of ours says nothing."""
    assert (profile.contacts, profile.read) == (26, 13)
    assert profile.addresses == {
        "business_address": 7,
        "mistyped_domain": 1,
        "free_mail": 1,
        "role_address": 1,
        "email_malformed": 1,
        "no_address": 2,
    }
    assert profile.created == profile.changed
    assert profile.created == {
        "at most 30 days ago": 6,
        "at most 90 days ago": 1,
        "at most a year ago": 1,
        "at most 3 years ago": 1,
        "longer ago": 1,
        "unknown": 3,
    }
    assert profile.duplicates == {"address": 2, "name": 2}
    assert {one.field: one.filled for one in profile.fields} == {
        "industry": 6,
        "country": 2,
        "stage": 2,
        "phone": 1,
        "vendor": 0,
    }


def test_only_words_that_many_share_are_shown(profile: Profile) -> None:
    """The CRM's options, and the fields of a vocabulary; a phone number is counted and not shown."""
    fields = {one.field: one for one in profile.fields}
    assert fields["industry"] == FieldProfile("industry", "industry", 6, (("Mining", 6),))
    assert fields["country"].strange == (("Germany", 1),)
    assert fields["stage"] == FieldProfile("stage", "title", 2, (("NEW", 1), ("OLD", 1)), (("OLD", 1),))
    assert fields["phone"].values == ()
    assert vocabulary_rows(profile) == [
        ("industry", "Mining (6)", "none"),
        ("country", "DE (1), Germany (1)", "Germany (1)"),
        ("stage", "NEW (1), OLD (1)", "OLD (1)"),
    ]


def test_the_cost_is_that_of_all_contacts() -> None:
    """By those that were read: half of them cost half as much."""
    counted = Tally()
    counted.note_open("a", 1.0)
    track = TrackRecord(100, 50.0, 50, 50)
    priced = estimate_provider("hunter", counted, track, Terms(2, 25, 10), Price(1, "EUR"))
    free = estimate_provider("apollo", counted, TrackRecord(), Terms(1, 25, 10), None)
    whole = for_all(Estimate(selected=5, waiting=1, fresh=1, providers=(priced, free)), 0.5)
    assert (whole.selected, whole.waiting, whole.fresh) == (10, 2, 2)
    first, second = whole.providers
    assert (first.requests, first.credits, first.money) == (Range(2, 2), Range(1, 4), Range(1, 4))
    assert (first.match_rate, first.looked_up, second.money) == (0.5, 100, None)


def test_a_profile_reads_well(profile: Profile) -> None:
    """Each count with its share of the contacts read; without a provider it says what is lacking for an estimate."""
    lines = dict(profile_lines(profile))
    assert lines["looked at"] == "13, of all ages; the figures are theirs"
    assert lines["industry is filled"] == "6 (46%)"
    assert lines["a business address"] == "7 (54%)"
    assert lines["the same address as another contact"] == "2 (15%)"
    assert lines["created longer ago"] == "1 (8%)"
    text = profile_markdown(profile)
    assert "| country | DE (1), Germany (1) | Germany (1) |" in text
    empty = Profile("file", AT, 0, 0, {}, [], {}, {}, {"address": 0}, Estimate())
    assert dict(profile_lines(empty))["looked at"] == "all of them"
    assert dict(profile_lines(empty))["the same address as another contact"] == "0"
    assert profile_markdown(empty).startswith("no contact meets the conditions")
    assert label_of("address no_address") == "no address"


def test_the_report_sets_the_first_and_the_latest_side_by_side(profile: Profile) -> None:
    """With a chart of the fields; one profile alone has no chart, and one of no contacts no marks."""
    first = KeptProfile("hubspot", "2026-01-01T00:00:00.000Z", 26, 10, {"field industry": 1})
    latest = KeptProfile("hubspot", AT, 26, 13, counts_of(profile))
    alone = KeptProfile("file", AT, 0, 0, {"field industry": 0})
    section = profiled([first, latest, alone])
    (chart,) = section.charts
    assert [(one.x, one.series, round(one.value, 2)) for one in chart.points[:2]] == [
        ("industry", FIRST, 0.1),
        ("industry", LATEST, 0.46),
    ]
    both, single = section.tables
    assert both.head == ("contacts with", "2026-01-01", "2026-11-28")
    assert ("industry is filled", "1 (10%)", "6 (46%)") in both.rows
    assert list(single.rows) == [("industry is filled", "0")]
    assert "hubspot: 10 of 26 contacts on 2026-01-01 and 13 of 26 contacts on 2026-11-28" in section.says
    assert section.steps[0].command == "enrich profile"
    empty = profiled([KeptProfile("file", "2026-01-01T00:00:00.000Z", 0, 0, {"field industry": 0}), alone])
    assert list(empty.charts[0].points) == []
