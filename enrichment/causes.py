"""
Why a contact failed, wasn't found or lacks a field, and why a run stopped: what people read of it, and what to do.

A cause is a short code. Alerts, lists, the review, the report and `enrich why` have its words and the command that
repairs it from here; a provider's or a CRM's own code is quoted.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from enrichment.undo import WRITTEN_SINCE
from enrichment.values import OUT_OF_RANGE, UNREADABLE
from enrichment.write_policy import EDITED


@dataclass(frozen=True, slots=True)
class Explained:
    """
    What people read of a cause.

    Args:
        words: what is wrong, without a full stop.
        fix: what to do first, as a sentence without its full stop; empty if there is nothing to do.
        command: what to run then; empty if nothing has to be.
    """

    words: str
    fix: str = ""
    command: str = ""

    @property
    def advice(self) -> str:
        """Return what to do, in one line."""
        run = f"`{self.command}`" if self.command else ""
        return f"{self.fix}, then {run}" if self.fix and run else self.fix or run


#: Stands for the CRM's name.
_CRM = "{crm}"

#: What there is to decide where a paid reply is of no use: the journal has nothing to read for the retry.
_PAID_AGAIN = "decide whether to pay for the lookup again"

#: Failed contacts: what is wrong, and what to do before the retry.
FAILED: Mapping[str, tuple[str, str]] = {
    "attempts_exhausted": (
        "every run that worked on the contact crashed",
        "read the log of those runs, which `enrich why ID` names",
    ),
    "chunk_broken": ("the contact's batch failed unexpectedly at its last attempt", "read the log of the run"),
    "contact_unreadable": ("{crm} returns an error for this contact, but not for others", "open the contact in {crm}"),
    "value_not_storable": ("the warehouse can't store one of its values", "see the column in `enrich why ID`"),
    "reply_not_storable": ("the warehouse can't store the provider's reply", _PAID_AGAIN),
    "unreadable_answer": ("the provider's reply can't be read", _PAID_AGAIN),
    "cut_answer": ("the provider's reply was truncated", _PAID_AGAIN),
    "lost_answer": ("the provider's reply was lost on its way", _PAID_AGAIN),
    "untrusted_certificate": (
        "the certificate of the provider's server isn't trusted",
        "if a proxy intercepts TLS, add its authority to the file that `SSL_CERT_FILE` names",
    ),
    **dict.fromkeys(("queued", "pending"), ("the provider was still preparing its reply at the last attempt", "")),
    "missing_in_answer": ("the provider's reply doesn't include the contact", _PAID_AGAIN),
    "validation_error": (
        "{crm} refuses the update as invalid",
        "correct the field mapping, or the rules of the property in {crm}; `enrich why ID` shows {crm}'s message",
    ),
    "not_confirmed": ("{crm} didn't confirm the update", ""),
    "unprocessed": ("the bulk job ended before it came to the contact", ""),
    "unavailable": ("{crm} couldn't be reached", "check with `enrich doctor` that it answers"),
    "unable_to_lock_row": ("another process kept the record locked in {crm}", ""),
    "duplicates_detected": ("a duplicate rule of {crm} blocks the update", "merge the records, or exempt the user"),
    "required_field_missing": ("{crm} demands a field that the contact lacks", "fill the field in {crm}"),
    "insufficient_access_or_readonly": (
        "the integration user may not change the contact",
        "give it the permission in {crm}",
    ),
}

#: Fields that were not written: what is wrong with one value, and what to do.
REFUSED: Mapping[str, tuple[str, str]] = {
    "not_an_option": ("not in {crm}'s list", "add the value to {crm}'s list, or correct the field or its mapping"),
    "too_long": ("longer than {crm}'s field allows", "lengthen the field in {crm}, or map another source"),
    UNREADABLE: ("can't be read for certain, so not used", ""),
    "several_values": ("a list where the field takes one value", "map the list to a field that takes several values"),
    "field_custom_validation_exception": ("refused by a validation rule of {crm}", "change the rule or the mapping"),
    "field_integrity_exception": ("not in {crm}'s list of states and countries", "add the value to {crm}'s list"),
    "not_a_number": ("not a number", "map it to a text field"),
    OUT_OF_RANGE: ("not a number that the field can have", "change the range of the field in {crm}"),
    "not_a_boolean": ("neither true nor false", "map it to a text field"),
    "not_a_date": ("not a date", "map it to a text field"),
    "not_a_datetime": ("not a time", "map it to a text field"),
    "not_a_text": ("not a text", "map it to a field of its type"),
    "no_such_field": ("{crm} has no such field", "run `enrich setup`, or correct the field mapping"),
    "read_only": (
        "{crm} doesn't let this field be written",
        "let the integration write it, or take it out of the mapping",
    ),
    "never": ("the field's rule is never", ""),
    "fill_blank": ("the field isn't blank (rule fill_blank)", ""),
    "if_newer": ("the field was changed after the provider answered (rule if_newer)", ""),
    "protected": ("the field is protected", ""),
    "not_approved": ("not in the approved plan, or changed since", ""),
    "undone": ("a person has undone this value (`enrich undo`)", ""),
    EDITED: ("a person has changed the field in {crm} since: that person decides, there", ""),
    WRITTEN_SINCE: ("a later run has written the field: undo that run as well", ""),
}

_CORRECT = "correct the contact in the CRM"
_UNKNOWN = ("the provider doesn't know the contact", "check the address, or add a provider")

#: Unmatched, invalid and suppressed contacts: what is wrong, and what to do.
NOT_FOUND: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("no_match", "not_found", "unknown_record", "no_data", "empty", "unmatched"), _UNKNOWN),
    "below_min_confidence": ("the provider isn't sure enough that it is this person", "add name and company"),
    "doubtful_name": ("the answer is about a person with another name", _CORRECT),
    "doubtful_company": ("the answer is about a person at another company", _CORRECT),
    "company_of_mail_host": ("the answer is only about the company that hosts the mailbox", "add the business address"),
    "stub": ("the provider returned an empty placeholder for the person", _CORRECT),
    "non_match_by_last_updated_date": ("the provider's data of the contact is too old", ""),
    "invalid_input": ("the provider can't use the address or the name", _CORRECT),
    "email_invalid": ("the provider can't use the address", _CORRECT),
    "email_malformed": ("the e-mail address is malformed", _CORRECT),
    "mistyped_domain": ("the domain of the address looks mistyped", "correct the address in the CRM"),
    "unknown_company": (
        "no provider has found a contact at the domain of the address",
        "check that the company exists, and has this domain",
    ),
    "no_usable_identifier": ("there is no e-mail address, nor name and company", _CORRECT),
    "contact_gone": ("the CRM doesn't have the contact", ""),
    "disposable_address": ("the address is at a host of throw-away mail", _CORRECT),
    "free_mail": ("the address is private, such as at gmail.com", "add the business address"),
    "role_address": ("the address is a role's, such as info@", "add the person's own address"),
    "suppression_list": ("the contact is on the suppression list", ""),
    **dict.fromkeys(("opt_out", "contact_opted_out", "barred"), ("the person opted out at the provider", "")),
}

_STATUS = re.compile(r"status_(\d{3})")

#: Kinds of trouble that a run may have, the gravest first, and what to do; `{retry}` stands for the command.
ADVICE: Mapping[str, str] = {
    "credentials_rejected": "Renew the credential, and check it with `enrich doctor`.",
    "request_refused": "Do what the message says: add the permission or correct the setting that it names, and check "
    "it with `enrich doctor`.",
    "quota_exhausted": "Raise the quota, or wait for its renewal.",
    "failed": "Do what the message says, and check with `enrich doctor`.",
    "broken_promise": "Run that command, and look at the ids that it names: it changes nothing, and says what to do.",
    "crashed": "Read the flow run's log.",
    "failure_rate": "Fix the causes, then put the contacts back into the queue: {retry}",
    "failed_contacts": "Fix the causes, then put the contacts back into the queue: {retry}",
    "refused_fields": "Fix the causes, then write the values from the saved replies, which costs nothing.",
    "invalid": "Nothing was paid for these contacts. Correct the input, then queue them again with `enrich stage`.",
    "unmatched": "Look at some: `enrich unmatched`.",
}

#: What a jump of invalid or unmatched contacts most likely comes from, by its most frequent reason.
_LIKELY: Mapping[str, str] = {
    "contact_gone": "the CRM doesn't have them: the ids may be of another account or portal",
    "email_malformed": "their e-mail addresses are malformed: another column may have been taken for the addresses",
    "invalid": "they have no e-mail address, nor name and company: the column of the addresses may not have been "
    "recognised",
    "doubtful": "the answers contradict what was asked: columns may be mixed up, such as names and companies",
    "unmatched": "the addresses may be malformed or of another kind of contact, or the provider's account may lack the "
    "data",
}

#: What people read once a kind of trouble is over.
RECOVERED: Mapping[str, str] = {
    "credentials_rejected": "the credentials are accepted again",
    "request_refused": "the requests are accepted again",
    "quota_exhausted": "quota is available again",
    "failed": "the last run succeeded",
    "crashed": "all batches succeeded",
    "failure_rate": "the failure rate is below its threshold again",
    "failed_contacts": "no contact failed",
}


def failed(reason: str, step: str, crm: str = "the CRM") -> Explained:
    """Return what people read of a failed contact's cause."""
    words, fix = FAILED.get(reason) or (_failure(reason, step), "")
    return Explained(words.replace(_CRM, crm), fix.replace(_CRM, crm), f"enrich retry --cause {reason}")


def _failure(reason: str, step: str) -> str:
    if status := _STATUS.fullmatch(reason):
        return f"the provider answered {status[1]}"
    if step == "write_back":
        return f"{_CRM} refuses the update"
    return "the provider gave no usable reply" if step == "look_up" else f"the step {step} failed"


def refused(reason: str, crm: str, field: str = "FIELD") -> Explained:
    """Return what people read of a value that a CRM's field didn't take."""
    words, fix = REFUSED.get(reason) or (f"refused by {_CRM} ({reason})", "correct the field or its mapping")
    return Explained(words.replace(_CRM, crm), fix.replace(_CRM, crm), f"enrich retry --field {field}" if fix else "")


def not_found(reason: str, crm_id: str = "ID") -> Explained:
    """Return what people read of an unmatched, invalid or suppressed contact's reason."""
    words, fix = NOT_FOUND.get(reason.lower()) or ("the provider doesn't have it", "")
    return Explained(words, fix, f"enrich stage --ids {crm_id}" if fix else "")


def likely(result: str, reason: str) -> str:
    """Return what a jump of contacts with this result most likely comes from, by its most frequent reason."""
    kind = "doubtful" if reason.startswith("doubtful") else reason
    return _LIKELY.get(kind, _LIKELY[result])
