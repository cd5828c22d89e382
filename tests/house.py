"""The tree as it is, or is about to be, in the repository."""

from __future__ import annotations

import ast
import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_IGNORED = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()} | {".git"}

FLOORS = {"domxml": ROOT / "xml", "hostdev": ROOT, "hooksidecar": ROOT}
"""The packages from the ground up, and the source root of each: a floor may stand on those before it."""
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


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def _ignored(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _IGNORED)
