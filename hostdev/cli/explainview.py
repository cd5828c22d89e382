"""How explanations are shown: as pages and tables for readers, as items for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from domxml.finding import FindingKind
from domxml.text import listed
from hostdev.cli.explainhost import HostDevice
from hostdev.explain.explanation import Explained
from hostdev.explain.layers import Unknown
from hostdev.explain.values import fill_command
from hostdev.findings.explain import LOOK, NATURES, Row, page, words_of
from hostdev.findings.release import Release, is_mended
from hostdev.findings.rule import Sureness
from hostdev.findings.trouble import Nature
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, Tone, dash
from hostdev.printing.documents import Document
from hostdev.printing.findings import TONES
from hostdev.printing.screen import Screen

CODES = (Column("CODE"), Column("SEVERITY"), Column("TITLE", Fit.WRAP))
FOUND = (
    Column("LINE"),
    Column("CODE"),
    Column("SURE"),
    Column("TIMES"),
    Column("ABOUT", Fit.WRAP),
    Column("WHAT IT MEANS, AND WHAT TO DO", Fit.WRAP, least=30),
)
_MOST_SHOWN = 4
_SURE: Mapping[Sureness, str] = MappingProxyType(
    {
        Sureness.LIKELY: "this is the likely meaning; the text alone does not prove it",
        Sureness.ONE_OF: "this is one of several meanings of the text",
    }
)


def show(screen: Screen, items: Sequence[Explained], releases: Sequence[Release]) -> None:
    """A page for one, a table for several; below a table of what was found the page of the likely root."""
    if len(items) == 1:
        screen.markdown(page(items[0].row))
        _note(items[0], releases)
        return
    if not any(item.lines for item in items):
        screen.table(CODES, [(item.code, _severity(item.row), item.row.title) for item in items])
        output.note("note: `passgate explain CODE` explains one of them")
        return
    screen.table(FOUND, [_row(item) for item in items])
    output.write("\n")
    screen.markdown(page(items[0].row))
    _note(items[0], releases)
    output.note(f"note: {_root_sentence(items)}; `passgate explain CODE` explains the others")


def _root_sentence(items: Sequence[Explained]) -> str:
    root = items[0]
    if root.nature is not Nature.CAUSE:
        return "none of these lines is a cause: look for another line"
    if root.sureness is Sureness.ONE_OF:
        return "these have the same words, and the text does not tell which it is"
    return f"the likely root is {root.code}, and stands first"


def _note(item: Explained, releases: Sequence[Release]) -> None:
    """What a page does not tell: how sure it is, where it stands, what to look at."""
    if not item.lines:
        return
    words = NATURES.get(item.nature) or _SURE.get(item.sureness)
    if words:
        output.note(f"note: {words}")
    if max(item.lines) > 1 or item.times > 1:
        about = f", about {listed(item.values.about)}" if item.values.about else ""
        output.note(f"note: {_lines(item)}{about}")
    for condition in item.open:
        how = f": {fill_command(condition.look, item.values)}" if condition.look else ""
        output.note(f"note: to be sure: {condition.asks}{how}")
    for release in releases:
        _note_release(item.row, release)
    look = fill_command(LOOK.get(item.code, ""), item.values)
    if look:
        output.note(f"note: look with: {look}")


def _note_release(row: Row, release: Release) -> None:
    """What the release that runs says of the cause."""
    match is_mended(row.mended, release):
        case True:
            output.note(f"note: here is {release}, in which this is mended: look for another cause")
        case False:
            output.note(f"note: here is {release}, which has this; a newer one mends it")


def _lines(item: Explained) -> str:
    times = f", {item.times} times" if item.times > 1 else ""
    return f"line{'s' if len(item.lines) > 1 else ''} {listed(item.lines, _MOST_SHOWN)}{times}"


def _row(item: Explained) -> tuple[Cell | str, ...]:
    return (
        dash(item.lines[0] if item.lines else None),
        item.code,
        _sure(item),
        str(item.times),
        dash(listed(item.values.about, _MOST_SHOWN)),
        f"{item.row.title}: {item.row.hint}",
    )


def _sure(item: Explained) -> Cell:
    if item.nature is not Nature.CAUSE:
        return Cell(item.nature, Tone.FAINT)
    return Cell(item.sureness, Tone.STRONG if item.sureness is Sureness.CERTAIN else Tone.PLAIN)


def _severity(row: Row) -> Cell | str:
    return Cell(row.severity, TONES[row.severity]) if isinstance(row, FindingKind) else dash(None)


def unknown_sentence(unknown: Unknown) -> str:
    """What can be said of an unknown text, to follow a sentence."""
    seems = f"; it seems to come from {unknown.layer}" if unknown.layer else ""
    return seems if unknown.ours else f"{seems}; it does not speak of passed-through devices"


def item(one: Explained) -> Document:
    """An explanation for programs."""
    row = one.row
    return {
        "code": row.code,
        "severity": str(row.severity) if isinstance(row, FindingKind) else None,
        "title": row.title,
        "cause": row.cause,
        "hint": row.hint,
        "remedy": row.remedy,
        "says": list(words_of(row)),
        "lines": list(one.lines),
        "about": list(one.values.about),
        "nature": str(one.nature),
        "sureness": str(one.sureness),
        "count": one.times,
        "open": [{"asks": c.asks, "look": fill_command(c.look, one.values) or None} for c in one.open],
        "look": fill_command(LOOK.get(one.code, ""), one.values) or None,
        "issues": list(row.issues),
        "mended": ", ".join(row.mended) or None,
    }


def unknown_document(unknown: Unknown) -> Document:
    """What can be said of an unknown text, for programs."""
    return {"layer": unknown.layer or None, "where": unknown.where, "passthrough": unknown.ours}


def device_document(device: HostDevice) -> Document:
    """What was found out about a device of this host."""
    return {
        "address": device.address,
        "passthrough": device.answer,
        "findings": list(device.codes),
        "group": device.group,
        "members": list(device.members),
        "holder": device.holder or None,
        "confirmed": list(device.confirmed),
        "absent": list(device.absent),
    }
