"""
What has changed around the mapping: in the replies of providers against their rules, and in the CRM's fields.

No value of a person is kept: names of paths and fields, types and counts, and words of a vocabulary that several
contacts share.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any

from enrichment.causes import refused
from enrichment.fields import FIELDS, SOURCES, nearest
from enrichment.shapes import Path, ReadPaths, Shapes, Trace
from enrichment.values import PLACEHOLDER
from enrichment.wire import FieldDescription, UnfitError, is_blank, to_wire
from enrichment.write_policy import FieldRule, Rule, check_field

#: A word that fewer contacts share isn't shown.
_FEWEST_CONTACTS = 3
#: So many words of a field are counted, and so many shown.
_MOST_WORDS, _SHOWN_WORDS = 1000, 10
_LONGEST_WORD = 60
#: Of fewer replies than this, nothing is said of what none of them has.
_FEWEST_REPLIES = 20
#: How alike a new path and one that is gone must be to be taken for the same.
_ALIKE = 0.5
_WORD_BEGINS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Kind(StrEnum):
    """What has changed."""

    GONE = "gone"
    NEVER = "never_there"
    TYPE_CHANGED = "type_changed"
    NEW = "new"
    LEFT_OUT = "values_left_out"
    NOT_UNDERSTOOD = "not_understood"
    CRM_FIELD = "crm_field"
    CRM_VALUES = "crm_values"
    VERSION = "api_version"


#: With these, values are lost until a person changes something.
_SERIOUS = frozenset({Kind.GONE, Kind.TYPE_CHANGED, Kind.NOT_UNDERSTOOD, Kind.CRM_FIELD})


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that has changed.

    Args:
        system: the provider, with the follow-up if it is one; or the CRM.
        kind: what has changed.
        subject: path in the reply, field, or version.
        says: the change, as a sentence.
        count: how many replies show it.
        of: how many replies were looked at.
        since: day (ISO-8601) since which it is so; empty if it has always been.
        values: words of a vocabulary that it is about, with how many contacts have each.
        proposal: line for the provider's file or the mapping file; empty if there is none to propose.
    """

    system: str
    kind: Kind
    subject: str
    says: str
    count: int = 0
    of: int = 0
    since: str = ""
    values: tuple[tuple[str, int], ...] = ()
    proposal: str = ""

    @property
    def serious(self) -> bool:
        """Return whether values are lost until a person changes something."""
        return self.kind in _SERIOUS


@dataclass
class Words:
    """Counts by field and reason what isn't used, with the words of those fields that have a vocabulary."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _words: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, name: str, reason: str, source: str, value: Any) -> None:
        """Count a value of a field that comes from a canonical one."""
        self.counts[name, reason] += 1
        word = value[0] if isinstance(value, list) and value else value
        words = self._words.setdefault((name, reason), Counter())
        if SOURCES[source].vocabulary and isinstance(word, str) and (word in words or len(words) < _MOST_WORDS):
            words[word[:_LONGEST_WORD]] += 1

    def of(self, name: str, reason: str) -> tuple[tuple[str, int], ...]:
        """Return the most frequent words of a field, those that several contacts share."""
        return tuple(
            (word, count)
            for word, count in self._words[name, reason].most_common(_SHOWN_WORDS)
            if count >= _FEWEST_CONTACTS
        )


def reply_findings(system: str, shapes: Shapes, rules: ReadPaths, left_out: Words) -> list[Finding]:
    """Return how replies of a kind differ from the rules that read them."""
    new = {path: trace for path in shapes.paths if (trace := shapes.trace(path)) and _is_new(path, trace, rules)}
    return [
        *_gone(system, shapes, rules, new),
        *_types(system, shapes, rules),
        *(_new(system, shapes, rules, path, trace) for path, trace in new.items()),
        *_left_out(system, shapes, left_out),
    ]


def _is_new(path: Path, trace: Trace, rules: ReadPaths) -> bool:
    return trace.is_new and not rules.covers(path)


def _gone(system: str, shapes: Shapes, rules: ReadPaths, new: Mapping[Path, Trace]) -> Iterator[Finding]:
    for name, targets in rules.targets.items():
        traces = {path: shapes.trace(path) for path in sorted(targets)}
        for path, trace in traces.items():
            if trace and trace.is_gone:
                says = f"{name} was read there; the last {trace.after:,} replies lack it"
                proposal = _moved(name, path, shapes, rules, new)
                yield Finding(system, Kind.GONE, _text(path), says, trace.after, shapes.total, trace.last, (), proposal)
        if targets and not any(traces.values()) and shapes.total >= _FEWEST_REPLIES:
            says = f"{name} is read there, and none of the replies has it"
            subject = ", ".join(map(_text, traces))
            yield Finding(system, Kind.NEVER, subject, says, 0, shapes.total)


def _moved(name: str, path: Path, shapes: Shapes, rules: ReadPaths, new: Mapping[Path, Trace]) -> str:
    """Return the line that reads a field where it seems to stand now."""
    kinds = shapes.kinds(path)
    alike = {one: SequenceMatcher(None, _text(path), _text(one)).ratio() for one in new if shapes.kinds(one) & kinds}
    best = max(alike, key=alike.__getitem__, default=None)
    if best is None or alike[best] < _ALIKE:
        return ""
    return f"{name}: {{path: {shapes.expression(best, rules.base)}}}  # instead of {_text(path)}"


def _types(system: str, shapes: Shapes, rules: ReadPaths) -> Iterator[Finding]:
    for name, targets in rules.targets.items():
        for path in sorted(targets):
            traces = {kind: shapes.trace(path, kind) for kind in sorted(shapes.kinds(path))}
            new = {kind: one for kind, one in traces.items() if one and one.is_new}
            old = sorted(traces.keys() - new.keys())
            for kind, trace in new.items() if old else ():
                says = f"{name} is read there; it was {' or '.join(old)}, and is {kind} now"
                yield Finding(system, Kind.TYPE_CHANGED, _text(path), says, trace.count, shapes.total, trace.first)


def _new(system: str, shapes: Shapes, rules: ReadPaths, path: Path, trace: Trace) -> Finding:
    kinds = " or ".join(sorted(shapes.kinds(path)))
    likely = nearest(_WORD_BEGINS.sub("_", path[-1]), FIELDS.keys() - rules.targets.keys())
    proposal = f"{likely}: {{path: {shapes.expression(path, rules.base)}}}" if likely else ""
    says = f"{kinds}; no rule reads it"
    return Finding(system, Kind.NEW, _text(path), says, trace.count, shapes.total, trace.first, (), proposal)


def _left_out(system: str, shapes: Shapes, left_out: Words) -> Iterator[Finding]:
    for (name, reason), count in left_out.counts.most_common():
        if reason != PLACEHOLDER:
            says = refused(reason, "the CRM").words
            yield Finding(system, Kind.LEFT_OUT, name, says, count, shapes.total, values=left_out.of(name, reason))


def not_understood(system: str, count: int, of: int) -> Iterator[Finding]:
    """Yield the finding that today's rules read saved replies with data as something else, if they do."""
    if count:
        says = "replies that were matches when they came are none by today's rules"
        yield Finding(system, Kind.NOT_UNDERSTOOD, "outcomes", says, count, of)


