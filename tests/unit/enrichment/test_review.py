"""The weekly review as people read it."""

from dataclasses import replace

import pytest

from enrichment.comparisons import EditedField
from enrichment.refusals import RefusedField
from enrichment.review import (
    FILLED_FIELDS,
    CrmLook,
    FailureGroup,
    Latency,
    ProviderUse,
    ReplyCount,
    ResultCount,
    ResultShare,
    Review,
    ReviewCounts,
    duration,
    percentile,
    review_of,
)
from enrichment.review_text import review_markdown, review_message, unmatched_rows
from enrichment.unmatched import MistypedDomain, UnmatchedGroup, UnmatchedItem

EMPTY = Review(7, "2026-11-26T09:00:00.000Z", {}, {}, [], 0, dict.fromkeys(FILLED_FIELDS, 0), {}, [], [], 0)
BUSY = Review(
    7,
    "2026-11-26T09:00:00.000Z",
    ended={"written": 700, "unchanged": 10, "unmatched": 290, "failed": 3},
    ended_before={"written": 80, "unmatched": 20},
    providers=[ProviderUse("zoominfo", 990, 700, 700.0, 80.0)],
    contacts=700,
    filled={**dict.fromkeys(FILLED_FIELDS, 700), "tech_stack": 84},
    latency={"created": Latency(650, 41, 200), "staged": Latency(700, 5, 12)},
    unmatched=[
        UnmatchedGroup("NO_MATCH", "zoominfo", 1290, 290, ("501", "502"), "2026-10-01T00:00:00.000Z"),
        UnmatchedGroup("OPT_OUT", "zoominfo", 4, 0, ("77",), "2026-10-02T00:00:00.000Z"),
    ],
    failures=[FailureGroup("bad_value", "write_back", 3, 2, "9")],
    waiting=12,
    mistyped=[MistypedDomain("gmial.com", "gmail.com", 3, "505")],
    invalid=[ResultCount("", "invalid", "free_mail", 9, "506")],
    shares=[
        ResultShare("queued by", "webhook", 9, 9, 0, 0),
        ResultShare("queued by", "backfill", 500, 200, 20, 3),
        ResultShare("queued by", "manual", 500, 0, 0, 0),
        *(ResultShare("owner", str(number), 100, 50 - number, 0, 0) for number in range(7)),
    ],
    look=CrmLook(1000, (), [EditedField("jobtitle", 400, 25, "507")]),
)
REFUSED = RefusedField("industry", "not_an_option", 3, (("Mining", 2), ("Farming", 1)))
NOT_WRITTEN = "industry: 3 values not in the CRM's list; the most frequent: Mining (2), Farming (1)"


@pytest.mark.parametrize(
    ("histogram", "share", "expected"),
    [
        ([(5, 1)], 0.5, 5),
        ([(1, 1), (2, 1)], 0.5, 1),
        ([(9, 1), (1, 99)], 0.95, 1),
        ([(9, 6), (1, 94)], 0.95, 9),
        ([(1, 1), (2, 1), (3, 1)], 1.0, 3),
        ([(1, 1), (2, 1), (3, 1)], 0.0, 1),
    ],
)
def test_a_percentile_is_a_value_that_occurs(histogram: list[tuple[int, int]], share: float, expected: int) -> None:
    """The smallest value that so many are not above."""
    assert percentile(histogram, share) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
    ],
)
def test_a_time_is_given_in_its_two_largest_units(seconds: int, expected: str) -> None:
    """7,500 seconds would be hard to read."""
    assert duration(seconds) == expected


def test_the_message_says_what_happened_and_what_to_do() -> None:
    """The subject is the summary, the body has each figure in a line, and the commands that follow."""
    message = review_message(BUSY, "http://prefect.example/runs/1")
    assert (
        message.subject
        == "Contact enrichment, 7 days to 2026-11-26: 1,003 contacts, match rate 71.0% of 1,000 looked up"
    )
    assert message.body.splitlines() == [
        "contacts finished: 1,003 (7 days before: 100)",
        "written: 700",
        "unchanged: 10",
        "unmatched: 290",
        "failed: 3",
        "match rate: 71.0% of 1,000 looked up (7 days before: 80.0% of 100 looked up)",
        "credits of zoominfo: 700 for 990 replies (7 days before: 80)",
        "from created to written: 50% within 41 s, 95% within 3 min 20 s (650 live contacts)",
        "from queued to written: 50% within 5 s, 95% within 12 s (700 live contacts)",
        "unmatched contacts to review: 1,294, 290 of them new",
        "failed contacts: 2",
        "in the queue: 12",
        "filled: company 100%, employees 100%, industry 100%, LinkedIn URL 100%, tech stack 12%, intent keywords 100%",
        "- 1,290 contacts: the provider doesn't know the contact",
        "- 4 contacts: the person opted out at the provider",
        "To review: `enrich unmatched` lists the contacts; then `enrich review --mark`.",
        "Most without a result: queued by backfill, 45% of 500.",
        "Most without a result: owner 0, 50% of 100.",
        "Changed by people after us: jobtitle (25 of 400).",
        "Failed contacts: `enrich failures` lists them with what to do, `enrich retry` puts them back.",
        "The whole review: http://prefect.example/runs/1, under Artifacts.",
    ]


