"""`passgate explain`: what a finding, an error or a log of another program means, and what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from domxml.errors import BadInput, ExitCode, UnknownText
from hostdev.cli import explainhost, explainview
from hostdev.explain.explanation import Explained, Explanation, explain_text
from hostdev.explain.layers import Unknown
from hostdev.findings.explain import EXPLAINED
from hostdev.findings.registry import look_up
from hostdev.findings.rule import Sureness
from hostdev.printing import output
from hostdev.printing.documents import document, emit
from hostdev.printing.screen import Screen

MOST_BYTES = 16 << 20
_MIB = 1 << 20


def run(arguments: argparse.Namespace) -> int:
    """Print a page for one code, a list for several with the page of the likely root."""
    explanation = _explanation(arguments.code, arguments.file or ())
    seen = explainhost.look(arguments.host, explanation.items)
    if arguments.output != "text":
        items = [explainview.item(one) for one in explanation.items]
        about = explainview.unknown_document(explanation.unknown) if explanation.unknown else None
        here = [explainview.device_document(one) for one in seen.devices]
        emit(document("Explanations", items=items, unknown=about, here=here), arguments.output)
        return ExitCode.UNKNOWN if explanation.unknown else ExitCode.DONE
    if explanation.unknown:
        raise _unknown(explanation.unknown)
    screen = Screen.of(arguments.color)
    explainview.show(screen, explanation.items)
    explainhost.show(screen, seen)
    return ExitCode.DONE


def _explanation(words: Sequence[str], files: Sequence[str]) -> Explanation:
    if not files and words and all(word in EXPLAINED for word in words):
        return _of_codes(words)
    if files and words:
        raise BadInput("bad-usage", "-f names a file, and there are words too", hint="give a file, or a text")
    text = _text(words, files)
    if text is None:
        return _of_codes(EXPLAINED)
    if not text.strip():
        raise BadInput(
            "unknown-text", "no finding is known that says this: the text is empty", hint="paste a message, or a log"
        )
    explanation = explain_text(text)
    if explanation.unknown and len(words) == 1 and words != ["-"] and _is_a_word(words[0]):
        look_up(EXPLAINED, words[0])
        return _of_codes([words[0].strip().lower()])
    return explanation


def _of_codes(codes: Iterable[str]) -> Explanation:
    return Explanation(tuple(Explained(code, Sureness.CERTAIN) for code in codes))


def _is_a_word(word: str) -> bool:
    return not any(letter.isspace() for letter in word) and len(word) < 100 and not _is_file(word)


def _unknown(unknown: Unknown) -> UnknownText:
    return UnknownText(
        "unknown-text",
        f"no finding is known that says this{explainview.unknown_sentence(unknown)}",
        hint=f"its reason usually stands here: {unknown.where}",
    )


def _text(words: Sequence[str], files: Sequence[str]) -> str | None:
    """What is to be explained; None: nothing is, and the codes are wanted."""
    if files or (words and all(map(_is_file, words))):
        return "\n".join(map(_read, files or words))
    if words == ["-"] or (not words and output.is_fed()):
        text = _read(output.STANDARD_INPUT)
        return text if words or text else None
    return " ".join(words) if words else None


def _is_file(word: str) -> bool:
    try:
        return word not in EXPLAINED and Path(word).is_file()
    except (OSError, ValueError):
        return False


def _read(name: str) -> str:
    if name == output.STANDARD_INPUT:
        return _decoded(output.read_input(MOST_BYTES + 1), "standard input")
    try:
        with Path(name).open("rb") as file:
            return _decoded(file.read(MOST_BYTES + 1), name)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("no-input", f"cannot be read: {why}", subject=name[:200]) from None


def _decoded(data: bytes, name: str) -> str:
    """The text; what is beyond the bound is not looked at, which is said."""
    if len(data) > MOST_BYTES:
        output.note(
            f"note: {name[:200]}: only the first {MOST_BYTES // _MIB} MiB were read; give the part around the failure "
            "to have the rest looked at"
        )
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} and data[:200].count(0) > len(data[:200]) // 4:
        return data[:MOST_BYTES].decode("utf-16", errors="replace")
    return data[:MOST_BYTES].decode(errors="replace")
