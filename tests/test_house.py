"""The house rules that a machine can check: where things are, who imports whom, what no file may name."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hookcall import watch_call
from tests.house import (
    CHECKS,
    FLOORS,
    ROOMS,
    ROOT,
    arrows_up,
    files,
    functions,
    modules,
    product,
    prose,
    room_of,
    top_level,
)

TOP_LEVEL = {
    *(".ci", "bench", "demo", "deploy", "docs", "hooksidecar", "hostdev", "requirements", "tests", "tools", "xml"),
    *(".dockerignore", ".gitignore", "Dockerfile", "LICENSE", "Makefile", "pyproject.toml"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "README.md"),
}
EFFECTS = {"grpc", "libvirt", "os", "pyudev", "socket", "subprocess"}
EDGE = (
    "hostdev.binding.child",
    "hostdev.binding.effects",
    "hostdev.binding.journal",
    "hostdev.binding.lock",
    "hostdev.cli",
    "hostdev.fleet.snapshots",
    "hostdev.holders.kubelet",
    "hostdev.inject.gather",
    "hostdev.inventory.host",
    "hostdev.inventory.kernellog",
    "hostdev.inventory.netlink",
    "hostdev.inventory.probe",
    "hostdev.kubelet.claimrecords",
    "hostdev.kubelet.directory",
    "hostdev.kubelet.drastate",
    "hostdev.lint.files",
    "hostdev.kubelet.podresources",
    "hostdev.inventory.pciids",
    "hostdev.inventory.recorded",
    "hostdev.printing",
)
"""The only places of hostdev that touch the world."""
LONGEST_FILE, LONGEST_FUNCTION = 400, 40
SHORT_FILE = 60
MOST_MODULES, MOST_SHORT_MODULES, MOST_FILES_IN_A_CALL = 540, 62, 61
PARTICIPLE = re.compile(r"[a-z]+ed|of|told|one|seen|about")
"""What says of which state, and not what a function does or what it gives."""
KNOWN_WORDS = {"elapsed", "listed"}
"""Participles that are a word for the thing itself: a time, a list in a sentence."""
FILLING = {
    "a",
    "all",
    "an",
    "and",
    "any",
    "are",
    "as",
    "by",
    "each",
    "for",
    "from",
    "how",
    "in",
    "is",
    "it",
    "its",
    "of",
    "on",
    "or",
    "that",
    "the",
    "to",
    "what",
    "which",
    "who",
}
"""Words that say nothing by themselves."""
PEOPLE = re.compile(r"\b(?:he|him|his|himself|whoever|whomever|nobody|somebody)\b", re.IGNORECASE)
# In pieces, so that this file does not name them either.
REGISTRIES = [("debian", "org"), ("docker", "io"), ("npmjs", "org"), ("pypi", "org"), ("pythonhosted", "org")]
REGISTRY = re.compile("|".join(rf"\b{name}\.{top}\b" for name, top in REGISTRIES))
PINNED = re.compile(r"[\w.-]+==\S+( +--hash=sha256:[0-9a-f]{64})+ *")
FOR_PYTEST = re.compile(r"(?:[\w.]*\.)?(?:test_\w+|conftest)(?:\.|$)")
PATCHES = re.compile(r"(?:\w+\.)*patch(?:\.object)?")
SOMEBODYS_PATH = re.compile(r"(?<![\w.})-])/(?:Users|home|work)/\w")


def test_top_level_is_what_it_should_be() -> None:
    assert top_level() - TOP_LEVEL == set()


def test_xml_is_a_source_root_and_no_package() -> None:
    """A package of that name would shadow the standard library's."""
    assert {path.name for path in (ROOT / "xml").iterdir()} - {"__pycache__"} == {"domxml"}

    code = "import sys, xml.etree.ElementTree as found; print(found.__file__.startswith(sys.base_prefix))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)

    assert said.stdout == "True\n"


def test_every_module_has_a_room() -> None:
    """What is a floor itself is none: it holds packages."""
    assert {module.name for module in product() if not room_of(module.name)} - set(FLOORS) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_no_arrow_goes_up(room: str) -> None:
    """Imports in functions, and those for type checkers, count too."""
    inside = [module for module in product() if room_of(module.name) == room]
    up = {module.name: found for module in inside if (found := arrows_up(module))}

    assert inside
    assert up == {}


@pytest.mark.parametrize("floor", FLOORS)
def test_what_tries_the_product_is_not_in_it(floor: str) -> None:
    assert {module.name: found for module in modules(floor) if (found := _tops(module.imports) & set(CHECKS))} == {}


def test_a_package_holds_a_docstring_only() -> None:
    found = [module for module in product() if module.path.name == "__init__.py"]
    texts = {module.name: ast.parse(module.path.read_text()) for module in found}

    assert len(texts) > len(FLOORS)
    assert [name for name, tree in texts.items() if len(tree.body) != 1 or not ast.get_docstring(tree)] == []


def test_the_core_does_not_know_the_command_line() -> None:
    core = (module for module in modules("hostdev") if not module.within("hostdev.cli"))

    assert [module.name for module in core if any(name.startswith("hostdev.cli") for name in module.imports)] == []


def test_domxml_needs_lxml_and_nothing_else() -> None:
    allowed = {"domxml", "lxml"} | sys.stdlib_module_names

    strange = {module.name: found for module in modules("domxml") if (found := _tops(module.imports) - allowed)}

    assert strange == {}


