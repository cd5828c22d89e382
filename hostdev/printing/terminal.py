"""Tables and trees on a terminal, with rich. Only imported where there is one."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from hostdev.printing.cells import Branch, Cell, Column, Fit, Row, Tone, cell, width

GAP = 2


def table(
    header: Sequence[Column], rows: Sequence[Row], *, color: bool, whole: bool = False, headless: bool = False
) -> str:
    """Lay out a table for the width of the terminal; a whole one wraps, and may be wider than that."""
    if headless and not rows:
        return ""
    room = shutil.get_terminal_size().columns
    widths = _widths(header, rows, room, whole=whole)
    # Three columns between two cells would leave a table of 80 without one of its own.
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    shown.show_header = not headless
    for index, size in widths.items():
        shown.add_column(header[index].title, no_wrap=header[index].fit is Fit.KEEP, width=size)
    for row in rows:
        shown.add_row(*(_text(cell(row[index]), header[index].fit, whole=whole) for index in widths))
    out = [column.title for index, column in enumerate(header) if index not in widths]
    left_out = f"no room for {', '.join(out)}; -o wide shows all columns" if out else ""
    page = _printed(shown, color=color, width=max(room, sum(widths.values()) + GAP * len(widths)))
    return page + (_printed(Text(left_out, str(Tone.FAINT)), color=color, width=room) if left_out else "")


def _widths(header: Sequence[Column], rows: Sequence[Row], room: int, *, whole: bool) -> dict[int, int]:
    """The columns there is room for and how wide they are: of spare ones the least spare first; then some give way."""
    wanted = [
        max(width(text) for text in (head.title, *(cell(row[i]).text for row in rows))) for i, head in enumerate(header)
    ]
    least = [size if head.fit is Fit.KEEP else min(size, head.least) for head, size in zip(header, wanted, strict=True)]
    if whole and _total(least) > room:
        # Wider than the terminal whatever gives way: the terminal wraps it, and `less -S` scrolls it.
        return dict(enumerate(wanted))
    kept = [index for index, head in enumerate(header) if whole or not head.spare]
    for spare in sorted(set(range(len(header))) - set(kept), key=lambda index: header[index].spare):
        if _total(least[index] for index in [*kept, spare]) <= room:
            kept.append(spare)
    left = room - _total(least[index] for index in kept)
    widths = {index: least[index] for index in sorted(kept)}
    # What is left goes to the last ones first: there stands what matters.
    for index in sorted(kept, reverse=True):
        more = max(min(wanted[index] - least[index], left), 0)
        widths[index] += more
        left -= more
    return widths


def _total(widths: Iterable[int]) -> int:
    return sum(size + GAP for size in widths) - GAP


def tree(branches: Sequence[Branch], *, color: bool) -> str:
    """Lay out trees with lines between the branches."""
    return "".join(_printed(_grown(branch), color=color) for branch in branches)


def markdown(text: str, *, color: bool) -> str:
    """Lay out a page of Markdown."""
    return _printed(Markdown(text, code_theme="ansi_light"), color=color)


def _grown(branch: Branch) -> Tree:
    shown = Tree(_label(branch.label), guide_style="dim")
    for child in branch.children:
        shown.children.append(_grown(child))
    return shown


def _label(row: Row) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for part in map(cell, row):
        text.append(part.text, _style(part))
    return text


def _text(shown: Cell, fit: Fit, *, whole: bool) -> Text:
    if fit is Fit.CUT and not whole:
        return Text(shown.text, _style(shown), no_wrap=True, overflow="ellipsis")
    return Text(shown.text, _style(shown))


def _style(shown: Cell) -> str:
    return shown.color or str(shown.tone)


def _printed(shown: RenderableType, *, color: bool, width: int = 0) -> str:
    page = io.StringIO()
    console = Console(
        file=page,
        width=width or shutil.get_terminal_size().columns,
        force_terminal=True,
        color_system="auto" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(shown)
    lines = (line.rstrip() for line in page.getvalue().splitlines())
    return "".join(f"{line}\n" for line in lines)
