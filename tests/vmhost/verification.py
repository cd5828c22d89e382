"""docs/verification.md: what was predicted in each scenario, beside what the kernel, libvirt and QEMU said.

`python -m tests.vmhost.verification [SCENARIO…]` runs the scenarios and writes their rows anew.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.house import ROOT
from tests.vmhost import session
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import Say, build, build_small_kernel
from tests.vmhost.inside.scenario import Row, Run, all_scenarios

PAGE = ROOT / "docs" / "verification.md"
INTRODUCTION = """\
# Verification

`make test-host` boots a machine whose IOMMU and SR-IOV devices are emulated.
All else in it is real: the kernel, vfio-pci, libvirt, QEMU, and Passgate's commands and processes.
Each scenario below is a test: it predicts something, and then the kernel, libvirt and QEMU are asked.

`python -m tests.vmhost.verification` runs them and writes this page.
A test compares it with what every run says.
Group numbers are written as N and times are left out, for they may differ from run to run.
How lint was compared with KubeVirt's own admission is on a [page of its own](lint-verification.md).
"""
HEAD = "| scenario | what was tried | what was predicted | what they said |\n| --- | --- | --- | --- |\n"
_ROW = re.compile(r"^\| `(\w+)`: |^\| \|")
_VARIES = (
    # QEMU ends, and libvirt notices either that or the closed monitor first.
    (re.compile(r"QEMU unexpectedly closed the monitor \(vm='[^']*'\)"), "process exited while connecting to monitor"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z "), ""),
    (re.compile(r"\bgroup \d+"), "group N"),
    (re.compile(r"/dev/vfio/\d+"), "/dev/vfio/N"),
    (re.compile(r"\s+"), " "),
)
"""What differs from run to run, and what is written for it."""

Rows = Mapping[str, Sequence[str]]
"""The lines of the table, by scenario."""


def page(rows: Rows) -> str:
    """The whole page: a section for each file of scenarios, a table in each."""
    sections: dict[str, list[str]] = {}
    for name, run in all_scenarios().items():
        sections.setdefault(_title(run), []).extend(rows.get(name, ()))
    tables = (f"\n## {title}\n\n{HEAD}{''.join(lines)}" for title, lines in sections.items() if lines)
    return INTRODUCTION + "".join(tables)


def lines(name: str, rows: Iterable[Row]) -> Sequence[str]:
    """The lines of one scenario; the first one tells what it shows."""
    about = f"`{name}`: {_cell(all_scenarios()[name].__doc__ or '')}"
    written = ("".join(f" {_cell(text)} |" for text in row) for row in rows)
    return [
        f"| {about if number == 0 else ''} |".replace("|  |", "| |") + row + "\n" for number, row in enumerate(written)
    ]


def on_page(text: str) -> Rows:
    """The lines that a page has, by scenario."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        if match := _ROW.match(line):
            name = match[1] or name
            found.setdefault(name, []).append(line)
    return found


def main(names: Sequence[str], say: Say = print) -> int:
    """Run scenarios, and write their rows; those of others stay."""
    wanted = names or list(all_scenarios())
    try:
        host = build(say)
        build_small_kernel(host, say)
    except NotPossible as reason:
        say(str(reason))
        return 1
    with tempfile.TemporaryDirectory() as directory:
        report = session.run(host, wanted, Path(directory), say)
    rows = dict(on_page(PAGE.read_text())) if PAGE.exists() else {}
    failures = {name: failure for name in wanted if (failure := report.failure(name))}
    for name in wanted:
        if outcome := report.outcome(name):
            rows[name] = lines(name, outcome.rows)
    for name, failure in failures.items():
        say(f"{name}: {failure}")
    if not failures:
        PAGE.write_text(page(rows))
    return 1 if failures else 0


def _title(run: Run) -> str:
    return (inspect.getdoc(inspect.getmodule(run)) or "").split("\n")[0].rstrip(".")


def _cell(text: str) -> str:
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    return text.strip().replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