@pytest.mark.parametrize("floor", ["domxml", "hostdev"])
def test_pure_modules_have_no_effects(floor: str) -> None:
    pure = (module for module in modules(floor) if not module.within(*EDGE))

    assert {module.name: found for module in pure if (found := _tops(module.imports) & EFFECTS)} == {}


def test_the_edge_is_really_there() -> None:
    """A renamed module must not leave a hole in the rule above."""
    names = {module.name for module in modules("hostdev")}

    assert set(EDGE) - names == set()


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in files() if path.suffix == ".py"}

    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{module.name}.{node.name}": node.end_lineno - node.lineno + 1
        for module in product()
        for node in functions(module)
        if node.end_lineno
    }

    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_the_product_is_neither_crumbs_nor_heaps() -> None:
    lengths = [len(module.path.read_text().splitlines()) for module in product() if module.path.name != "__init__.py"]

    assert len(lengths) <= MOST_MODULES
    assert sum(length < SHORT_FILE for length in lengths) <= MOST_SHORT_MODULES


def test_a_hook_call_runs_few_files() -> None:
    """`python -m tests.hookcall` prints them."""
    assert len(watch_call().files) <= MOST_FILES_IN_A_CALL


def test_code_speaks_of_things_and_not_of_people() -> None:
    """Comments and docstrings say which program, device or caller they mean."""
    found = {
        f"{module.path.relative_to(ROOT)}:{line}": match.group()
        for module in product()
        for line, text in prose(module)
        if (match := PEOPLE.search(text))
    }

    assert found == {}


def test_a_docstring_says_more_than_the_name() -> None:
    found = {
        f"{module.name}.{node.name}": said
        for module in product()
        for node in functions(module)
        if (said := ast.get_docstring(node)) and (words := _stems(said) - FILLING) and words <= _named(node)
    }

    assert found == {}


def test_functions_are_not_named_by_participles() -> None:
    """A function is a verb and its object, or a noun for what it gives."""
    public = {
        f"{module.name}.{node.name}"
        for module in product()
        for node in ast.parse(module.path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and PARTICIPLE.fullmatch(node.name)
        and node.name not in KNOWN_WORDS
    }

    assert public == set()


@pytest.mark.parametrize("what", [REGISTRY, SOMEBODYS_PATH], ids=["registry", "path of somebody's machine"])
def test_no_file_names(what: re.Pattern[str]) -> None:
    found = {path: what.search(path.read_text(errors="replace")) for path in files()}

    assert {path: match.group() for path, match in found.items() if match} == {}


@pytest.mark.parametrize("package", CHECKS)
def test_what_tests_share_is_in_modules_of_its_own(package: str) -> None:
    """Test modules and conftests are for pytest alone."""
    found = {module.name: set(filter(FOR_PYTEST.match, module.imports)) for module in modules(package)}

    assert {name: taken for name, taken in found.items() if taken} == {}


@pytest.mark.parametrize("package", CHECKS)
def test_a_stand_in_has_the_signature_of_its_original(package: str) -> None:
    """`setattr` of monkeypatch never compares the two, `patch` of mock does where `autospec` is."""
    found = {module.name: list(_unchecked_stand_ins(module.path)) for module in modules(package)}

    assert {name: lines for name, lines in found.items() if lines} == {}


def test_every_requirement_is_pinned_and_hashed() -> None:
    lists = sorted((ROOT / "requirements").glob("*.txt"))
    assert {path.stem for path in lists} == {path.stem for path in (ROOT / "requirements").glob("*.in")}
    for path in lists:
        text = re.sub(r"(?m)^ *#.*\n|^\n|\\\n", "", path.read_text())
        assert [line for line in text.splitlines() if not PINNED.fullmatch(line)] == [], path.name


def test_keys_of_a_plan_as_json() -> None:
    """Programs read them: they may grow, and never change."""
    domain = ROOT / "demo" / "q35.xml"
    command = ["inject", str(domain), "--device", "0000:3d:02.2,name=qat", "-o", "json"]
    said = subprocess.run(
        [sys.executable, "-m", "hostdev.cli.main", *command], cwd=ROOT, check=True, capture_output=True, text=True
    )

    plan = json.loads(said.stdout)

    assert (plan["apiVersion"], plan["kind"]) == ("passgate.dev/v1", "Plan")
    assert set(plan) == {"apiVersion", "kind", "devices", "controllers", "removed", "removedControllers", "findings"}
    assert set(plan["devices"][0]) == {
        *("action", "alias", "guestAddress", "name", "resource", "source", "sources", "type", "why"),
        *("aliasBefore", "guestAddressBefore"),
    }
    assert set(plan["controllers"][0]) == {"action", "busNr", "guestAddress", "index", "model", "node", "why"}


def _tops(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def _named(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    arguments = (argument.arg for argument in (*function.args.args, *function.args.kwonlyargs))
    return _stems(" ".join((function.name, *arguments)))


def _stems(text: str) -> set[str]:
    """Its words, without the endings that make verbs and plurals of them."""
    return {re.sub(r"(?<=\w\w\w)(?:s|ed|ing)$", "", word) for word in re.findall(r"[a-z]+", text.lower())}


def _unchecked_stand_ins(path: Path) -> Iterator[int]:
    """The lines that put something in a place without a comparison; a value that is spelled out needs none."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call):
            named = ast.unparse(call.func)
            value = call.args[2 if named.endswith(".object") else 1 :]
            given = value and not isinstance(value[0], ast.Lambda)
            checked = given or any(word.arg == "autospec" for word in call.keywords)
            if named.endswith(".setattr") or (PATCHES.fullmatch(named) and not checked):
                yield call.lineno
