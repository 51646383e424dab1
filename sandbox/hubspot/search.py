"""HubSpot's contact search: what may be queried, and who is found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.hubspot.errors import invalid
from sandbox.hubspot.store import ContactStore, Record
from sandbox.hubspot.values import moment_of

LONGEST_BODY = 3000
MOST_GROUPS = 5
MOST_FILTERS_IN_GROUP = 6
MOST_FILTERS = 18
LARGEST_PAGE = 200
USUAL_PAGE = 10
MOST_RESULTS = 10_000

Definitions = Mapping[str, Mapping[str, Any]]
_Comparable = Any
_Read = Callable[[Record], _Comparable]
_Test = Callable[[Record], bool]
_TEXT_QUERIED = ("email", "firstname", "lastname", "company", "phone")


@dataclass(frozen=True, slots=True)
class Search:
    """A checked search."""

    tests: Sequence[Sequence[_Test]]
    sort: tuple[_Read, bool] | None
    words: Sequence[str]
    above: int
    since_ms: int
    limit: int
    offset: int
    properties: Sequence[str]


def read_search(raw: bytes, body: Any, definitions: Definitions) -> Search:
    """
    Return the search that a body asks for.

    Raises:
        HubSpotError: it asks for too much, or for something that doesn't exist.
    """
    if len(raw.decode()) > LONGEST_BODY:
        raise invalid(f"The request body must not be longer than {LONGEST_BODY} characters")
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON")
    groups = _groups(body)
    limit, offset = _window(body)
    return Search(
        tests=[[_test(each, definitions) for each in group] for group in groups],
        sort=_sort(body.get("sorts"), definitions),
        words=str(body.get("query") or "").casefold().split(),
        above=_bound(groups, "hs_object_id", "GT"),
        since_ms=_bound(groups, "createdate", "GTE"),
        limit=limit,
        offset=offset,
        properties=body.get("properties") or (),
    )


def run_search(store: ContactStore, search: Search, newest_ms: int) -> list[Record]:
    """Return all that are found, but no contact that was created after this moment."""
    found = [
        record
        for record in store.records(above=search.above, since_ms=search.since_ms)
        if record.created_ms <= newest_ms and not record.archived and _matches(search, record)
    ]
    return _sorted(found, search.sort)


def _matches(search: Search, record: Record) -> bool:
    if search.words and not _contains_words(record, search.words):
        return False
    return not search.tests or any(_passes(record, group) for group in search.tests)


def _passes(record: Record, tests: Sequence[_Test]) -> bool:
    for test in tests:  # noqa: SIM110 - several times faster than `all` where it runs for all contacts
        if not test(record):
            return False
    return True


def _contains_words(record: Record, words: Iterable[str]) -> bool:
    text = " ".join(record.values.get(name, "") for name in _TEXT_QUERIED).casefold()
    return all(word in text for word in words)


def _sorted(found: list[Record], sort: tuple[_Read, bool] | None) -> list[Record]:
    if sort is None:
        return found
    read, descending = sort
    if read in (_number_of, _created) and not descending:
        return found
    with_value = [record for record in found if read(record) is not None]
    without = [record for record in found if read(record) is None]
    return sorted(with_value, key=read, reverse=descending) + without


def _groups(body: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    groups = [_objects(each.get("filters")) for each in _objects(body.get("filterGroups"))]
    if len(groups) > MOST_GROUPS:
        raise invalid(f"A search takes at most {MOST_GROUPS} filter groups")
    if any(len(group) > MOST_FILTERS_IN_GROUP for group in groups):
        raise invalid(f"A filter group takes at most {MOST_FILTERS_IN_GROUP} filters")
    if sum(map(len, groups)) > MOST_FILTERS:
        raise invalid(f"A search takes at most {MOST_FILTERS} filters")
    return groups


def _objects(value: Any) -> list[Mapping[str, Any]]:
    found = value or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise invalid("Invalid input JSON: a list of objects is expected")
    return found


def _window(body: Mapping[str, Any]) -> tuple[int, int]:
    limit, after = body.get("limit", USUAL_PAGE), str(body.get("after") or 0)
    if not isinstance(limit, int) or not 1 <= limit <= LARGEST_PAGE:
        raise invalid(f"limit must be between 1 and {LARGEST_PAGE}")
    if not after.isdigit():
        raise invalid("after must be an integer")
    if int(after) + limit > MOST_RESULTS:
        raise invalid(f"Paging beyond {MOST_RESULTS} results is not supported")
    return limit, int(after)


def _sort(value: Any, definitions: Definitions) -> tuple[_Read, bool] | None:
    rules = _objects(value)
    if len(rules) > 1:
        raise invalid("A search takes one sort")
    if not rules:
        return None
    read, _ = _property(rules[0].get("propertyName"), definitions)
    return read, rules[0].get("direction") == "DESCENDING"


def _bound(groups: Sequence[Sequence[Mapping[str, Any]]], name: str, operator: str) -> int:
    """Return a value below which nothing is found, so that not every contact is looked at."""
    if len(groups) != 1:
        return 0
    rules = [r for r in groups[0] if (r.get("propertyName"), r.get("operator")) == (name, operator)]
    values = [str(rule.get("value")) for rule in rules]
    return max((int(value) for value in values if value.isdigit()), default=0)


def _property(name: Any, definitions: Definitions) -> tuple[_Read, Callable[[str], _Comparable]]:
    """Return how a property is read from a contact, and how a text is made comparable to it."""
    if name in _OWN_PROPERTIES:
        return _OWN_PROPERTIES[name]
    if name not in definitions:
        raise invalid(f"There was a problem with the request: property '{name}' does not exist")
    convert = _CONVERTERS.get(definitions[name]["type"], str.casefold)

    def read(record: Record) -> _Comparable:
        value = record.values.get(name)
        return None if value is None else convert(value)

    return read, convert


def _moment(text: str) -> int:
    moment = moment_of(text)
    if moment is None:
        raise invalid(f"{text} is not a date")
    return moment


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise invalid(f"{text} is not a number") from None


_CONVERTERS: Mapping[str, Callable[[str], _Comparable]] = {
    "number": _number,
    "date": _moment,
    "datetime": _moment,
}


def _number_of(record: Record) -> int:
    return record.number


def _created(record: Record) -> int:
    return record.created_ms


def _modified(record: Record) -> int:
    return record.modified_ms


#: Properties that are kept in a comparable form.
_OWN_PROPERTIES: Mapping[str, tuple[_Read, Callable[[str], _Comparable]]] = {
    "hs_object_id": (_number_of, _number),
    "createdate": (_created, _moment),
    "lastmodifieddate": (_modified, _moment),
}


def _test(rule: Mapping[str, Any], definitions: Definitions) -> _Test:
    make = _OPERATORS.get(rule.get("operator", ""))
    if make is None:
        raise invalid(f"There is no operator '{rule.get('operator')}'")
    read, convert = _property(rule.get("propertyName"), definitions)
    try:
        operands = [convert(str(each)) for each in _operands(rule)]
        return make(read, *operands) if rule["operator"] not in ("IN", "NOT_IN") else make(read, operands)
    except TypeError:
        raise invalid(f"The operator {rule['operator']} lacks a value") from None


def _operands(rule: Mapping[str, Any]) -> list[Any]:
    if rule["operator"] in ("IN", "NOT_IN"):
        return list(rule.get("values") or [])
    return [rule[key] for key in ("value", "highValue") if key in rule]


def _ordered(
    compare: Callable[[_Comparable, _Comparable], bool],
) -> Callable[[_Read, _Comparable], _Test]:
    def make(read: _Read, operand: _Comparable) -> _Test:
        def test(record: Record) -> bool:
            value = read(record)
            return value is not None and compare(value, operand)

        return test

    return make


def _between(read: _Read, low: _Comparable, high: _Comparable) -> _Test:
    return lambda record: (value := read(record)) is not None and bool(low <= value <= high)


def _has_token(value: str, pattern: str) -> bool:
    words = value.casefold().replace("@", " ").replace(".", " ").split()
    return any(fnmatchcase(word, pattern) for word in [*words, value.casefold()])


_OPERATORS: Mapping[str, Callable[..., _Test]] = {
    "EQ": _ordered(lambda value, operand: bool(value == operand)),
    "NEQ": lambda read, operand: lambda record: read(record) != operand,
    "LT": _ordered(lambda value, operand: bool(value < operand)),
    "LTE": _ordered(lambda value, operand: bool(value <= operand)),
    "GT": _ordered(lambda value, operand: bool(value > operand)),
    "GTE": _ordered(lambda value, operand: bool(value >= operand)),
    "BETWEEN": _between,
    "IN": lambda read, operands: lambda record: read(record) in operands,
    "NOT_IN": lambda read, operands: lambda record: read(record) not in operands,
    "HAS_PROPERTY": lambda read: lambda record: read(record) is not None,
    "NOT_HAS_PROPERTY": lambda read: lambda record: read(record) is None,
    "CONTAINS_TOKEN": _ordered(_has_token),
    "NOT_CONTAINS_TOKEN": lambda read, operand: lambda record: not _has_token(read(record) or "", operand),
}
