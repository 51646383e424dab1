"""
What always holds, in words: the promises, their exceptions, and the checks that find where one is broken.

A check of the tables is written once, in SQL, under its name in `blocks/warehouses/sql/audit.sql`. It runs in the
user's warehouse, where the rows are, and in tests and simulations on SQLite; a second version of each rule in Python
would have to read all tables, and the two would drift apart. What SQL can't see is judged in
`enrichment/comparisons.py`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: How many ids are named.
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Promise:
    """
    Something that always holds.

    Args:
        name: short, for programs.
        text: the promise, for people.
        exception: what may happen nevertheless, and isn't found.
        advice: what to do if it is broken.
        checks: by name the sentences that hold of all tables if the promise is kept.
    """

    name: str
    text: str
    exception: str
    advice: str
    checks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sighting:
    """How often a check doesn't hold, and of the first cases the id and what it is about."""

    count: int = 0
    examples: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Breach:
    """A check that doesn't hold: its name, its sentence, how often, and the first ids with what they are about."""

    check: str
    rule: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks said of one promise."""

    promise: str
    text: str
    kept: bool
    advice: str = ""
    breaches: tuple[Breach, ...] = ()


_CONTACT = "`enrich why ID` shows the contact's story"
_REPORT = "unless someone has changed the tables by hand, please report it as a bug"

NOTHING_LOST = Promise(
    "nothing_lost",
    "No queued contact is lost: it is in the queue, or has exactly one result.",
    "None.",
    f"{_CONTACT}; `enrich stage --ids ID` queues it again; {_REPORT}.",
    {
        "two_results": "A queued contact ends once.",
        "queued_and_ended": "What has a result has left the queue.",
        "queued_twice": "A contact is in the queue once.",
        "failed_without_result": "A failed contact has the result failed.",
        "result_without_failed": "The result failed has its failed contact, with the error.",
        "failed_twice": "A failed contact is kept once.",
        "retry_lost": "A failed contact that was queued again is in the queue, or has ended again.",
        "stored_without_end": "A contact whose answer was stored is in the queue, or has ended since.",
        "result_unknown": "Each result is one of the seven that there are.",
        "place_lost": "Each listener, intake and backfill has one place from which it continues.",
    },
)

TOTALS_MATCH = Promise(
    "totals_match",
    "The totals of every run match: what it took from the queue has ended or went back.",
    "A run that was killed or cut short: the next run takes the contacts that it had locked, and counts them.",
    f"`enrich stage` queues the contacts of the run again that have no result; {_REPORT}.",
    {
        "totals_differ": "Contacts taken from the queue = contacts that ended + contacts that went back.",
        "results_differ": "The run's counts of results, and its failure rate, are those of the contacts that it ended.",
        "result_of_no_run": "Each result names a run that is on record, unless an erasure ended the contact.",
        "run_not_closed": "A run that has ended says when, and has all its figures.",
        "run_forgotten": "A run that died is closed by the next one.",
        "run_twice": "A run, and what it had of a provider, is on record once.",
    },
)

NOTHING_PAID_TWICE = Promise(
    "nothing_paid_twice",
    "No answer is paid for twice while the saved reply is valid.",
    "An answer that was lost on its way: it is requested again, and what it may have cost is noted in "
    "`doubtful_credits`. A reply without data, where the provider bills it. How long a reply is valid is judged by the "
    "settings of today.",
    f"`enrich why ID` shows what was paid for; {_REPORT}.",
    {
        "paid_twice": "A reply with data that was paid for isn't bought again while it is valid.",
        "reply_lost": "A run's replies with data are saved for as long as they are valid.",
        "reply_twice": "A request has one saved reply.",
        "reserved_twice": "A request is made by one run at a time.",
        "reservation_of_closed_run": "A run that has ended makes no request.",
    },
)

CREDITS_BOOKED = Promise(
    "credits_booked",
    "Every billed credit is counted: the credits of a run are those of its replies.",
    "A run that was killed has no figure of its own; its replies have theirs. Lost answers are in `doubtful_credits`.",
    f"Compare with the provider's usage page; {_REPORT}.",
    {
        "credits_not_booked": "A run's credits are the sum of what it had of each provider.",
        "usage_unlike_replies": "What a run had of its providers are the saved replies that name it.",
        "reply_of_no_run": "Each saved reply names a run that is on record.",
        "negative_credits": "No reply, reservation or doubt costs less than nothing.",
        "price_unclear": "A provider has one price of a credit at a time.",
    },
)

WRITES_ALLOWED = Promise(
    "writes_allowed",
    "The CRM only gets values that the field mapping allows, and each change is on record with the value before it.",
    "A mapping that was changed since: earlier changes are judged by today's. Look back over fewer days then. What a "
    "person enters between our reading of a contact and its update, a moment later: no CRM refuses stale updates.",
    f"{_CONTACT}; correct the value in the CRM, or the mapping; {_REPORT}.",
    {
        "field_not_mapped": "Only fields of the mapping are written.",
        "protected_field_written": "A protected field is never written.",
        "value_replaced": "A field that may only be filled is written only if it was blank; one with `never`, not.",
        "value_erased": "No value is replaced by nothing, unless a change is undone.",
        "nothing_changed": "What is written differs from what was there.",
        "write_of_no_run": "Each change names a run that is on record.",
        "write_twice": "A change is on record once for each run.",
        "unconfirmed_write": "An unconfirmed change is of a contact that is in the queue, failed, or is suppressed.",
        "write_without_result": "A contact that was written to is in the queue, or has ended since.",
        "undo_not_recorded": "A change that was undone has the change by which it was.",
        "applied_unapproved": "Of a plan nothing is written unless a person has approved it.",
        "decision_unsigned": "A plan that is approved or declined says by whom and when.",
        "written_without_write": "The result written has a change that the CRM confirmed.",
    },
)

EVERYTHING_EXPLAINED = Promise(
    "everything_explained",
    "Nothing ends in silence: each failed, unmatched and invalid contact, and each field not written, has its reason.",
    "None.",
    f"{_CONTACT}; {_REPORT}.",
    {
        "failure_unexplained": "A failed contact has step, reason, error and number of attempts.",
        "result_unexplained": "The results failed, unmatched, invalid and suppressed have a reason.",
        "refusal_unexplained": "A field that was not written has its name and a reason.",
        "refusal_without_result": "A field that was not written belongs to a contact that the run ended.",
        "unmatched_unexplained": "An unmatched contact has a reason and the provider.",
        "unmatched_without_result": "An unmatched contact is in the queue, or has ended since.",
        "result_without_unmatched": "The result unmatched waits for review among the unmatched contacts.",
        "unmatched_twice": "A contact is unmatched once at each provider.",
    },
)

LOCKS_END = Promise(
    "locks_end",
    "No lock outlives its run: every contact in the queue is free, or a run works on it.",
    "The locks of a run that was killed end by themselves, after `ENRICHMENT_LEASE_SECONDS` without renewal.",
    f"The next `enrich run` takes contacts whose lock has ended; {_REPORT}.",
    {
        "lock_of_closed_run": "A run that has ended well holds no lock.",
        "lock_of_no_run": "A lock names a run that is on record.",
        "lock_without_end": "Every lock and every reservation ends within a day.",
        "state_unlike_lock": "A contact is locked exactly if it says so, and is in one of the two queues.",
        "stored_without_result": "A contact that waits for the CRM says when its answer was stored.",
    },
)

RESULTS_AGREE = Promise(
    "results_agree",
    "The table of results holds the newest answer of each contact, and the history holds every answer.",
    "A saved reply that a later lookup reads in another way, after a change of its provider's file, changes the result "
    "only; one that `enrich remap` reads again is in the history once more.",
    f"{_CONTACT}; `enrich stage --ids ID --refresh` stores it again; {_REPORT}.",
    {
        "result_twice": "A contact has one result.",
        "history_twice": "An answer is in the history once, and once more for each time that it was remapped.",
        "result_not_in_history": "The result is in the history.",
        "newer_in_history": "The history holds nothing newer than the result.",
        "result_unlike_history": "The result has the values that the same run put into the history.",
        "value_out_of_range": "Numbers, shares and links are such.",
        "stored_without_request": "A result comes from a request, by which an erasure finds its reply.",
    },
)

PRIVACY_KEPT = Promise(
    "privacy_kept",
    "What is known of an erased contact is gone, and no suppressed contact is looked up.",
    "A request that was under way while its contact was suppressed. A contact that is allowed or queued again.",
    f"`enrich erase ID` is safe to repeat; {_REPORT}.",
    {
        "erased_reply_kept": "A saved reply about an erased contact is blank.",
        "erased_contact_kept": "No table holds values of an erased contact.",
        "suppressed_looked_up": "No run that began after the suppression looked the contact up.",
        "suppressed_stored": "No run that began after the suppression stored a result of the contact.",
        "suppressed_by_no_one": "Each suppression has a reason, and is on record with its time.",
    },
)

PEOPLE_ALERTED = Promise(
    "people_alerted",
    "People are alerted exactly when it is due.",
    "A run that was killed: automations of Prefect alert then. A threshold that was changed since.",
    "Check the notifiers with `enrich doctor`.",
    {
        "alert_missing": "A run that failed, or in which contacts failed, has its alert.",
        "alert_not_due": "A run in which all went well, or that was below the threshold, has no alert of that kind.",
        "alert_not_sent": "An alert was delivered by the run or by a later one, if there is a notifier.",
    },
)

TIMES_IN_ORDER = Promise(
    "times_in_order",
    "Times are in order: nothing ends before it began, and nothing lies in the future.",
    "With SQLite, the clock of the machine: one that was set back.",
    f"Check the clocks of the machines that run workers; {_REPORT}.",
    {
        "result_of_the_future": "Results and runs end after they began, and before tomorrow.",
        "write_confirmed_early": "A change is confirmed after it was announced, and undone after that.",
    },
)

CRM_AGREES = Promise(
    "crm_agrees",
    "The CRM holds what we wrote, unless a person changed it since.",
    "Contacts that are gone from the CRM. Where the CRM doesn't say when a field was changed, a change is taken for a "
    "person's.",
    f"{_CONTACT}; what a person has changed stays theirs, so correct the value in the CRM.",
    {"write_not_there": "A value that the CRM confirmed is there, or the field was changed after our write began."},
)

PROMISES = (
    NOTHING_LOST,
    TOTALS_MATCH,
    NOTHING_PAID_TWICE,
    CREDITS_BOOKED,
    WRITES_ALLOWED,
    EVERYTHING_EXPLAINED,
    LOCKS_END,
    RESULTS_AGREE,
    PRIVACY_KEPT,
    PEOPLE_ALERTED,
    TIMES_IN_ORDER,
    CRM_AGREES,
)


def judge(found: Mapping[str, Sighting]) -> list[Verdict]:
    """Return what some checks, by name, say of each promise that they belong to."""
    return [_verdict(one, found) for one in PROMISES if not found.keys().isdisjoint(one.checks)]


def _verdict(promise: Promise, found: Mapping[str, Sighting]) -> Verdict:
    breaches = tuple(
        Breach(name, rule, found[name].count, tuple(map(_example, found[name].examples)))
        for name, rule in promise.checks.items()
        if name in found and found[name].count
    )
    return Verdict(promise.name, promise.text, not breaches, promise.advice if breaches else "", breaches)


def _example(example: tuple[str, str]) -> str:
    subject, about = example
    return f"{subject} ({about})" if about else subject


def sighting(cases: Iterable[tuple[str, str]]) -> Sighting:
    """Return cases, each an id and what it is about, as a check's sighting."""
    ordered = sorted(cases)
    return Sighting(len(ordered), tuple(ordered[:EXAMPLES]))
