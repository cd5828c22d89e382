"""Where tables, trees and lines for people go: plain in a pipe, with rich on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from hostdev.printing import cells, output
from hostdev.printing.cells import Branch, Cell, Column, Row

FORCING = ("FORCE_COLOR", "CLICOLOR_FORCE")
"""Variables that ask for colours in a pipe too."""


_COMMAND = "; do "
"""In a loop of the shell."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Standard output, by what it can show."""

    terminal: bool
    color: bool

    @classmethod
    def of(cls, color: str, environment: Mapping[str, str] = os.environ) -> Screen:
        """Decide by `--color`, NO_COLOR, FORCE_COLOR, TERM and whether there is a terminal."""
        terminal = sys.stdout is not None and sys.stdout.isatty() and environment.get("TERM") != "dumb"
        forced = any(environment.get(name, "0") not in {"", "0", "false"} for name in FORCING)
        wanted = color == "always" or (color == "auto" and (terminal or forced))
        return cls(terminal=terminal, color=wanted and not environment.get("NO_COLOR"))

    def table(
        self, header: Sequence[Column], rows: Sequence[Row], *, whole: bool = False, headless: bool = False
    ) -> None:
        """Print a table; a whole one has every column, however narrow the terminal is."""
        output.write(self._renderer().table(header, rows, color=self.color, whole=whole, headless=headless))

    def tree(self, branches: Sequence[Branch]) -> None:
        """Print trees, one below the other."""
        output.write(self._renderer().tree(branches, color=self.color))

    def markdown(self, text: str) -> None:
        output.write(self._renderer().markdown(text, color=self.color))

    def line(self, *parts: Cell | str) -> None:
        """Print a line made of pieces."""
        output.write(cells.label(parts, color=self.color) + "\n")

    def folded(self, *parts: Cell | str, hang: int) -> None:
        """Print a line; at a terminal in words below each other, but for a command, which is pasted as it stands."""
        columns = shutil.get_terminal_size().columns if self.terminal else 0
        if columns > hang and not any(_COMMAND in cells.cell(part).text for part in parts):
            output.write(cells.fold(parts, columns=columns, hang=hang, color=self.color) + "\n")
        else:
            self.line(*parts)

    def _renderer(self) -> ModuleType:
        if self.terminal:
            try:
                from hostdev.printing import terminal  # noqa: PLC0415  rich takes longer to load than we to answer
            except ImportError:
                return cells
            return terminal
        return cells
