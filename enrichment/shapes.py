"""
What JSON documents are made of, by their paths and types: never a value, so that it may be shown.

Lists are transparent: what stands in one has the path of the list. What a day's documents have is counted by day, so
that it can be said since when something is new or gone, in whatever order they come.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]

#: Stands for keys that are no names, such as ids or addresses, which may say something of a person.
ANY = "*"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")

_OBJECTS = frozenset({"object", "list of object"})

#: So many different pairs of path and type are kept; documents with more are made of something else than names.
MOST_FEATURES = 5000
#: What is likelier than this to happen by chance isn't said.
_CHANCE = 0.001

_KINDS: Mapping[type, str] = {bool: "true or false", int: "number", float: "number", str: "text", dict: "object"}


@dataclass(frozen=True, slots=True)
class ReadPaths:
    """
    Which paths of a reply some rules read.

    Args:
        targets: by canonical field, where its value may stand.
        read: everything that is looked at on the way, conditions included.
        base: where the record stands, to which the rules of the fields are relative.
    """

    targets: Mapping[str, frozenset[Path]]
    read: frozenset[Path]
    base: Path = ()

    def covers(self, path: Path) -> bool:
        """Return whether a rule reads this path, something below it, or something that it is a part of."""
        whole = (target for targets in self.targets.values() for target in targets)
        return any(_begins(one, path) for one in self.read) or any(_begins(path, one) for one in whole)


def _begins(path: Path, start: Path) -> bool:
    """Return whether a path begins with another one, in which a name may be any."""
    return len(path) >= len(start) and all(
        one == other or ANY in (one, other) for one, other in zip(path, start, strict=False)
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """
    When something was seen.

    Args:
        count: in how many documents.
        first, last: on which days (ISO-8601), the first and the last time.
        before, since: how many documents came on earlier days than the first, and how many from then on.
        until, after: how many came up to the last day, and how many on later ones.
    """

    count: int
    first: str
    last: str
    before: int
    since: int
    until: int
    after: int

    @property
    def is_new(self) -> bool:
        """Return whether it began to appear, by more than chance."""
        return bool(self.before) and (1 - self.count / (self.since + 1)) ** self.before < _CHANCE

    @property
    def is_gone(self) -> bool:
        """Return whether it ceased to appear, by more than chance."""
        return bool(self.after) and (1 - self.count / (self.until + 1)) ** self.after < _CHANCE


@dataclass
class Shapes:
    """Collects the shape of documents of one kind."""

    documents: Counter[str] = field(default_factory=Counter)
    cut: bool = False
    _seen: dict[tuple[Path, str], Counter[str]] = field(default_factory=dict)
    _paths: dict[Path, Counter[str]] = field(default_factory=dict)

    def add(self, document: Any, day: str) -> None:
        """Count a document of a day (ISO-8601)."""
        self.documents[day] += 1
        features = set(_features(document, ()))
        for feature in features:
            if feature in self._seen or len(self._seen) < MOST_FEATURES:
                self._seen.setdefault(feature, Counter())[day] += 1
            else:
                self.cut = True
        for path in {path for path, _ in features if (path in self._paths or len(self._paths) < MOST_FEATURES)}:
            self._paths.setdefault(path, Counter())[day] += 1

    @property
    def total(self) -> int:
        """Return how many documents were counted."""
        return self.documents.total()

    @property
    def paths(self) -> Collection[Path]:
        """Return the paths that lead to a value, in their order."""
        return sorted(path for path in self._paths if not self.kinds(path) <= _OBJECTS)

    def kinds(self, path: Path) -> set[str]:
        """Return the types that were seen at a path."""
        return {kind for at, kind in self._seen if at == path}

    def trace(self, path: Path, kind: str = "") -> Trace | None:
        """Return when a path was seen, or a type at it; None if it never was. A name in the path may be any."""
        found: Counter[str] = Counter()
        for at, days in self._paths.items() if not kind else self._of_kind(kind):
            if len(at) == len(path) and _begins(at, path):
                found |= days
        if not found:
            return None
        first, last = min(found), max(found)
        before = sum(count for day, count in self.documents.items() if day < first)
        after = sum(count for day, count in self.documents.items() if day > last)
        return Trace(found.total(), first, last, before, self.total - before, self.total - after, after)

    def expression(self, path: Path, below: Path = ()) -> str:
        """Return the JMESPath expression that finds a path in what stands at another one."""
        steps = [path[: place + 1] for place in range(len(below), len(path))]
        return ".".join(f"{one[-1]}[]" if "list of object" in self.kinds(one) else one[-1] for one in steps)

    def _of_kind(self, kind: str) -> Iterator[tuple[Path, Counter[str]]]:
        return ((at, days) for (at, one), days in self._seen.items() if one == kind)


def _features(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the paths of a document with the type of what stands there; blank ones are none."""
    if isinstance(value, list):
        for item in value:
            yield from ((at, f"list of {kind}" if at == path else kind) for at, kind in _features(item, path))
        return
    kind = _KINDS.get(type(value))
    if path and kind and value not in ("", {}):
        yield path, kind
    for key, item in value.items() if isinstance(value, dict) else ():
        yield from _features(item, (*path, key if _NAME.fullmatch(key) else ANY))
