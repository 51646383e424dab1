"""What is most likely wrong with an unmatched contact."""

import pytest

from enrichment.unmatched import (
    COMMON_HOSTS,
    KnownDomains,
    MistypedDomain,
    Suggestion,
    UnmatchedGroup,
    UnmatchedItem,
    group_unmatched,
    mistyped_domains,
    suggest,
    suggestions_of,
)

KNOWN = KnownDomains({"acme-tools.com": 40, "acme.com": 40, "seldom.example": 1, "abc.io": 50})
EARLY, LATE = "2026-11-01T00:00:00.000Z", "2026-11-20T00:00:00.000Z"


def item(crm_id: str, address: str, reason: str = "NO_MATCH", at: str = LATE) -> UnmatchedItem:
    return UnmatchedItem("hubspot", "contact", crm_id, reason, "zoominfo", "r1", address, at, None)


@pytest.mark.parametrize(
    ("address", "cause", "domain"),
    [
        ("ada@gmial.com", "mistyped_domain", "gmail.com"),
        ("ada@gmail.con", "mistyped_domain", "gmail.com"),
        ("ada@hotmal.com", "mistyped_domain", "hotmail.com"),
        ("info@outlok.com", "mistyped_domain", "outlook.com"),
        ("ada@acme-tolos.com", "mistyped_domain", "acme-tools.com"),
        ("ada@acme.co", "mistyped_domain", "acme.com"),
        ("ada@akme.com", "unknown_company", ""),  # so short a name may be another company's
        ("ada@selbom.example", "unknown_company", ""),  # beside a domain that is rare itself
        ("ada@abd.io", "unknown_company", ""),
        ("ada@ymail.com", "free_mail", ""),  # a host of its own, one letter beside a larger one
        ("ada@gmail.com", "free_mail", ""),
        ("info@acme.com", "role_address", ""),
        ("ada@mailinator.com", "disposable_address", ""),
        ("ada@@gmail", "email_malformed", ""),
        ("ada@seldom.example", "", ""),
        ("ada@acme.com, Ada, Lovelace", "", ""),
        ("Ada, Lovelace, Acme", "", ""),
        ("", "", ""),
    ],
)
def test_the_address_says_more_than_the_provider(address: str, cause: str, domain: str) -> None:
    """One letter beside a frequent domain is a slip; what is free, thrown away or a role's is called so."""
    assert suggest("NO_MATCH", address or None, KNOWN) == Suggestion(cause, domain)


@pytest.mark.parametrize("reason", ["OPT_OUT", "doubtful_name", "contact_gone"])
def test_a_reason_that_says_enough_stays(reason: str) -> None:
    """An address doesn't explain an opt-out."""
    assert suggest(reason, "ada@gmial.com", KNOWN) == Suggestion()


def test_a_common_host_is_never_a_slip_of_another() -> None:
    """`hotmail.fr` and `hotmail.it` are two hosts."""
    assert [host for host in COMMON_HOSTS if KNOWN.meant(host)] == []


def test_contacts_are_grouped_by_cause_with_the_command_that_queues_them_again() -> None:
    """Few are named, many are listed in a file; a group without advice has no command."""
    items = [item(str(number), "ada@gmial.com", at=EARLY if number else LATE) for number in range(12)]
    items += [item("90", "eve@acme.com", "OPT_OUT"), item("91", "ada@new.example"), item("92", "bob@new.example")]
    found = suggestions_of(items, KNOWN)
    mistyped, unknown, out = group_unmatched(found, "2026-11-10T00:00:00.000Z")
    assert mistyped == UnmatchedGroup(
        "mistyped_domain",
        "zoominfo",
        12,
        1,
        ("0", "1", "10", "11", "2", "3", "4", "5", "6", "7"),
        EARLY,
    )
    assert mistyped.explained.advice == (
        "correct the address in the CRM (`enrich unmatched --cause mistyped_domain --csv unmatched.csv` lists them), "
        "then `enrich stage --csv unmatched.csv`"
    )
    assert unknown.explained.command == "enrich stage --ids 91,92"
    assert (out.cause, out.recent, out.explained.advice) == ("OPT_OUT", 1, "")
    assert mistyped_domains(found) == [MistypedDomain("gmial.com", "gmail.com", 12, "0")]


def test_many_without_advice_have_no_command() -> None:
    """No contact that opted out is queued again."""
    found = suggestions_of([item(str(number), "a@acme.com", "OPT_OUT") for number in range(12)], KNOWN)
    (group,) = group_unmatched(found, LATE)
    assert (group.records, group.explained.advice) == (12, "")
