"""
When people are alerted; `messages` says what they read.

A run has concerns: that it stopped or failed, contacts that failed, fields that weren't written, results that jumped.
People are alerted of a concern in the run in which it arises, and again once it is worse than what they know; what
they know is kept with the run's totals.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from enrichment.books import Books
from enrichment.causes import ADVICE, failed, likely, refused
from enrichment.records import Disposition
from enrichment.refusals import OF_THE_FIELD, OF_THE_PROVIDER, RefusedField, refused_line
from enrichment.stops import STOP_KINDS
from enrichment.wording import contacts


@dataclass(frozen=True, slots=True)
class Cause:
    """
    How many records of a run failed for one reason.

    Args:
        reason: a short code.
        step: at which they failed.
        count: of records.
        contacts: CRM ids of the first ones.
        since: when the first contact that still waits failed so, as ISO-8601 UTC text; empty if that isn't known.
    """

    reason: str
    step: str
    count: int
    contacts: tuple[str, ...] = ()
    since: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Above what people are alerted.

    Args:
        failure_rate: share of a run's contacts that failed, from 0 to 1.
        refusals: share of a field's values that the CRM refused, from 0 to 1.
        jump_factor: how many times the last runs' share of invalid or unmatched contacts; 0: never.
        minimum: of fewer contacts than this, no share of values or results is judged.
    """

    failure_rate: float = 0.01
    refusals: float = 0.2
    jump_factor: float = 3.0
    minimum: int = 10


@dataclass(frozen=True, slots=True)
class Shares:
    """
    How many contacts of some runs were invalid, unmatched, or known to a provider.

    Args:
        invalid: of them; that is found before anything is paid for.
        unmatched: of them.
        known: of them.
        unasked: valid ones that went back to the queue, as those beyond a cap do.
    """

    invalid: int = 0
    unmatched: int = 0
    known: int = 0
    unasked: int = 0


@dataclass(frozen=True, slots=True)
class Concern:
    """
    Something that people should know of a run.

    Args:
        kind: one of the kinds in `causes.ADVICE`.
        about: tells concerns of one kind apart, such as the cause or the field.
        size: a share, or how many contacts if it `counts`.
        counts: whether the sizes of several runs add up.
        text: what people read of it.
        fix: what to do, and the command; empty if the kind's advice says all.
        contacts: CRM ids of the first contacts that it is about, and since when it lasts.
        since: when it began, as ISO-8601 UTC text; empty if that isn't known.
    """

    kind: str
    about: str = ""
    size: float = 1.0
    counts: bool = False
    text: str = ""
    fix: str = ""
    contacts: tuple[str, ...] = ()
    since: str = ""

    @property
    def key(self) -> str:
        """Return the name by which later runs know it."""
        return f"{self.kind}|{self.about}"


@dataclass(frozen=True, slots=True)
class Alerted:
    """What people know of a concern: its size when they were alerted last, what has been added since, and when."""

    size: float
    since: float
    at: str


Known = Mapping[str, Alerted]

#: Kinds that a run without them doesn't disprove, since it may have had no such contact: they are known for a time.
_LASTING = frozenset({"refused_fields", "invalid", "unmatched"})
_LASTING_DAYS = 7

#: The share that is taken for usual while the last runs have too few contacts, and the least that counts as usual.
_USUAL: Mapping[str, float] = {"invalid": 0.1, "unmatched": 0.4}
_LEAST_USUAL = 0.1

#: What a share beyond these says is well above another one.
_TWICE, _FAR = 2.0, 0.2


def concerns_of(
    books: Books,
    limits: Limits,
    *,
    causes: Sequence[Cause] = (),
    stop: tuple[str, str] = ("", ""),
    refusals: Sequence[RefusedField] = (),
    crm: str = "the CRM",
    provider: str = "the provider",
    before: Shares | None = None,
    reasons: Mapping[str, Mapping[str, int]] | None = None,
) -> list[Concern]:
    """
    Return what people should know of a run, the gravest first.

    Args:
        books: the run's books.
        limits: above what people are alerted.
        causes: dead letters by cause.
        stop: why the run failed, as its kind and its message; empty if it didn't.
        refusals: what CRM fields refused.
        crm: by which name people know the CRM.
        provider: by which name people know the provider, or several.
        before: what came of the last runs' contacts; None if that isn't known.
        reasons: the run's contacts by reason, for each result that may have jumped.
    """
    kind, message = stop
    # What is used up or refused is one concern for each system, in whatever words it says so.
    about = message.partition(":")[0] if kind in STOP_KINDS else likeness(message)
    found = [Concern(kind, about, text=message)] if kind else []
    if books.failure_rate > limits.failure_rate:
        text = f"{books.count(Disposition.FAILED):,} of {books.claimed:,} contacts failed"
        found.append(Concern("failure_rate", size=books.failure_rate, text=text))
    found += [failed_contacts(one, crm, provider) for one in causes]
    found += [refused_field(one, crm) for one in refusals if _is_refused_often(one, limits)]
    for name in ("invalid", "unmatched"):
        share = jump(name, shares_of(books), before or Shares(), limits)
        if share is not None:
            found.append(Concern(name, size=share, text=_jump_line(name, books, share, (reasons or {}).get(name, {}))))
    return found


