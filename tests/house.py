"""The tree as it is, or is about to be, in the repository."""

from __future__ import annotations

import ast
import fnmatch
import io
import os
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_IGNORED = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()} | {".git"}

FLOORS = {"domxml": ROOT / "xml", "hostdev": ROOT, "hooksidecar": ROOT}
"""The packages from the ground up, and the source root of each: a floor may stand on those before it."""
ROOMS = (
    *("domxml",),
    *("hostdev.jsonutil", "hostdev.jsontext", "hostdev.socketpath", "hostdev.commandline", "hostdev.habits"),
    *("hostdev.argumentparser", "hostdev.helptext"),
    *("hostdev.findings", "hostdev.printing", "hostdev.inventory", "hostdev.explain"),
    *("hostdev.gate", "hostdev.fit"),
    *("hostdev.allocation", "hostdev.vmi", "hostdev.kubelet", "hostdev.inject", "hostdev.kubevirt"),
    *("hostdev.holders", "hostdev.cloudinit", "hostdev.binding"),
    *("hostdev.units", "hostdev.offer", "hostdev.claims", "hostdev.vitals"),
    *("hostdev.lint", "hostdev.manifest", "hostdev.fleet"),
    *("hostdev.why", "hostdev.cli"),
    *(
        "hooksidecar",
        "hooksidecar.monitoring",
        "hooksidecar.nodewatch",
        "hooksidecar.deviceplugin",
        "hooksidecar.agent",
        "hooksidecar.claims",
        "hooksidecar.rehearsal",
        "hooksidecar.main",
    ),
)
"""The packages in the order of the flow: a room may use those before it. What stands in none of these is in the room
of its package."""
CHECKS = ("bench", "tests")
"""What tries them; no floor stands on it."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module, and the modules and names it imports, anywhere in its text."""

    name: str
    path: Path
    imports: frozenset[str]

    def within(self, *packages: str) -> bool:
        """Whether it is, or is in, one of these packages."""
        return any(f"{self.name}.".startswith(f"{package}.") for package in packages)


def files() -> Iterator[Path]:
    """Every file, but for what .gitignore leaves out."""
    for directory, names, found in os.walk(ROOT):
        names[:] = sorted(name for name in names if not _ignored(name))
        yield from (Path(directory, name) for name in sorted(found) if not _ignored(name))


def top_level() -> set[str]:
    """The names of the files and directories at the top."""
    return {path.relative_to(ROOT).parts[0] for path in files()}


def modules(package: str) -> Iterator[Module]:
    """The modules of a package."""
    root = FLOORS.get(package, ROOT)
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield Module(name, path, frozenset(_imports(ast.parse(path.read_text()))))


def product() -> list[Module]:
    """The modules of all floors, but for those that protoc writes."""
    return [module for floor in FLOORS for module in modules(floor) if "stubs" not in module.name.split(".")]


def packages() -> list[str]:
    """The packages of the product, and the rooms that are one module each."""
    return [m.name for m in product() if room_of(m.name) and (m.path.name == "__init__.py" or m.name in ROOMS)]


def file_of(name: str) -> str:
    """A package or module as a path from the top; that of a package ends in a slash."""
    path = FLOORS[name.partition(".")[0]].joinpath(*name.split(".")).relative_to(ROOT).as_posix()
    return f"{path}/" if (ROOT / path).is_dir() else f"{path}.py"


def functions(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    tree = ast.parse(module.path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def prose(module: Module) -> Iterator[tuple[int, str]]:
    """Its comments and docstrings, those of attributes too, by line; never a text that a user sees."""
    text = module.path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def room_of(name: str) -> str:
    """The room in which a module is; a package that no room names is none."""
    fitting = [room for room in ROOMS if f"{name}.".startswith(f"{room}.")]
    return max(fitting, key=len, default="")


def arrows(module: Module) -> frozenset[str]:
    """The other rooms a module uses; imports inside functions and for type checkers count."""
    used = (name for name in module.imports if name.partition(".")[0] in FLOORS)
    return frozenset(filter(None, map(room_of, used))) - {room_of(module.name)}


def arrows_up(module: Module) -> frozenset[str]:
    """Those that come after its own: there must be none."""
    return frozenset(room for room in arrows(module) if ROOMS.index(room) > ROOMS.index(room_of(module.name)))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def _ignored(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _IGNORED)


def report() -> Iterator[str]:
    """The figures of the house, each counted from the code."""
    yield "rooms in order, with modules, arrows down and arrows up"
    for room in ROOMS:
        inside = [module for module in product() if room_of(module.name) == room]
        used = frozenset[str]().union(*map(arrows, inside))
        up = frozenset[str]().union(*map(arrows_up, inside))
        yield f"  {room:<26} {len(inside):>3} {len(used - up):>3} {len(up):>3}"
    lengths = [len(m.path.read_text().splitlines()) for m in product() if m.path.name != "__init__.py"]
    yield f"modules of the product           {len(lengths)}"
    yield f"median lines                     {statistics.median(lengths):.0f}"
    yield f"modules under 60 lines           {sum(length < 60 for length in lengths)}"
    from tests.hookcall import watch_call  # noqa: PLC0415  what the house is made of needs no server

    call = watch_call()
    yield f"product files in one hook call   {len(call.files)}"
    yield f"entries into domxml in it        {call.entries}"
    yield f"values it passes through         {len(call.values)}: {', '.join(sorted(call.values))}"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report())
