"""Lists of one kind of thing: the columns there are, which are wanted in which order, as a table, CSV or JSON lines."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from domxml.errors import BadInput
from domxml.text import did_you_mean, printable
from hostdev.printing import output
from hostdev.printing.cells import Cell, Column, Fit, cell
from hostdev.printing.documents import Document
from hostdev.printing.screen import Screen

T = TypeVar("T")
HELP = "help"
EVERY = "all"
_DIGITS = "0123456789"
_NATURAL = re.compile(r"([0-9]+)")


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """A column: what it is called, what stands in it, and how it behaves where there is little room."""

    title: str
    help: str
    text: Callable[[T], Cell | str]
    fit: Fit = Fit.KEEP
    least: int = 14
    spare: int = 0
    """Left out where there is no room for all: the lowest number stays longest, and 0 always."""
    order: Callable[[T], Any] | None = None
    """What it is sorted by, where that is not its text."""

    @property
    def name(self) -> str:
        """As `--columns` and `--sort` take it, and as it stands above CSV."""
        return self.title.lower().replace(" ", "-")

    @property
    def column(self) -> Column:
        return Column(self.title, self.fit, self.least, self.spare)


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """The columns of a command."""

    fields: tuple[Field[T], ...]
    narrow: tuple[str, ...]
    """The names of those that a plain table shows."""
    wide: tuple[str, ...]

    def chosen(self, wanted: str | None, form: str) -> tuple[Field[T], ...]:
        """The columns for `--columns`, or those of a form; `+NAME` adds one, `-NAME` takes one away."""
        usual = self.narrow if form == "table" else self.wide
        if wanted is None:
            return self._named(usual)
        words = [word.strip().lower() for word in wanted.split(",") if word.strip()]
        if not words:
            raise _no_column(wanted, self._names)
        names = list(usual) if words[0][0] in "+-" else []
        for word in words:
            name = word.lstrip("+-")
            if word == EVERY:
                names = list(self._names)
            elif word[0] == "-":
                names = [one for one in names if one != self._known(name)]
            elif self._known(name) not in names:
                names.append(name)
        return self._named(names)

    def sorted(self, rows: Iterable[T], wanted: str | None) -> list[T]:
        """In the order of `--sort`; numbers count as numbers, and what has nothing there comes last."""
        found = list(rows)
        for word in reversed([word.strip().lower() for word in (wanted or "").split(",") if word.strip()]):
            (field,) = self._named([self._known(word.lstrip("+-"))])
            there = [row for row in found if _plain(field, row)]
            there.sort(key=field.order or partial(_by_text, field), reverse=word[0] == "-")
            found = [*there, *(row for row in found if not _plain(field, row))]
        return found

    def help_text(self) -> str:
        """What `--columns help` prints."""
        width = max(map(len, self._names))
        marks = dict.fromkeys(self.narrow, "*")
        lines = [f"{marks.get(field.name, ' ')} {field.name:<{width}}  {field.help}\n" for field in self.fields]
        return "".join([*lines, "* is in a plain table; +NAME adds a column to it, -NAME leaves one out\n"])

    def write(self, arguments: argparse.Namespace, rows: Sequence[T]) -> None:
        """Print rows as `table`, `wide` or `csv`."""
        fields = self.chosen(arguments.columns, arguments.output)
        if arguments.output == "csv":
            output.write(_csv(fields, rows, header=not arguments.no_headers))
            return
        header = [field.column for field in fields]
        texts = [tuple(field.text(row) for field in fields) for row in rows]
        # What was asked for by name is not left out either.
        whole = arguments.output == "wide" or arguments.columns is not None
        Screen.of(arguments.color).table(header, texts, whole=whole, headless=arguments.no_headers)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields)

    def _known(self, name: str) -> str:
        if name not in self._names:
            raise _no_column(name, self._names)
        return name

    def _named(self, names: Sequence[str]) -> tuple[Field[T], ...]:
        by_name = {field.name: field for field in self.fields}
        return tuple(by_name[name] for name in names)


def check_form(listing: Listing[Any], arguments: argparse.Namespace) -> bool:
    """Refuse options that do not fit each other before anything is looked at; answer `--columns help`: False then."""
    if arguments.columns == HELP:
        output.write(listing.help_text())
        return False
    listing.chosen(arguments.columns, arguments.output)
    listing.sorted((), arguments.sort)
    if arguments.output in {"json", "yaml", "jsonl", "name"}:
        for name, given in (("--columns", arguments.columns is not None), ("--no-headers", arguments.no_headers)):
            if given:
                what = f"{name} is for tables, and -o {arguments.output} prints none"
                raise BadInput("bad-usage", what, hint="leave it out, or use -o csv")
    return True


def write_lines(documents: Iterable[Document]) -> None:
    """Print each document on a line."""
    import json  # noqa: PLC0415  a table needs none

    output.write("".join(f"{json.dumps(document)}\n" for document in documents))


def _csv(fields: Sequence[Field[T]], rows: Iterable[T], *, header: bool) -> str:
    import csv  # noqa: PLC0415  a table needs none
    import io  # noqa: PLC0415

    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    if header:
        writer.writerow(field.name for field in fields)
    writer.writerows([_plain(field, row) for field in fields] for row in rows)
    return page.getvalue()


def _plain(field: Field[T], row: T) -> str:
    """The text of a cell, nothing where a table shows a dash."""
    text = cell(field.text(row)).text
    return "" if text == "-" else text


def _by_text(field: Field[T], row: T) -> list[tuple[bool, int, str]]:
    """Numbers count as such: group 9 comes before group 10."""
    parts = [part for part in _NATURAL.split(_plain(field, row).lower()) if part]
    return [(True, 0, part) if part[0] not in _DIGITS else (False, int(part), "") for part in parts]


def _no_column(name: str, known: Sequence[str]) -> BadInput:
    return BadInput("bad-usage", f"there is no column {printable(name)!r}", hint=did_you_mean(name, known))
