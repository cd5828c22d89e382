"""docs/verification.md: what was predicted in each scenario, beside what the kernel, libvirt and QEMU said.

`python -m tests.vmhost.verification [SCENARIO[@sid]…]` runs the scenarios and writes their rows anew.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.house import ROOT
from tests.vmhost import recipe, session
from tests.vmhost.debian import NotPossible
from tests.vmhost.image import Say, build, build_small_kernel
from tests.vmhost.inside.scenario import Row, all_scenarios

PAGE = ROOT / "docs" / "verification.md"
INTRODUCTION = """\
# Verification

`make test-host` boots a machine whose IOMMU and SR-IOV devices are emulated.
All else in it is real: the kernel, vfio-pci, libvirt, QEMU, and Passgate's commands and processes.
Each scenario below is a test: it predicts something, and then the kernel, libvirt and QEMU are asked.

`python -m tests.vmhost.verification` runs them and writes this page.
A test compares it with what every run says.
Group numbers are written as N and times are left out, for they may differ from run to run.

Node state is tried on two kernels: that of Debian trixie (6.12), and that of Debian sid (7.2 when this was written).
The rest of the host is the same for both.
`make test` runs what is cheap, on the kernel of trixie; `make test-host` runs everything.
How lint was compared with KubeVirt's own admission is on a [page of its own](lint-verification.md).
What kubelet makes of what is offered to it is on [another one](offer-verification.md).
What a killed driver of claims leaves is on [a third](claims-verification.md).
"""
HEAD = "| scenario | what was tried | what was predicted | what they said |\n| --- | --- | --- | --- |\n"
_ROW = re.compile(r"^\| `(\w+(?:@\w+)?)`: |^\| \|")
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
    for asked in session.asked_for():
        sections.setdefault(_title(asked), []).extend(rows.get(asked, ()))
    tables = (f"\n## {title}\n\n{HEAD}{''.join(lines)}" for title, lines in sections.items() if lines)
    return INTRODUCTION + "".join(tables)


def lines(asked: str, rows: Iterable[Row]) -> Sequence[str]:
    """The lines of one scenario; the first one tells what it shows."""
    about = f"`{asked}`: {_cell(all_scenarios()[session.name_of(asked)].__doc__ or '')}"
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
    wanted = names or session.asked_for()
    failures = 0
    for kernel in dict.fromkeys(map(session.kernel_of, wanted)):
        try:
            failures += _write_rows(kernel, [one for one in wanted if session.kernel_of(one) == kernel], say)
        except NotPossible as reason:
            say(str(reason))
            failures += 1
    return 1 if failures else 0


def _write_rows(kernel: str, wanted: Sequence[str], say: Say) -> int:
    """How many of the scenarios of a kernel failed; the rows of the others are on the page."""
    host = build(say, kernel)
    if any(map(session.boots_a_guest, wanted)):
        build_small_kernel(host, say)
    with tempfile.TemporaryDirectory() as directory:
        report = session.run(host, wanted, Path(directory), say)
    rows = dict(on_page(PAGE.read_text())) if PAGE.exists() else {}
    failures = {one: failure for one in wanted if (failure := report.failure(one))}
    for one in wanted:
        outcome = report.outcome(one)
        say(f"{one}: {outcome.seconds:.0f} s" if outcome else f"{one}: no outcome")
        if outcome and one not in failures:
            rows[one] = lines(one, outcome.rows)
    for one, failure in failures.items():
        say(f"{one}: {failure}")
    PAGE.write_text(page(rows))
    return len(failures)


def _title(asked: str) -> str:
    module = inspect.getmodule(all_scenarios()[session.name_of(asked)])
    title = (inspect.getdoc(module) or "").split("\n")[0].rstrip(".")
    newer = session.kernel_of(asked) != recipe.SUITE
    return f"On the kernel of Debian {session.kernel_of(asked)}: {title}" if newer else title


def _cell(text: str) -> str:
    for pattern, instead in _VARIES:
        text = pattern.sub(instead, text)
    return text.strip().replace("|", r"\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
