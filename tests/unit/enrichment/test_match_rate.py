"""The one definition of the match rate."""

from enrichment.match_rate import lookups_of, match_rate


def test_without_a_lookup_there_is_no_rate() -> None:
    """No rate isn't a rate of nothing."""
    assert (match_rate(0, 0), match_rate(0, 4), match_rate(3, 1)) == (None, 0.0, 0.75)


def test_the_ledger_keeps_what_each_provider_said() -> None:
    """One word for each provider; one that knew the contact after all did know it."""
    assert lookups_of(matched=["b"], unmatched=["a"]) == "a unmatched,b matched"
    assert lookups_of(matched=["a"], unmatched=["a"]) == "a matched"
    assert lookups_of(matched=[], unmatched=[]) == ""