def test_what_was_not_written_is_said_with_field_and_reason() -> None:
    """The message names the first fields, and the whole review all of them."""
    review = replace(BUSY, refusals=[REFUSED, *(RefusedField(f"f{number}", "too_long", 1) for number in range(6))])
    body, whole = review_message(review).body, review_markdown(review, domains=True)
    assert f"Not written: {NOT_WRITTEN}" in body.splitlines()
    assert f"* {NOT_WRITTEN}" in whole.splitlines()
    assert ("f5:" in body, "f5:" in whole) == (False, True)


def test_a_week_without_contacts_asks_for_nothing() -> None:
    """The message still comes, so that its absence means something."""
    message = review_message(EMPTY)
    assert message.subject.endswith("0 contacts, match rate no lookups")
    assert message.body.splitlines() == [
        "contacts finished: 0 (7 days before: 0)",
        "match rate: no lookups (7 days before: no lookups)",
        "unmatched contacts to review: 0, 0 of them new",
        "failed contacts: 0",
        "in the queue: 0",
    ]
    assert review_markdown(EMPTY, domains=False).count("None.") == 8


def test_the_whole_review_has_a_table_for_each_question() -> None:
    """What is filled, what is unmatched and why, what failed, and what it cost."""
    text = review_markdown(BUSY, domains=True)
    unknown = "the provider doesn't know the contact"
    listed = (
        "(`enrich unmatched --cause NO_MATCH --csv unmatched.csv` lists them), then `enrich stage --csv unmatched.csv`"
    )
    assert f"| NO_MATCH | {unknown} | zoominfo | 1,290 | 290 | 2026-10-01 | enrich why 501 |" in text
    assert listed in text
    assert "| free_mail | the address is private, such as at gmail.com | 9 | enrich why 506 |" in text
    assert "| queued by | backfill | 500 | 45% | 200 | 20 | 3 |" in text
    assert "| owner | 4 | 100 | 46% | 46 | 0 | 0 |" in text
    assert "| owner | 5 |" not in text  # the five worst are enough
    assert "## Fields that people changed after us, of 1,000 contacts read from the CRM" in text
    assert "| jobtitle | 400 | 25 (6%) | enrich why 507 |" in text
    assert "| gmial.com | gmail.com | 3 | enrich why 505 |" in text
    assert "gmial" not in review_markdown(BUSY, domains=False)
    assert "| tech stack | 12% |" in text
    assert (
        "| bad_value | the CRM refuses the update | 3 | 2 | enrich why 9 | `enrich retry --cause bad_value` |" in text
    )
    assert "| zoominfo | 990 | 700 | 700 |" in text
    assert unmatched_rows(BUSY)[1] == {
        "cause": "OPT_OUT",
        "what is wrong": "the person opted out at the provider",
        "provider": "zoominfo",
        "contacts": "4",
        "new": "0",
        "oldest": "2026-10-02",
        "example": "enrich why 77",
        "what to do": "",
    }


def test_counts_become_a_review() -> None:
    """Replies are summed by provider, the days before apart, and a negative time counts as none."""
    reply = ReplyCount("zoominfo", "matched", earlier=False, replies=3, credits=3.0)
    item = UnmatchedItem(
        *("hubspot", "contact", "501", "NO_MATCH", "zoominfo", "r1", "a@gmial.com"), "2026-10-01T00:00:00.000Z", None
    )
    counts = ReviewCounts(
        since="2026-09-01T00:00:00.000Z",
        ended={"written": 3},
        ended_before={"written": 2},
        replies=[
            reply,
            replace(reply, outcome="erased", replies=1, credits=1.0),
            replace(reply, earlier=True, credits=9.0),
            replace(reply, provider="hunter", earlier=True),
        ],
        contacts=3,
        filled=dict.fromkeys(FILLED_FIELDS, 2),
        latency={"staged": [(-2, 1), (8, 1)]},
        unmatched=[item],
        failures=[FailureGroup("timeout", "look_up", 2, 1, "9")],
        waiting=3,
        refusals=[REFUSED],
        results=[
            ResultCount("webhook", "written", "", 3, "1"),
            ResultCount("webhook", "invalid", "free_mail", 1, "2"),
            ResultCount("manual", "invalid", "free_mail", 2, "3"),
            ResultCount("manual", "invalid", "no_usable_identifier", 1, "4"),
        ],
    )
    of_owner = ResultShare("owner", "7", 1, 1, 0, 0)
    review = review_of(7, "2026-11-26T09:00:00.000Z", counts, CrmLook(1, [of_owner], ()))
    assert (review.ended, review.ended_before) == ({"written": 3}, {"written": 2})
    assert review.providers == [ProviderUse("hunter", 0, 0, 0, 3.0), ProviderUse("zoominfo", 4, 3, 4.0, 9.0)]
    assert review.latency == {"staged": Latency(2, 0, 8)}
    assert review.unmatched == [UnmatchedGroup("mistyped_domain", "zoominfo", 1, 1, ("501",), item.last_at)]
    assert review.mistyped == [MistypedDomain("gmial.com", "gmail.com", 1, "501")]
    assert [(one.reason, one.contacts) for one in review.invalid] == [("free_mail", 3), ("no_usable_identifier", 1)]
    assert review.shares == (
        ResultShare("queued by", "manual", 3, 0, 3, 0),
        ResultShare("queued by", "webhook", 4, 0, 1, 0),
        of_owner,
    )
    assert [one.by for one in review_of(7, review.read_at, counts).shares] == ["queued by"] * 2
    assert review.failures == [FailureGroup("timeout", "look_up", 2, 1, "9")]
    assert review.waiting == 3
    assert review.refusals == [REFUSED]
