"""The scenario pages: their commands and what these print, and their pictures.

`python -m tests.scenarios.pages` writes both again.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from tests.consoles import BLOCK
from tests.hostdev.cli.running import environment
from tests.house import ROOT
from tests.scenarios import picture
from tests.scenarios.cases import CASES

FOLDER = ROOT / "docs/scenarios"
PAGES = tuple(sorted(FOLDER.glob("*.md")))
PICTURES = {
    "intel-graphics": ("intel-graphics-windows", "intel-graphics-ubuntu"),
    "network": ("network-x710", "network-e810"),
    "harvester": ("harvester-t4", "harvester-vgpu", "harvester-qat", "harvester-shared-group"),
    "qat": ("qat-q35", "qat-i440fx"),
    "kunpeng-bond": ("kunpeng-bond",),
}
"""Which cases each picture shows."""
COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)$", re.MULTILINE)
PROGRAMS = frozenset({"passgate", "cat", "cd", "grep", "sed"})
FENCE = re.compile(r"(?<=^```yaml\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


class Terminal:
    """A user at the root of the repository, who goes where the page says."""

    def __init__(self) -> None:
        self.folder = ROOT

    def replay(self, block: str) -> str:
        """The commands of a block, with what they print now."""
        return "".join(f"$ {match[1]}\n{self._output(match[1])}" for match in COMMAND.finditer(block))

    def _output(self, command: str) -> str:
        program, *words = shlex.split(command.partition("|")[0])
        assert program in PROGRAMS, f"{program} is not among {sorted(PROGRAMS)}"
        if program == "cd":
            self.folder = (self.folder / words[0]).resolve(strict=True)
            return ""
        line = f'passgate() {{ {sys.executable} -m hostdev.cli.main "$@"; }}\n{command}'
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout


def replayed(text: str) -> str:
    """A page with the output that its commands have now."""
    terminal = Terminal()
    return BLOCK.sub(lambda block: terminal.replay(block[0]), text)


def pictures() -> Iterator[tuple[Path, str]]:
    """Every picture, as it is now."""
    cases = {case.name: case for case in CASES}
    for name, shown in PICTURES.items():
        yield FOLDER / f"{name}.svg", picture.draw([cases[one] for one in shown])


def invented(text: str) -> list[str]:
    """The YAML of a page that stands in no file of the scenarios."""
    files = [file.read_text().splitlines() for file in (ROOT / "tests/fixtures/scenarios").rglob("*.yaml")]
    blocks = map(dedent, FENCE.findall(text))
    return [block for block in blocks if not any(_is_part(block.splitlines(), file) for file in files)]


def _is_part(block: list[str], file: list[str]) -> bool:
    windows = (file[start : start + len(block)] for start in range(len(file) - len(block) + 1))
    return any(dedent("\n".join(window)).splitlines() == block for window in windows)


def main() -> None:
    """Write pages and pictures as they are now."""
    for page in PAGES:
        page.write_text(replayed(page.read_text()))
    for file, text in pictures():
        file.write_text(text)


if __name__ == "__main__":
    main()