@dataclass
class CrmFit:
    """
    Whether a CRM's fields take what its mapping gives them.

    Args:
        crm: its name.
        rules: the mapping.
        described: the CRM's description of its fields.
        protected: fields that are never written.
    """

    crm: str
    rules: Sequence[FieldRule]
    described: Mapping[str, FieldDescription]
    protected: frozenset[str]
    looked_at: int = 0
    refused: Words = field(default_factory=Words)

    def add(self, values: Mapping[str, Any]) -> None:
        """Count what the CRM would refuse of a contact's canonical values."""
        self.looked_at += 1
        for rule in self._written():
            value = values.get(rule.source)
            if is_blank(value) or rule.field not in self.described:
                continue
            try:
                to_wire(value, self.described[rule.field])
            except UnfitError as unfit:
                self.refused.add(rule.field, str(unfit), rule.source, unfit.value)

    def findings(self) -> list[Finding]:
        """Return what of the mapping the CRM doesn't take any more."""
        return [*self._of_fields(), *self._of_values()]

    def _written(self) -> Iterator[FieldRule]:
        return (rule for rule in self.rules if rule.rule is not Rule.NEVER and rule.field not in self.protected)

    def _of_fields(self) -> Iterator[Finding]:
        for rule in self._written():
            reason = self._flaw(rule)
            if reason:
                proposal = f"- {{field: {rule.field}, source: {rule.source}, rule: never}}"
                yield Finding(self.crm, Kind.CRM_FIELD, rule.field, reason, proposal=proposal)

    def _flaw(self, rule: FieldRule) -> str:
        try:
            check_field(rule.field, self.described, self.protected)
        except UnfitError as unfit:
            return refused(str(unfit), self.crm, rule.field).words
        source, kind = SOURCES[rule.source], self.described[rule.field].type
        return "" if kind in _TAKEN_BY[source.type] else f"is of the type {kind} now, which takes no {source.type}"

    def _of_values(self) -> Iterator[Finding]:
        for (name, reason), count in self.refused.counts.most_common():
            cause, values = refused(reason, self.crm, name), self.refused.of(name, reason)
            says = "; ".join(part for part in (cause.words, cause.fix) if part)
            yield Finding(self.crm, Kind.CRM_VALUES, name, says, count, self.looked_at, values=values)


#: Types of CRM fields that take a canonical value.
_TAKEN_BY: Mapping[str, frozenset[str]] = {
    "text": frozenset({"string", "enumeration"}),
    "text_list": frozenset({"string", "enumeration"}),
    "integer": frozenset({"string", "enumeration", "number"}),
    "number": frozenset({"string", "enumeration", "number"}),
    "boolean": frozenset({"string", "enumeration", "bool"}),
    "datetime": frozenset({"string", "enumeration", "date", "datetime"}),
}


def version_findings(system: str, days: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    """Yield the versions of its API that a provider's replies name; `days` are those of the replies by version."""
    ordered = sorted(days, key=lambda version: min(days[version]))
    for place, version in enumerate(ordered):
        first, last = min(days[version]), max(days[version])
        says = f"named by replies from {first} to {last}"
        yield Finding(system, Kind.VERSION, version, says, since=first if place else "")


def support_findings(crm: str, version: str, until: str, today: str) -> Iterator[Finding]:
    """
    Yield by which version of its API a CRM is called.

    Args:
        crm: its name.
        version: of its API; empty if it has none.
        until: the month in which its support ends, such as `2027-09`; empty if that isn't known.
        today: ISO-8601.
    """
    if version:
        ended = "its support ended in" if until < today[:7] else "it is supported until"
        says = f"we call it; {ended} {until}" if until else "we call it; no end of its support is known"
        yield Finding(crm, Kind.VERSION, version, says)


def _text(path: Path) -> str:
    return ".".join(path)
