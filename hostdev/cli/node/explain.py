"""`passgate node explain`: what a finding or an error means, by its code or by the message of another program."""

from __future__ import annotations

import argparse
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from domxml.errors import BadInput, ExitCode
from domxml.finding import FindingKind
from domxml.text import listed
from hostdev.cli import devices
from hostdev.cli.node import groups
from hostdev.findings.explain import EXPLAINED, Row, Sighting, find_codes, page
from hostdev.findings.registry import look_up
from hostdev.gate.group import group_verdict
from hostdev.inventory import pciids
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, dash
from hostdev.printing.documents import Document, document, emit
from hostdev.printing.findings import TONES
from hostdev.printing.screen import Screen

TABLE = (Column("CODE"), Column("SEVERITY"), Column("TITLE", Fit.WRAP))
SEEN = (Column("LINE"), Column("CODE"), Column("SEVERITY"), Column("ABOUT", Fit.WRAP), Column("TITLE", Fit.WRAP))
MOST_BYTES = 64 << 20
_MOST_SHOWN = 4
_GROUP = re.compile(r"group ([0-9]{1,7})", re.ASCII)


def run(arguments: argparse.Namespace) -> int:
    """Print a page for one finding, a list for several."""
    seen = _sightings(arguments.code, arguments.file or ())
    rows = [look_up(EXPLAINED, one.code) for one in seen]
    if arguments.output != "text":
        emit(document("Explanations", items=list(map(_item, rows, seen))), arguments.output)
        return ExitCode.DONE
    screen = Screen.of(arguments.color)
    if len(rows) == 1:
        screen.markdown(page(rows[0]))
        _say_where(seen[0])
    else:
        _list(screen, rows, seen)
    _look(screen, arguments, seen)
    return ExitCode.DONE


def _sightings(words: Sequence[str], files: Sequence[str]) -> tuple[Sighting, ...]:
    if not files and words and all(word in EXPLAINED for word in words):
        return tuple(map(Sighting, words))
    if files and words:
        raise BadInput("bad-usage", "-f names a file, and there are words too", hint="give a file, or a text")
    text = _text(words, files)
    if text is None:
        return tuple(map(Sighting, EXPLAINED))
    found = find_codes(text)
    if found:
        return found
    if len(words) == 1 and words != ["-"] and " " not in words[0] and not _is_file(words[0]):
        return (Sighting(words[0]),)
    raise BadInput(
        "unknown-text",
        "no finding is known that says this",
        hint="paste the message of QEMU, libvirt or the kernel as it is; `passgate node explain` lists the codes",
    )


def _text(words: Sequence[str], files: Sequence[str]) -> str | None:
    """What is to be explained; None: nothing is, and the codes are wanted."""
    if files or (words and all(map(_is_file, words))):
        return "\n".join(_read(name) for name in files or words)
    if words == ["-"] or (not words and _is_piped()):
        text = output.read_input(MOST_BYTES).decode(errors="replace")
        return text if words or text else None
    return " ".join(words) if words else None


def _is_file(word: str) -> bool:
    try:
        return word not in EXPLAINED and Path(word).is_file()
    except (OSError, ValueError):
        return False


def _is_piped() -> bool:
    """Whether another program or a file stands before us; a socket may be an open session that says nothing."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read(name: str) -> str:
    if name == output.STANDARD_INPUT:
        return output.read_input(MOST_BYTES).decode(errors="replace")
    try:
        with Path(name).open("rb") as file:
            return file.read(MOST_BYTES).decode(errors="replace")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("no-input", f"cannot be read: {why}", subject=name[:200]) from None


def _item(row: Row, seen: Sighting) -> Document:
    return {
        "code": row.code,
        "severity": str(row.severity) if isinstance(row, FindingKind) else None,
        "title": row.title,
        "cause": row.cause,
        "hint": row.hint,
        "remedy": row.remedy,
        "says": list(row.says),
        "lines": list(seen.lines),
        "about": list(seen.about),
    }


def _say_where(seen: Sighting) -> None:
    if max(seen.lines, default=0) > 1:
        about = f", about {listed(seen.about)}" if seen.about else ""
        output.note(f"note: {_lines(seen)}{about}")


def _lines(seen: Sighting) -> str:
    return f"line{'s' if len(seen.lines) > 1 else ''} {listed(seen.lines, _MOST_SHOWN)}"


def _list(screen: Screen, rows: Sequence[Row], seen: Sequence[Sighting]) -> None:
    if any(one.lines for one in seen):
        screen.table(SEEN, [_line(row, one) for row, one in _by_line(rows, seen)])
    else:
        screen.table(TABLE, [(row.code, _severity(row), row.title) for row in rows])
    output.note("note: `passgate node explain CODE` explains one of them")


def _by_line(rows: Sequence[Row], seen: Sequence[Sighting]) -> list[tuple[Row, Sighting]]:
    return sorted(zip(rows, seen, strict=True), key=lambda pair: pair[1].lines[:1] or (sys.maxsize,))


def _line(row: Row, seen: Sighting) -> tuple[Cell | str, ...]:
    where = listed(seen.lines, _MOST_SHOWN) if seen.lines else "-"
    return where, seen.code, _severity(row), listed(seen.about, _MOST_SHOWN) if seen.about else "-", row.title


def _severity(row: Row) -> Cell | str:
    return Cell(row.severity, TONES[row.severity]) if isinstance(row, FindingKind) else dash(None)


def _look(screen: Screen, arguments: argparse.Namespace, seen: Sequence[Sighting]) -> None:
    """Show the IOMMU groups that a text names, on the host that was named; the text may be another host's."""
    numbers = list(dict.fromkeys(_numbers(seen)))
    if not numbers:
        return
    if arguments.host is None:
        command = f"`passgate node groups {' '.join(map(str, numbers[:_MOST_SHOWN]))}`"
        output.note(f"note: {command} shows the group on its node; --host does it here")
        return
    machine = devices.machine_at(arguments.host)
    names = pciids.namer(None, live=arguments.host == devices.LIVE)
    for number in numbers:
        group = machine.groups.get(number)
        if group is None:
            output.note(f"note: {machine.source} has no group {number}: the text is another host's, or of another boot")
            continue
        output.write("\n")
        members = groups.member_rows(machine, names, group_verdict(machine, group))
        fields = groups.LISTING.chosen(None, "table")
        screen.table(
            [field.column for field in fields], [tuple(field.text(row) for field in fields) for row in members]
        )
    devices.note_unread(machine)


def _numbers(seen: Sequence[Sighting]) -> Iterator[int]:
    for one in seen:
        yield from (int(found[1]) for text in one.about if (found := _GROUP.fullmatch(text)))
