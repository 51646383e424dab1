"""The part of SOQL that contacts are queried with: comparisons, IN, LIKE, AND, OR, ORDER BY, LIMIT, campaigns."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from sandbox.salesforce.errors import SalesforceError, malformed
from sandbox.salesforce.store import Record

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))"
    r"|(?P<word>[A-Za-z0-9_.]+)|(?P<sign><=|>=|!=|[=<>(),]))"
)
#: What is selected of a query that only counts.
COUNT = "COUNT()"
Predicate = Callable[[Record], bool]
Members = Callable[[str], Collection[str]]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for."""

    fields: tuple[str, ...]
    matches: Predicate
    order: tuple[str, ...]
    limit: int
    compared: tuple[str, ...] = ()


def read_query(soql: str, members: Members) -> Query:
    """
    Return the query that a text means.

    Args:
        soql: the text.
        members: returns the contacts of a campaign.

    Raises:
        SalesforceError: the text isn't a valid query.
    """
    return _Parser(soql, members).query()


class _Parser:
    """Reads one query, token by token."""

    def __init__(self, soql: str, members: Members) -> None:
        self._tokens = _tokens(soql)
        self._members = members
        self._compared: list[str] = []
        self._depth = 0
        self._joins = 0

    def query(self) -> Query:
        self._expect("SELECT")
        fields = self._counted() or self._names()
        self._expect("FROM")
        self._expect("CONTACT")
        matches = self._either() if self._accept("WHERE") else lambda _: True
        order: list[str] = []
        if self._accept("ORDER"):
            self._expect("BY")
            order = self._names()
        limit = int(self._take()[1]) if self._accept("LIMIT") else 1_000_000
        if self._tokens:
            raise _unexpected(self._tokens[0][1])
        return Query(tuple(fields), matches, tuple(order), limit, tuple(self._compared))

    def _counted(self) -> list[str]:
        if not self._accept("COUNT"):
            return []
        self._expect("(")
        self._expect(")")
        return [COUNT]

    def _either(self) -> Predicate:
        parts = [self._all()]
        while self._accept("OR"):
            parts.append(self._all())
        if self._joins and (self._depth or len(parts) > 1):
            raise malformed(
                "MALFORMED_QUERY", "Semi join sub-selects are only allowed at the top level WHERE expressions"
            )
        return lambda record: any(part(record) for part in parts)

    def _all(self) -> Predicate:
        parts = [self._one()]
        while self._accept("AND"):
            parts.append(self._one())
        return lambda record: all(part(record) for part in parts)

    def _one(self) -> Predicate:
        if self._accept("("):
            return self._nested()
        field = self._take()[1]
        self._compared.append(field)
        if self._accept("IN"):
            return self._membership(field)
        return _comparison(field, self._take()[1], _value(*self._take()))

    def _nested(self) -> Predicate:
        outside, self._joins = self._joins, 0
        self._depth += 1
        inner = self._either()
        self._depth -= 1
        self._joins = outside
        self._expect(")")
        return inner

    def _join(self, field: str) -> Predicate:
        """Read the rest of a sub-select that names the contacts of a campaign."""
        for word in ("CONTACTID", "FROM", "CAMPAIGNMEMBER", "WHERE", "CAMPAIGNID", "="):
            self._expect(word)
        members = {member[:15] for member in self._members(_value(*self._take()))}
        self._expect(")")
        self._joins += 1
        return lambda record: str(record.get(field))[:15] in members

    def _membership(self, field: str) -> Predicate:
        self._expect("(")
        if self._accept("SELECT"):
            return self._join(field)
        values = {_value(*self._take())}
        while self._accept(","):
            values.add(_value(*self._take()))
        self._expect(")")
        # Ids are compared by what the short and the long form have in common.
        wanted = {value[:15] for value in values} if field.endswith("Id") else values
        return lambda record: (str(record.get(field))[:15] if field.endswith("Id") else record.get(field)) in wanted

    def _names(self) -> list[str]:
        names = [self._take()[1]]
        while self._accept(","):
            names.append(self._take()[1])
        return names

    def _take(self) -> tuple[str, str]:
        if not self._tokens:
            raise _unexpected("<EOF>")
        return self._tokens.pop(0)

    def _accept(self, wanted: str) -> bool:
        if self._tokens and self._tokens[0][1].upper() == wanted:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._accept(wanted):
            raise _unexpected(self._take()[1])


def _tokens(soql: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    place = 0
    while soql[place:].strip():
        found = _TOKEN.match(soql, place)
        if found is None or found.lastgroup is None:
            raise _unexpected(soql[place : place + 1])
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


def _value(kind: str, text: str) -> Any:
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if kind == "moment":
        return datetime.fromisoformat(text)
    words: dict[str, Any] = {"true": True, "false": False, "null": None}
    return words.get(text.lower(), text)


def _comparison(field: str, sign: str, wanted: Any) -> Predicate:
    compare = _SIGNS.get(sign.upper())
    if compare is None:
        raise _unexpected(sign)

    def matches(record: Record) -> bool:
        held = record.get(field)
        if held is None and sign not in ("=", "!="):
            return False
        return compare(datetime.fromisoformat(held) if isinstance(wanted, datetime) else held, wanted)

    return matches


def _unexpected(token: str) -> SalesforceError:
    return malformed("MALFORMED_QUERY", f"unexpected token: '{token}'")


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda held, wanted: held == wanted,
    "!=": lambda held, wanted: held != wanted,
    "<": lambda held, wanted: held < wanted,
    ">": lambda held, wanted: held > wanted,
    "<=": lambda held, wanted: held <= wanted,
    ">=": lambda held, wanted: held >= wanted,
    "LIKE": lambda held, wanted: fnmatchcase(str(held).casefold(), wanted.casefold().replace("%", "*")),
}
