"""The arithmetic of an estimate."""

import pytest

from enrichment.estimate import (
    Estimate,
    Price,
    Range,
    Tally,
    Terms,
    TrackRecord,
    chance_of_follow_up,
    chance_of_next,
    estimate_lines,
    estimate_markdown,
    estimate_provider,
    hours_for,
    in_one_sentence,
    totals,
)

TERMS = Terms(credits=2.0, batch_size=25, per_second=10.0)


def tally(**chances: float) -> Tally:
    counted = Tally()
    for key, chance in chances.items():
        counted.note_open(key, chance)
    return counted


def test_a_request_that_several_contacts_share_counts_once() -> None:
    """The likeliest of them decides how likely it is."""
    counted = tally(a=0.25, b=1.0)
    counted.note_open("a", 0.5)
    counted.note_known("c")
    counted.note_known("c")
    assert (counted.requests, counted.known) == (Range(1.5, 2.0), {"c"})


def test_credits_are_expected_by_what_replies_cost_so_far() -> None:
    """A provider that bills misses, or several credits a match, is expected to go on so; the worst is by its terms."""
    counted = tally(**{str(number): 1.0 for number in range(100)})
    found = estimate_provider("hunter", counted, TrackRecord(50, 40.0, 20, 30), TERMS, Price(0.5, "EUR"))
    assert found.requests == Range(100, 100)
    assert found.calls == Range(4, 4)
    assert found.credits == Range(80, 200)
    assert found.money == Range(40, 100)
    assert (found.currency, found.match_rate) == ("EUR", 0.4)


def test_a_provider_never_asked_is_expected_at_its_worst() -> None:
    """There is nothing to expect by."""
    found = estimate_provider("hunter", tally(a=1.0), TrackRecord(), TERMS, None)
    assert found.credits == Range(2.0, 2.0)
    assert found.match_rate is None
    assert found.money is None


@pytest.mark.parametrize(
    ("calls", "windows", "hours"),
    [
        (36_000, (), 1.0),
        (36_000, ((10.0, 1.0),), 1.0),
        (3_000, ((1_000.0, 3600.0),), 2.0),
        (1_000, ((1_000.0, 3600.0),), 100 / 3600),
        (0, ((1_000.0, 3600.0),), 0.0),
    ],
)
def test_the_slowest_allowance_sets_the_time(
    calls: float, windows: tuple[tuple[float, float], ...], hours: float
) -> None:
    """A long window is used up first and refilled then; a short one is the pace."""
    assert hours_for(calls, Terms(1.0, 25, 10.0, windows)) == pytest.approx(hours)


def test_the_next_provider_is_asked_for_what_the_first_misses() -> None:
    """As often as it missed so far; always, if it isn't known."""
    assert chance_of_next(0.5, TrackRecord(10, 8.0, 8, 2)) == pytest.approx(0.1)
    assert chance_of_next(0.5, TrackRecord()) == 0.5


def test_a_follow_up_is_made_for_contacts_that_the_provider_knows() -> None:
    """As often as it knew them so far; always, if it isn't known."""
    assert chance_of_follow_up(0.5, TrackRecord(10, 8.0, 8, 2)) == pytest.approx(0.4)
    assert chance_of_follow_up(0.5, TrackRecord(10, 0.0, 0, 10)) == 0.0
    assert chance_of_follow_up(0.5, TrackRecord()) == 0.5


def test_a_follow_up_is_named_and_asks_for_companies() -> None:
    """Its lines can't be taken for those of the contacts."""
    found = estimate_provider("zoominfo", tally(a=1.0), TrackRecord(), TERMS, Price(0.5, "EUR"), step="tech_stack")
    assert dict(estimate_lines(Estimate(selected=1, providers=(found,)))) == {
        "contacts selected": "1",
        "- already in the queue": "0",
        "- suppressed": "0",
        "- enriched recently": "0",
        "- without a usable identifier": "0",
        "zoominfo tech_stack: saved replies, free": "0",
        "zoominfo tech_stack: companies to look up": "1",
        "zoominfo tech_stack: calls": "1",
        "zoominfo tech_stack: credits": "2",
        "zoominfo tech_stack: hours at the rate limit": "0.00",
        "zoominfo tech_stack: EUR": "1.00",
        "total cost, EUR": "1.00",
    }


def test_an_estimate_reads_well() -> None:
    """Each figure as expected and at most; money only where there is a price, and by currency."""
    first = estimate_provider(
        "zoominfo", tally(a=1.0, b=1.0), TrackRecord(4, 2.0, 2, 2), Terms(1, 25, 10), Price(2, "EUR")
    )
    second = estimate_provider("hunter", tally(a=0.5, b=0.5), TrackRecord(), TERMS, Price(1, "USD"))
    found = Estimate(selected=9, waiting=1, suppressed=2, fresh=3, unusable=1, providers=(first, second))
    lines = dict(estimate_lines(found))
    assert lines["contacts selected"] == "9"
    assert lines["zoominfo: credits"] == "1 expected, at most 2"
    few = ": too few to expect by, so count on the highest cost"
    assert lines["zoominfo: match rate so far"] == f"50.0% of 4 looked up{few}"
    assert lines["hunter: match rate so far"] == f"no lookups{few}"
    assert totals(found) == {"EUR": Range(2, 4), "USD": Range(2, 4)}
    assert lines["total cost, EUR"] == "2.00 expected, at most 4.00"
    assert "cost" not in lines
    assert in_one_sentence(found) == (
        "9 contacts: 1 expected, at most 2 credits at zoominfo, 2 expected, at most 4 credits at hunter, "
        "2.00 expected, at most 4.00 EUR, 2.00 expected, at most 4.00 USD"
    )
    assert "| hunter: contacts to look up | 1 expected, at most 2 |" in estimate_markdown(found)


def test_without_a_price_the_estimate_says_how_to_set_one() -> None:
    """Money is left out, and its setting is named."""
    one = estimate_provider("hunter", tally(a=1.0), TrackRecord(), TERMS, None)
    assert "ENRICHMENT_PRICE_BOOK" in dict(estimate_lines(Estimate(selected=1, providers=(one,))))["cost"]


def test_a_match_rate_has_its_sample_size_beside_it() -> None:
    """Of many contacts it is a figure to expect by."""
    found = estimate_provider("hunter", tally(a=1.0), TrackRecord(50, 40.0, 20, 30), TERMS, None)
    lines = dict(estimate_lines(Estimate(selected=1, providers=(found,))))
    assert lines["hunter: match rate so far"] == "40.0% of 50 looked up"


def test_an_estimate_says_first_if_nothing_would_be_paid() -> None:
    """Instead of a row of zeros."""
    none = estimate_provider("zoominfo", tally(), TrackRecord(), TERMS, None)
    assert in_one_sentence(Estimate(selected=2, fresh=2, providers=(none,))) == "2 contacts: no paid lookup is needed"
    assert in_one_sentence(Estimate()) == "no contact meets the conditions"
