"""Build `passgate.pyz`: the command line as one file that needs nothing but Python.

    python3 build.py FILE

The same tree gives the same bytes, on any machine: files in order, without times, owners and compression.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile, ZipInfo

ROOT = Path(__file__).parents[2]
PACKAGES = ((ROOT / "xml", "domxml"), (ROOT, "hostdev"))
"""Source roots and what is taken of them. The servers need gRPC, and come in images."""
SHEBANG = b"#!/usr/bin/env python3\n"
START = """\
import sys

if sys.version_info < (3, 11):
    sys.exit("error: passgate needs Python 3.11 or later, and this is %d.%d [python-too-old]" % sys.version_info[:2])

from hostdev.cli.standalone import run

sys.exit(run())
"""
"""Any Python 3 understands it, so that an old one can be told."""
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE = 0o100644 << 16


def main(target: Path) -> None:
    """Write the file, and say where."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        file.write(SHEBANG)
        with ZipFile(file, "w") as archive:
            for name, data in sorted(content()):
                entry = ZipInfo(name, EPOCH)
                entry.create_system, entry.external_attr = 3, READABLE
                archive.writestr(entry, data)
    target.chmod(0o755)
    print(f"{target}: {target.stat().st_size >> 10} KiB")  # noqa: T201  a program for a terminal


def content() -> Iterator[tuple[str, bytes]]:
    """Names in the archive and what is in them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = METADATA.format_map(project).encode()
    yield "__main__.py", START.encode()
    yield f"{project['name']}-{project['version']}.dist-info/METADATA", about
    yield "LICENSE", (ROOT / "LICENSE").read_bytes()
    for root, package in PACKAGES:
        for path in (root / package).rglob("*"):
            if path.is_file() and path.suffix not in {".pyc", ".pyi", ".proto"}:
                yield path.relative_to(root).as_posix(), path.read_bytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
