"""`passgate explain`: what a finding, an error or a log of another program means, and what to do."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from domxml.errors import BadInput, ExitCode, UnknownText
from hostdev.cli import explainhost, explainview
from hostdev.explain.explanation import Explained, Explanation, explain_text
from hostdev.explain.layers import Unknown
from hostdev.explain.releases import with_kernel
from hostdev.findings.explain import EXPLAINED
from hostdev.findings.registry import look_up
from hostdev.findings.rule import Sureness
from hostdev.printing import output
from hostdev.printing.documents import document, emit
from hostdev.printing.screen import Screen

_FIRST, _LAST = 4 << 20, 12 << 20
"""Of a long log the beginning and the end are read: what failed mostly stands last."""
_STEP = 1 << 20
_PACKED = (
    (b"\x1f\x8b", "gzip", "zcat"),
    (b"\xfd7zXZ", "xz", "xzcat"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstdcat"),
    (b"BZh", "bzip2", "bzcat"),
    (b"PK\x03\x04", "zip", "unzip -p"),
)
_WIDE = (
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAMPLE = 200


def run(arguments: argparse.Namespace) -> int:
    """Print a page for one code, a list for several with the page of the likely root."""
    explanation = _explanation(arguments.code, arguments.file or ())
    seen = explainhost.look(arguments.host, explanation.items)
    releases = with_kernel(explanation.releases, seen.machine.kernel.release if seen.machine else "")
    if arguments.output != "text":
        items = [explainview.item(one) for one in explanation.items]
        about = explainview.unknown_document(explanation.unknown) if explanation.unknown else None
        here = [explainview.device_document(one) for one in seen.devices]
        emit(
            document("Explanations", items=items, unknown=about, here=here, releases=[*map(str, releases)]),
            arguments.output,
        )
        return ExitCode.UNKNOWN if explanation.unknown else ExitCode.DONE
    if explanation.unknown:
        raise _unknown(explanation.unknown)
    screen = Screen.of(arguments.color)
    explainview.show(screen, explanation.items, releases)
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
        return _text_of(output.open_input(), "standard input")
    try:
        with Path(name).open("rb") as file:
            return _text_of(file, name)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("no-input", f"cannot be read: {why}", subject=name[:200]) from None


def _text_of(file: BinaryIO, name: str) -> str:
    """The beginning and the end; of what is between the lines are counted, so that the others keep their numbers."""
    first = file.read(_FIRST)
    _check_readable(first, name)
    encoding = _encoding(first)
    text = first.decode(encoding, errors="replace")
    if len(first) < _FIRST:
        return text
    rest: deque[bytes] = deque()
    lines = skipped = 0
    while step := file.read(_STEP):
        rest.append(step)
        if len(rest) > _LAST // _STEP:
            left_out = rest.popleft()
            skipped += len(left_out)
            lines += left_out.count(b"\n")
    if skipped:
        size = f"{max(skipped // _STEP, 1)} MiB in the middle"
        output.note(f"note: {name[:200]}: {size} were not read; give the part around the failure to have it looked at")
    return text + "\n" * lines + b"".join(rest).decode(encoding, errors="replace")


def _check_readable(data: bytes, name: str) -> None:
    packed = next(((kind, program) for start, kind, program in _PACKED if data.startswith(start)), None)
    if packed:
        how = f"`{packed[1]} FILE | passgate explain` unpacks it"
        raise BadInput("no-input", f"is packed with {packed[0]}, and no text", hint=how, subject=name[:200])
    text = data[:_STEP].decode(_encoding(data), errors="replace")
    if text.count("\ufffd") > len(text) // 5:
        raise BadInput("no-input", "is no text", hint="give a log, or a message", subject=name[:200])


def _encoding(data: bytes) -> str:
    """UTF-8, or what Windows writes, which not always says so."""
    marked = next((wide for mark, wide in _WIDE if data.startswith(mark)), "")
    sample = data[:_SAMPLE]
    if marked and sample.count(0) > len(sample) // 4:
        return marked
    if b"\0" in sample:
        whole = sample[: len(sample) // 4 * 4]
        return next((wide for _, wide in _WIDE if _is_text(whole, wide)), "utf-8")
    return "utf-8"


def _is_text(data: bytes, encoding: str) -> bool:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return bool(text) and sum(letter.isascii() and (letter.isprintable() or letter.isspace()) for letter in text) > (
        len(text) * 3 // 4
    )
