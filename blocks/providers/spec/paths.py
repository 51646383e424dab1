"""Which paths of a reply a spec reads, found in its expressions: to compare them with what replies have."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.follow_ups import FollowUp
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import CanonicalFields, Outcomes
from enrichment.shapes import ANY, Path, ReadPaths

_ROOT: frozenset[Path] = frozenset({()})
_CHAINS = {"subexpression", "index_expression", "pipe", "projection"}
_HERE = {"current", "identity", "index", "slice"}
_JUDGED = {"comparator", "not_expression"}


def paths_of(expression: Expression | None, at: frozenset[Path] = _ROOT) -> tuple[frozenset[Path], frozenset[Path]]:
    """Return where an expression that starts at some paths finds its value, and all that it looks at."""
    read: set[Path] = set()
    found = _trace(expression.tree, at, read) if expression else frozenset()
    return frozenset(found), frozenset(read)


def contact_paths(spec: ProviderSpec) -> ReadPaths:
    """Return what is read of the reply about a contact."""
    confidence = spec.confidence.path if spec.confidence else None
    of_item = [spec.record_id, confidence, spec.addresses, *_rules(spec.outcomes)]
    keys = [path for one in spec.follow_ups for path in one.key.values()]
    return _paths(spec.record, spec.fields, of_item, [spec.correlate.echo], keys)


def follow_up_paths(follow_up: FollowUp) -> ReadPaths:
    """Return what is read of the reply of a follow-up."""
    pages = follow_up.pages
    of_item = [*_rules(follow_up.outcomes), *((pages.count, pages.results) if pages else ())]
    return _paths(follow_up.record, follow_up.fields, of_item, [follow_up.correlate.echo], [])


def _rules(outcomes: Outcomes) -> Iterator[Expression | None]:
    for rule in outcomes.item:
        yield from (rule.when, rule.reason_path)


def _paths(
    record: Expression,
    fields: CanonicalFields,
    of_item: Iterable[Expression | None],
    of_whole: Iterable[Expression | None],
    of_record: Iterable[Expression],
) -> ReadPaths:
    """Return what is read by expressions that see `{item}`, by some that see the reply, and by others in its record."""
    at, read = paths_of(record)
    found = {name: paths_of(one.path, at) for name, one in fields.items()}
    seen = [paths_of(one)[1] for one in of_whole] + [paths_of(one, at)[1] for one in of_record]
    below = [path[1:] for one in of_item for path in paths_of(one)[1] if len(path) > 1]
    everything = read.union(*seen, *(also for _, also in found.values()), below)
    return ReadPaths({name: targets for name, (targets, _) in found.items()}, everything, min(at))


def _trace(node: Mapping[str, Any], at: Iterable[Path], read: set[Path]) -> Iterable[Path]:
    """Return where a node finds its value, and note what it looks at."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        found = {(*path, node["value"]) for path in at}
        read |= found
        return found
    if kind in _HERE:
        return at
    if kind in _CHAINS:
        for child in children:
            at = _trace(child, at, read)
        return at
    return _trace_branches(node, frozenset(at), read)


def _trace_branches(node: Mapping[str, Any], at: frozenset[Path], read: set[Path]) -> Iterable[Path]:
    kind, children = node["type"], node["children"]
    if kind == "filter_projection":
        items = _trace(children[0], at, read)
        _trace(children[2], items, read)
        return _trace(children[1], items, read)
    if kind == "value_projection":
        values = {(*path, ANY) for path in _trace(children[0], at, read)}
        return _trace(children[1], values, read)
    arguments = [child for child in children if child["type"] != "expref"]
    found = [_trace(child, at, read) for child in arguments]
    if kind in _JUDGED or not found:
        return ()
    if kind == "and_expression":
        return found[1]
    if kind == "multi_select_list":
        return found[0]  # what a value is read with, such as its country, stands behind it
    everything = {path for paths in found for path in paths}
    keyed = [_trace(child["children"][0], everything, read) for child in children if child["type"] == "expref"]
    return keyed[0] if keyed and node["value"] == "map" else everything
