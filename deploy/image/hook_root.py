"""Lay out the root of the hook image: the interpreter, and of all that is installed only what the sidecar can import.

    python -I hook_root.py ROOT

Runs with the interpreter of the environment that holds Passgate; no shell, no package manager ends up in ROOT.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

from hooksidecar import lean

ENTRY = "hooksidecar.main"
LAZY = ("domxml", "hostdev", "hooksidecar", "grpc")
"""Packages that also import inside of functions."""
LEFT_OUT = ("hooksidecar.rehearsal", *lean.EMPTY, *lean.ABSENT)
"""The first plays virt-launcher, from outside of the image; the others are never loaded."""
ENCODINGS = ("ascii", "idna", "latin_1", "utf_8", "utf_8_sig")
LATE = ("difflib", "email.parser", "traceback", *(f"encodings.{name}" for name in ENCODINGS))
"""What the standard library imports inside of functions that the sidecar may reach."""
DISTRIBUTIONS = ("grpcio", "lxml", "passgate", "protobuf", "typing_extensions")
PROGRAM = "passgate-hook"
DIRECTORIES = ("dev", "etc", "proc", "sys", "tmp", "var/run/kubevirt-hooks", "var/run/kubevirt-plugin")
"""Where a container's runtime mounts something."""
LIST = """
from hooksidecar import lean
lean.load()
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
print(json.dumps(sorted({file for file in files if file})))
"""


def main(root: Path) -> None:
    """Copy, and say how much."""
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True)
    modules = imported(reachable() | set(LATE))
    binaries = [Path(sys.executable).resolve(), *(file for file in modules if file.suffix == ".so")]
    environment = Path(sys.prefix)
    files = {
        *modules,
        *binaries,
        *libraries(binaries),
        *notices(),
        environment / "pyvenv.cfg",
        environment / "bin" / PROGRAM,
    }
    for file in files:
        copy(file, root)
    link(environment / "bin" / "python3", root)
    landmarks(root)
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file() and not file.is_symlink())
    print(f"{len(modules)} modules, {len(files)} files, {size / 1e6:.1f} MB")  # noqa: T201


def reachable() -> set[str]:
    """Every module that the entry point can reach, inside of functions too."""
    found: set[str] = set()
    ahead = [ENTRY]
    while ahead:
        name = ahead.pop()
        if name in found or name.startswith(LEFT_OUT):
            continue
        found.add(name)
        if name.partition(".")[0] in LAZY:
            ahead += imports_of(name)
    return found


def imports_of(name: str) -> Iterator[str]:
    """The modules that a module's text imports."""
    spec = find_spec(name)
    assert spec is not None, name  # noqa: S101
    assert spec.origin is not None, name  # noqa: S101
    if not spec.origin.endswith(".py"):
        return
    for node in ast.walk(ast.parse(Path(spec.origin).read_bytes())):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_module(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and is_module(node.module):
            yield node.module
            yield from (full for alias in node.names if is_module(full := f"{node.module}.{alias.name}"))


def is_module(name: str) -> bool:
    """Whether a name is that of a module, and not of something in one."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def imported(names: set[str]) -> list[Path]:
    """The files behind these modules and all that they import in turn, in a fresh interpreter."""
    words = [sys.executable, "-I", "-c", LIST, *sorted(names)]
    said = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603
    return [Path(file) for file in json.loads(said.stdout)]


def libraries(binaries: list[Path]) -> Iterator[Path]:
    """The shared libraries that binaries need, the loader among them, by the names they are looked up by."""
    for binary in binaries:
        said = subprocess.run(["ldd", str(binary)], check=True, capture_output=True, text=True)  # noqa: S603, S607
        yield from (Path(path) for path in re.findall(r"(/\S+) \(0x", said.stdout))
    yield Path("/etc/ld.so.cache")


def notices() -> Iterator[Path]:
    """What tells the versions and the licences of the packages."""
    for name in DISTRIBUTIONS:
        for file in distribution(name).files or ():
            if re.search(r"dist-info/(METADATA|.*(LICEN[CS]E|COPYING|NOTICE|AUTHORS).*)$", str(file), re.IGNORECASE):
                yield Path(str(file.locate()))


def landmarks(root: Path) -> None:
    """The interpreter finds its standard library by a file and a directory that the sidecar does not import."""
    library = Path(os.__file__).parent
    (root / library.relative_to("/") / "lib-dynload").mkdir(parents=True, exist_ok=True)


def link(name: Path, root: Path) -> None:
    """Copy a symbolic link and those that it leads to."""
    while name.is_symlink():
        target = root / name.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(name.readlink())
        name = name.parent / name.readlink()


def copy(file: Path, root: Path) -> None:
    """Copy a file to its own place below another root, and the bytecode beside it."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, target)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.{sys.implementation.cache_tag}.pyc"):
        copy(compiled, root)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
