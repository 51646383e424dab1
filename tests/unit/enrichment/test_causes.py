"""What people read of a cause, and the command that repairs it."""

import pytest

from enrichment import causes
from enrichment.alerts import Limits, concerns_of
from enrichment.books import Books
from enrichment.causes import Explained, failed, not_found, refused


@pytest.mark.parametrize(
    ("reason", "step", "words"),
    [
        ("validation_error", "write_back", "hubspot refuses the update as invalid"),
        ("no_such_code", "write_back", "hubspot refuses the update"),
        ("status_502", "look_up", "the provider answered 502"),
        ("SERVICE_ERROR", "look_up", "the provider gave no usable reply"),
        ("odd", "store", "the step store failed"),
        ("{}", "write_back", "hubspot refuses the update"),
    ],
)
def test_a_failed_contact_s_cause_has_words_and_a_command(reason: str, step: str, words: str) -> None:
    """Whatever a code holds; who shows the words shows the code beside them."""
    found = failed(reason, step, "hubspot")
    assert (found.words, found.command) == (words, f"enrich retry --cause {reason}")


@pytest.mark.parametrize("rule", ["never", "fill_blank", "if_newer", "protected"])
def test_a_rule_of_the_user_is_named_and_needs_no_repair(rule: str) -> None:
    """The dry run shows it, in words."""
    found = refused(rule, "hubspot")
    assert found.words[0].islower()
    assert "refused by" not in found.words
    assert (found.fix, found.command, found.advice) == ("", "", "")


def test_a_refused_field_is_repaired_by_its_name() -> None:
    """With what to do first; a CRM's own code is quoted."""
    found = refused("not_an_option", "hubspot", "industry")
    assert found.words == "not in hubspot's list"
    assert found.advice.endswith("then `enrich retry --field industry`")
    assert refused("odd_code", "salesforce", "X__c").words == "refused by salesforce (odd_code)"


@pytest.mark.parametrize(
    ("reason", "words", "command"),
    [
        ("NO_MATCH", "the provider doesn't know the contact", "enrich stage --ids 7"),
        ("email_malformed", "the e-mail address is malformed", "enrich stage --ids 7"),
        ("OPT_OUT", "the person opted out at the provider", ""),
        ("ODD", "the provider doesn't have it", ""),
    ],
)
def test_a_contact_that_was_not_found_has_its_reason(reason: str, words: str, command: str) -> None:
    """Whichever provider says it in whatever letters; what can't be corrected has no command."""
    found = not_found(reason, "7")
    assert (found.words, found.command) == (words, command)


def test_advice_is_what_to_do_and_then_what_to_run() -> None:
    """Or only one of them."""
    assert Explained("w", "fix it", "enrich run").advice == "fix it, then `enrich run`"
    assert (Explained("w", "fix it").advice, Explained("w", "", "enrich run").advice) == ("fix it", "`enrich run`")


def test_every_kind_of_trouble_has_advice_and_what_is_said_after_it() -> None:
    """Those that a single run can't disprove are never called over."""
    kinds = {one.kind for one in concerns_of(Books(1), Limits(), stop=("quota_exhausted", "x"))}
    assert kinds <= causes.ADVICE.keys()
    assert causes.ADVICE.keys() - causes.RECOVERED.keys() == {
        "refused_fields",
        "invalid",
        "unmatched",
        "broken_promise",
    }