def failed_contacts(one: Cause, crm: str, provider: str) -> Concern:
    """Return what people read of contacts that failed for one cause."""
    cause = failed(one.reason, one.step, crm)
    place = {"write_back": crm, "look_up": provider}.get(one.step, f"the step {one.step}")
    text = f"{contacts(one.count)} failed at {place}: {cause.words} ({one.reason} at {one.step})"
    about = f"{one.reason} at {one.step}"
    return Concern("failed_contacts", about, one.count, True, text, cause.advice, one.contacts, one.since)


def refused_field(one: RefusedField, crm: str) -> Concern:
    """Return what people read of a field that was not written."""
    fix = refused(one.reason, crm, one.field).advice
    return Concern("refused_fields", f"{one.field} {one.reason}", one.share, text=refused_line(one, crm), fix=fix)


def _jump_line(name: str, books: Books, share: float, reasons: Mapping[str, int]) -> str:
    reason = max(reasons, key=lambda each: reasons[each], default="")
    said = f" ({reason})" if reason else ""
    far = f"far more than usual: {likely(name, reason)}"
    return f"{books.count(Disposition(name)):,} contacts, {share:.0%}, are {name}{said}, {far}"


def shares_of(books: Books) -> Shares:
    """Return how many contacts of a run were invalid, unmatched or known."""
    known = books.count(Disposition.WRITTEN) + books.count(Disposition.UNCHANGED)
    return Shares(books.count(Disposition.INVALID), books.count(Disposition.UNMATCHED), known, books.returned)


def jump(name: str, now: Shares, before: Shares, limits: Limits) -> float | None:
    """
    Return a run's share of `invalid` or `unmatched` contacts if it is far above the last runs', else None.

    Far is the factor's multiple of the usual share, or halfway from there to all contacts, whichever is less.
    """
    share, contacts = _share(name, now)
    usual, contacts_before = _share(name, before)
    usual = max(usual, _LEAST_USUAL) if contacts_before >= limits.minimum else _USUAL[name]
    if not limits.jump_factor or contacts < limits.minimum:
        return None
    return share if share > min(limits.jump_factor * usual, (1 + usual) / 2) else None


def _share(name: str, counted: Shares) -> tuple[float, int]:
    part = counted.invalid if name == "invalid" else counted.unmatched
    whole = counted.known + counted.unmatched + (counted.invalid + counted.unasked if name == "invalid" else 0)
    return part / max(whole, 1), whole


def _is_refused_often(one: RefusedField, limits: Limits) -> bool:
    if one.reason in OF_THE_FIELD | OF_THE_PROVIDER:
        return one.reason in OF_THE_FIELD
    return one.share > limits.refusals and max(one.planned, one.contacts) >= limits.minimum


def likeness(message: str) -> str:
    """Return what two messages about one cause have in common: their first words, without numbers and ids."""
    words = re.findall(r"[\w'-]+", message.lower())
    return " ".join([word for word in words if not re.search(r"\d", word)][:20])


def judge(concerns: Iterable[Concern], known: Known, now: str) -> tuple[list[Concern], Known]:
    """
    Return those concerns that people don't know yet, or not as bad, and what they know once they were alerted.

    Contacts that failed add up from run to run: people are alerted again when as many came as they know of. Of a share
    they are alerted again when it has doubled or is 20 points higher.

    Args:
        concerns: of the run.
        known: what people know.
        now: the time, as ISO-8601 text.
    """
    fresh: list[Concern] = []
    after = {key: alerted for key, alerted in known.items() if _lasts(key, alerted, now)}
    for one in concerns:
        alerted = after.get(one.key, known.get(one.key) if one.kind not in _LASTING else None)
        if alerted is None or _is_worse(one, alerted):
            fresh.append(one)
            before = alerted.size + alerted.since if alerted and one.counts else 0.0
            after[one.key] = Alerted(before + one.size, 0.0, now)
        else:
            after[one.key] = Alerted(alerted.size, alerted.since + one.size if one.counts else 0.0, alerted.at)
    return fresh, after


def _lasts(key: str, alerted: Alerted, now: str) -> bool:
    age = datetime.fromisoformat(now) - datetime.fromisoformat(alerted.at)
    return key.partition("|")[0] in _LASTING and age < timedelta(days=_LASTING_DAYS)


def _is_worse(one: Concern, alerted: Alerted) -> bool:
    if one.counts:
        return alerted.since + one.size >= alerted.size
    return one.size >= min(_TWICE * alerted.size, alerted.size + _FAR)


def gravest(concerns: Iterable[Concern]) -> str:
    """Return the gravest kind, or nothing if there is none."""
    kinds = {one.kind for one in concerns}
    return next((kind for kind in ADVICE if kind in kinds), "")


def pack_known(known: Known) -> str:
    """Return what people know as text."""
    return json.dumps({key: [alerted.size, alerted.since, alerted.at] for key, alerted in sorted(known.items())})


def unpack_known(text: str | None) -> Known:
    """Return what people know from its text; nothing if there is none."""
    return {key: Alerted(*alerted) for key, alerted in json.loads(text or "{}").items()}
