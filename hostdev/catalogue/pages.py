"""Write the pages of all findings: `python -m hostdev.catalogue.pages docs/findings`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from hostdev.catalogue import ALL
from hostdev.catalogue.errors import ERRORS
from hostdev.catalogue.explain import page
from hostdev.catalogue.words import shown

INDEX = "README.md"
ERROR_PAGE = "errors.md"


def pages() -> Mapping[str, str]:
    """The text of every page by its file name, the index included."""
    written = {f"{code}.md": page(row) for code, row in ALL.items()}
    return {INDEX: "\n".join(_index()) + "\n", ERROR_PAGE: "\n".join(_errors()) + "\n", **written}


def write(directory: Path) -> None:
    """Write every page; what else is in the directory is left alone."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")


def _index() -> Iterator[str]:
    yield "# Findings"
    yield ""
    yield "Each finding has a code that never changes. `passgate node explain CODE` prints the same page; it also takes"
    yield "the text of an error, or a log on standard input."
    yield ""
    yield from table(("code", "severity", "title"), ((_link(c), str(k.severity), k.title) for c, k in ALL.items()))
    yield ""
    yield "## By the text of the error"
    yield ""
    yield "DEVICE, GROUP and UUID stand for an address, a number and a UUID, … for anything."
    yield ""
    yield from table(("text", "findings"), _by_text())
    yield ""
    yield "[Troubleshooting](../troubleshooting.md) has these texts by who says them, with what to do;"
    yield f"[errors]({ERROR_PAGE}) has the codes of errors that are no findings."


def _errors() -> Iterator[str]:
    yield "# Errors"
    yield ""
    yield "What was wrong with what Passgate was given; it stands in brackets behind the message, and before a refusal."
    yield "These are no findings: no policy passes them over, and `--fail-on` has nothing to do with them."
    yield "`passgate node explain CODE` tells the same."
    yield ""
    rows = ((f"`{error.code}`", error.title, error.hint.replace("|", "\\|")) for error in ERRORS)
    yield from table(("code", "what is wrong", "what to do"), iter(sorted(rows)))


def _by_text() -> Iterator[tuple[str, str]]:
    codes: dict[str, list[str]] = defaultdict(list)
    for code, row in ALL.items():
        for template in row.says:
            codes[shown(template)].append(code)
    for text in sorted(codes, key=str.lower):
        yield f"`{text}`".replace("|", "\\|"), ", ".join(_link(code) for code in codes[text])


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _link(code: str) -> str:
    return f"[{code}]({code}.md)"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
