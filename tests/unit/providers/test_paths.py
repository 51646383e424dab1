"""Which paths an expression reads, and where its value stands."""

import pytest

from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.model import load_spec, spec_names
from blocks.providers.spec.paths import contact_paths, follow_up_paths, paths_of


@pytest.mark.parametrize(
    ("expression", "targets", "read"),
    [
        ("a.b", "a.b", "a a.b"),
        ("a || b.c", "a b.c", "a b b.c"),
        ("[to_string(x) != 'true' && phone, country]", "phone", "x phone country"),
        ("urls[?contains(url || '', 'x')].link | [0]", "urls.link", "urls urls.url urls.link"),
        ("emails[].address", "emails.address", "emails emails.address"),
        ("a.*.b", "a.*.b", "a a.*.b"),
        ("sort_by(a, &n)[0].b", "a.b", "a a.n a.b"),
        ("map(&n, a)", "a.n", "a a.n"),
        ("{x: a, y: b}", "a b", "a b"),
        ("!a", "", "a"),
        ("`null`", "", ""),
        ("@", ".", ""),
        ("a[1:2].b", "a.b", "a a.b"),
    ],
)
def test_an_expression_reads_all_its_branches(expression: str, targets: str, read: str) -> None:
    """Conditions are looked at; the value stands where the expression ends."""
    found, seen = paths_of(Expression(expression))
    assert {".".join(path) or "." for path in found} == set(targets.split())
    assert {".".join(path) for path in seen} == set(read.split())


def test_no_expression_reads_nothing() -> None:
    """An optional key that is left out."""
    assert paths_of(None) == (frozenset(), frozenset())


@pytest.mark.parametrize("name", spec_names())
def test_the_recorded_answers_of_a_provider_have_what_is_read(name: str) -> None:
    """Every field has a place, below the record; a follow-up's too."""
    spec = load_spec(name)
    for paths, fields in (
        (contact_paths(spec), spec.fields),
        *((follow_up_paths(one), one.fields) for one in spec.follow_ups),
    ):
        assert paths.targets.keys() == fields.keys()
        assert all(path[: len(paths.base)] == paths.base for path in set().union(*paths.targets.values()))
