"""
When people are alerted, and what they read.

A run has concerns: that it stopped or failed, contacts that failed, fields that weren't written, results that jumped.
People are alerted of a concern in the run in which it arises, and again once it is worse than what they know; what
they know is kept with the run's totals.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from enrichment.books import Books
from enrichment.records import Disposition
from enrichment.refusals import OF_THE_FIELD, OF_THE_PROVIDER, RefusedField, refused_line
from enrichment.stops import STOP_KINDS


@dataclass(frozen=True, slots=True)
class Cause:
    """How many records failed for one reason, at which step, and the CRM id of one of them."""

    reason: str
    step: str
    count: int
    example: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message; `kind` is empty for the message that all is well again."""

    kind: str
    subject: str
    body: str


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
        kind: one of the kinds in `_ADVICE`.
        about: tells concerns of one kind apart, such as the cause or the field.
        size: a share, or how many contacts if it `counts`.
        counts: whether the sizes of several runs add up.
        text: what people read of it.
    """

    kind: str
    about: str = ""
    size: float = 1.0
    counts: bool = False
    text: str = ""

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

#: What to do, by kind; the gravest kind comes first.
_ADVICE: Mapping[str, str] = {
    "credentials_rejected": "Renew the credential and check it with `enrich doctor`. Nothing is lost: the remaining "
    "contacts wait in the queue.",
    "request_refused": "Do what the message says: add the permission or correct the setting that it names, and check "
    "it with `enrich doctor`. Nothing is lost: the remaining contacts wait in the queue.",
    "quota_exhausted": "Raise the quota, or wait for its renewal. Nothing is lost: the remaining contacts wait in the "
    "queue for the next run.",
    "failed": "Do what the message says, and check with `enrich doctor`. Nothing is lost: contacts that the run had "
    "taken go back to the queue by themselves, and the next run continues.",
    "crashed": "Read the flow run's log. Nothing is lost: the locks of a run that died expire by themselves, and the "
    "next run continues.",
    "failure_rate": "Nothing is lost: the contacts are in `failed_records`. Fix the causes, then put them back into "
    "the queue: {replay}",
    "failed_contacts": "Nothing is lost: the contacts are in `failed_records`. Fix the causes, then put them back into "
    "the queue: {replay}",
    "refused_fields": "Nothing is lost: the other fields were written, and the warehouse has the values. Add the "
    "values to the CRM's list, or correct the field or its mapping; then `enrich stage --ids … --refresh` writes them.",
    "invalid": "Nothing is lost, and nothing was paid for these contacts. Correct the input, then stage them again.",
    "unmatched": "Nothing is lost: the contacts wait for review. Look at some with `enrich review`.",
}

#: Kinds whose end is worth a message.
_TROUBLES = tuple(kind for kind in _ADVICE if kind not in {"failed_contacts", "refused_fields", "invalid", "unmatched"})

#: Kinds that a run without them doesn't disprove, since it may have had no such contact: they are known for a time.
_LASTING = frozenset({"refused_fields", "invalid", "unmatched"})
_LASTING_DAYS = 7

#: The share that is taken for usual while the last runs have too few contacts, and the least that counts as usual.
_USUAL: Mapping[str, float] = {"invalid": 0.1, "unmatched": 0.4}
_LEAST_USUAL = 0.1

#: What a share beyond these says is well above another one.
_TWICE, _FAR = 2.0, 0.2

_LIKELY: Mapping[str, str] = {
    "contact_gone": "the CRM doesn't have them: the ids may be of another account or portal",
    "email_malformed": "their e-mail addresses are malformed: another column may have been taken for the addresses",
    "invalid": "they have no e-mail address, nor name and company: the column of the addresses may not have been "
    "recognised",
    "doubtful": "the answers contradict what was asked: columns may be mixed up, such as names and companies",
    "unmatched": "the addresses may be malformed or of another kind of contact, or the provider's account may lack the "
    "data",
}


def concerns_of(
    books: Books,
    limits: Limits,
    *,
    causes: Sequence[Cause] = (),
    stop: tuple[str, str] = ("", ""),
    refusals: Sequence[RefusedField] = (),
    crm: str = "",
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
    found += [
        Concern("failed_contacts", f"{one.reason} at {one.step}", one.count, counts=True, text=_cause_line(one))
        for one in causes
    ]
    found += [
        Concern("refused_fields", f"{one.field} {one.reason}", one.share, text=refused_line(one, crm))
        for one in refusals
        if _is_refused_often(one, limits)
    ]
    for name in ("invalid", "unmatched"):
        share = jump(name, shares_of(books), before or Shares(), limits)
        if share is not None:
            found.append(Concern(name, size=share, text=_jump_line(name, books, share, (reasons or {}).get(name, {}))))
    return found


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
    return next((kind for kind in _ADVICE if kind in kinds), "")


def pack_known(known: Known) -> str:
    """Return what people know as text."""
    return json.dumps({key: [alerted.size, alerted.since, alerted.at] for key, alerted in sorted(known.items())})


def unpack_known(text: str | None) -> Known:
    """Return what people know from its text; nothing if there is none."""
    return {key: Alerted(*alerted) for key, alerted in json.loads(text or "{}").items()}


@dataclass(frozen=True, slots=True)
class Occasion:
    """The run that people read about: its name and id, its books, and the command that puts dead letters back."""

    run: str
    replay: str
    books: Books = field(default_factory=Books)


def compose_alert(
    fresh: Sequence[Concern], concerns: Sequence[Concern], known: Known, occasion: Occasion
) -> Alert | None:
    """
    Return the message that a run deserves, or None if there is nothing new.

    Args:
        fresh: concerns that people don't know yet, or not as bad.
        concerns: all of the run.
        known: what people knew before the run.
        occasion: the run.
    """
    over = _over(concerns, known)
    if not fresh and not over:
        return None
    lines = [occasion.run, *_counts(occasion.books)]
    ended = f"{', '.join(kind.replace('_', ' ') for kind in over)} is over"
    if not fresh:
        return Alert("", f"Contact enrichment works again ({ended})", "\n".join(lines))
    # Also what people know already of contacts that failed: it belongs to the picture.
    lines += [one.text for one in concerns if one.text and (one in fresh or one.kind == "failed_contacts")]
    lines += [f"{ended[:1].upper()}{ended[1:]}."] if over else []
    advice = dict.fromkeys(_ADVICE[kind] for kind in _ADVICE if kind in {one.kind for one in fresh})
    lines += [text.replace("{replay}", occasion.replay) for text in advice]
    return Alert(gravest(fresh), _subject(fresh, occasion.books), "\n".join(lines))


def _over(concerns: Iterable[Concern], known: Known) -> list[str]:
    now = {one.kind for one in concerns}.intersection(_TROUBLES)
    before = {key.partition("|")[0] for key in known}
    return [] if now else [kind for kind in _TROUBLES if kind in before]


def _counts(books: Books) -> list[str]:
    back = f"{books.finished:,} finished, {books.returned:,} back in the queue"
    return [f"{books.claimed:,} contacts taken from the queue, {back}"] if books.claimed else []


def _cause_line(one: Cause) -> str:
    example = f", for example contact {one.example}: `enrich why {one.example}`" if one.example else ""
    return f"{one.count:,} x {one.reason} at {one.step}{example}"


def _jump_line(name: str, books: Books, share: float, reasons: Mapping[str, int]) -> str:
    reason = max(reasons, key=lambda each: reasons[each], default="")
    kind = "doubtful" if reason.startswith("doubtful") else reason
    likely = _LIKELY.get(kind, _LIKELY[name])
    said = f" ({reason})" if reason else ""
    return f"{books.count(Disposition(name)):,} contacts, {share:.0%}, are {name}{said}, far more than usual: {likely}"


def compose_version_notice(provider: str, before: Sequence[str], now: Sequence[str], *, run: str) -> Alert:
    """Return the message that a provider speaks another version of its API than in the last run; nothing failed."""
    change = f"{', '.join(now)} instead of {', '.join(before)}"
    body = f"{run}\nThe meaning of its answers may have changed: check the match rate and the fields of this run."
    return Alert("api_version", f"Contact enrichment: {provider} answers with API version {change}", body)


def _subject(fresh: Sequence[Concern], books: Books) -> str:
    kind = gravest(fresh)
    mine = [one for one in fresh if one.kind == kind]
    match kind:
        case "failure_rate":
            return f"Contact enrichment: {books.failure_rate:.1%} of {books.claimed:,} contacts failed"
        case "failed_contacts":
            return f"Contact enrichment: {sum(int(one.size) for one in mine):,} contacts failed"
        case "refused_fields":
            fields = dict.fromkeys(one.about.partition(" ")[0] for one in mine)
            return f"Contact enrichment: {', '.join(fields)} can't be written as mapped"
        case "invalid" | "unmatched":
            return f"Contact enrichment: {mine[0].size:.0%} of the contacts are {kind}"
        case "failed":
            return "Contact enrichment: a run failed"
        case "crashed":
            return "Contact enrichment: part of a run failed unexpectedly"
        case _:
            return f"Contact enrichment stopped: {kind.replace('_', ' ')}"
