"""Tables and trees on a terminal, with rich. Only imported where there is one."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from hostdev.printing.cells import Branch, Cell, Column, Fit, Row, cell, width

GAP = 3


def table(header: Sequence[Column], rows: Sequence[Row], *, color: bool) -> str:
    """Lay out a table for the width of the terminal."""
    widths = _widths(header, rows, shutil.get_terminal_size().columns)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for index, size in widths.items():
        shown.add_column(header[index].title, no_wrap=header[index].fit is Fit.KEEP, width=size)
    for row in rows:
        shown.add_row(*(_text(cell(row[index]), header[index].fit) for index in widths))
    return _printed(shown, color=color)


def _widths(header: Sequence[Column], rows: Sequence[Row], room: int) -> dict[int, int]:
    """The columns there is room for and how wide they are: spare ones go, the last first, then others give way."""
    wanted = [
        max(width(text) for text in (head.title, *(cell(row[i]).text for row in rows))) for i, head in enumerate(header)
    ]
    least = [size if head.fit is Fit.KEEP else min(size, head.least) for head, size in zip(header, wanted, strict=True)]
    kept = list(range(len(header)))
    for spare in [index for index in reversed(kept) if header[index].spare]:
        if sum(least[index] + GAP for index in kept) - GAP <= room:
            break
        kept.remove(spare)
    left = room + GAP - sum(least[index] + GAP for index in kept)
    widths = {index: least[index] for index in kept}
    # What is left goes to the last ones first: there stands what matters.
    for index in reversed(kept):
        more = max(min(wanted[index] - least[index], left), 0)
        widths[index] += more
        left -= more
    return widths


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


def _text(shown: Cell, fit: Fit) -> Text:
    if fit is Fit.CUT:
        return Text(shown.text, _style(shown), no_wrap=True, overflow="ellipsis")
    return Text(shown.text, _style(shown))


def _style(shown: Cell) -> str:
    return shown.color or str(shown.tone)


def _printed(shown: RenderableType, *, color: bool) -> str:
    size = shutil.get_terminal_size()
    page = io.StringIO()
    console = Console(
        file=page,
        width=size.columns,
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
