"""The house rules that a machine can check; style-anchors are kept by people, numbers by this."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("commands", "flows", "triggers", "tasks", "lookup", "reporting", "blocks", "enrichment", "sandbox")
PRODUCT = sorted([*(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")), ROOT / "cli.py"])
TESTS = sorted((ROOT / "tests").rglob("*.py"))

LONGEST_BODY = 50
LONGEST_MODULE = 400
GRAB_BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
#: People read what these print; everything else tells by log line, artifact or return value.
MAY_PRINT = {"cli.py", "sandbox/__main__.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Return the lines from the first to the last statement, the docstring left out."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def imported(path: Path) -> set[str]:
    """Return the full names of what a file imports."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_walk_finds_the_product() -> None:
    """The rules are checked on files that are there, of every package."""
    assert all((ROOT / name).is_dir() for name in PACKAGES)
    assert {path.relative_to(ROOT).parts[0] for path in PRODUCT} == {*PACKAGES, "cli.py"}


def test_no_function_is_too_long_to_hold_in_the_head() -> None:
    """No body is longer than 50 lines."""
    sizes = {f"{name_of(path)}:{one.lineno} {one.name}": body_lines(one) for path in PRODUCT for one in functions(path)}
    assert {name: lines for name, lines in sizes.items() if lines > LONGEST_BODY} == {}


def test_no_module_is_too_long_to_read_in_one_go() -> None:
    """No module is longer than 400 lines."""
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PRODUCT}
    assert {name: lines for name, lines in sizes.items() if lines > LONGEST_MODULE} == {}


def test_no_module_is_a_grab_bag() -> None:
    """A module's name, and its package's, says what it owns."""
    parts = {name_of(path): path.relative_to(ROOT).with_suffix("").parts for path in PRODUCT}
    assert [name for name, words in parts.items() if {word.strip("_") for word in words} & GRAB_BAGS] == []


def test_nothing_is_printed_by_the_way() -> None:
    """Only the command line talks to a terminal."""
    calls = [
        (name_of(path), node)
        for path in PRODUCT
        if name_of(path) not in MAY_PRINT
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
    ]
    printing = [
        (name, call.lineno) for name, call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    assert printing == []


def test_every_test_says_what_it_guarantees() -> None:
    """Each test has a docstring, and what it says ends as a sentence does."""
    said = {
        f"{name_of(path)}::{one.name}": ast.get_docstring(one) or ""
        for path in TESTS
        if path.name.startswith("test_")
        for one in functions(path)
        if one.name.startswith("test_")
    }
    assert [name for name, text in said.items() if not text.endswith(".")] == []


def test_no_test_replaces_our_code_by_a_mock() -> None:
    """Tests run against real servers and engines, not against mocks."""
    modules = {name_of(path): imported(path) for path in TESTS}
    mocking = {
        name
        for name, found in modules.items()
        if any(one.split(".")[0] == "mock" or one.startswith("unittest.mock") for one in found)
    }
    fixtures = {
        name_of(path)
        for path in TESTS
        for one in functions(path)
        if "mocker" in {argument.arg for argument in one.args.args}
    }
    assert mocking | fixtures == set()
