"""The table of errors: every code that the source raises is a finding or has a line, and no line is left over."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostdev.findings.boot import STEPS
from hostdev.findings.docs import ERROR_PAGE, pages
from hostdev.findings.errors import ERRORS
from hostdev.findings.explain import EXPLAINED
from hostdev.findings.registry import ALL
from hostdev.findings.rules import TROUBLES
from tests.house import FLOORS

CODE = re.compile(r"[a-z]+(-[a-z]+)+")
RAISED = {"BadInput", "Refused", "NotPermitted", "HostUnreadable", "PassgateError"}
CONSTANT = re.compile(r"CODE|[A-Z_]*FAILED|REFUSES|UNKNOWN")
"""How the source names a code that it uses more than once."""
WITHOUT_EXCEPTION = {"output-lost", "internal-error", "no-threads"}
"""Written by the entry point itself."""


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for name, root in FLOORS.items():
        for path in sorted((root / name).rglob("*.py")):
            if "stubs" not in path.parts:
                yield path, ast.parse(path.read_text())


def texts() -> Iterator[tuple[str, str]]:
    """The codes with which an error is made, and those that have a name; where they stand."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in RAISED | _makers(tree):
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value, f"{path.name}:{node.lineno}"
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _is_code(node.targets[0]):
                yield str(node.value.value), f"{path.name}:{node.lineno}"


def _is_code(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and bool(CONSTANT.fullmatch(target.id))


def _makers(tree: ast.Module) -> set[str]:
    """Functions of a module that make an error of a code that they are given."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.args.args and node.args.args[0].arg == "code"
    }


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


RAISES = dict(texts())


def test_every_code_is_explained() -> None:
    assert {code: place for code, place in RAISES.items() if CODE.fullmatch(code) and code not in EXPLAINED} == {}
    assert set(EXPLAINED) >= WITHOUT_EXCEPTION


def test_no_line_is_left_over() -> None:
    assert {error.code for error in ERRORS} - set(RAISES) - WITHOUT_EXCEPTION == set()


def test_a_code_is_one_thing_only() -> None:
    tables = [*ALL, *(trouble.code for trouble in (*TROUBLES, *STEPS)), *(error.code for error in ERRORS)]

    assert sorted(tables) == list(EXPLAINED)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_a_line_is_complete(error: object) -> None:
    row = EXPLAINED[getattr(error, "code", "")]

    assert CODE.fullmatch(row.code)
    assert row.title[0].isupper() or row.title.startswith("--")
    assert not row.title.endswith(".")
    assert row.hint
    assert not row.hint.endswith(".")
    assert f"| `{row.code}` | {row.title} | {row.hint} |" in pages()[ERROR_PAGE]
