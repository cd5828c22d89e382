"""A dump on the disk: read whatever lies there, within bounds; written whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from domxml.errors import BadInput, NotPermitted
from domxml.text import printable
from hostdev.printing import output
from hostdev.why.dump import LARGEST, File, index_file, read_dump
from hostdev.why.evidence import Evidence, Gap
from hostdev.why.redaction import Redaction

MOST_FILES = 2000
MOST_BYTES = 256 << 20
_PACKED = (".gz", ".tgz", ".xz", ".zip", ".tar", ".bz2", ".zst")


def read_files(name: str) -> Evidence:
    """Everything in a directory, or in one file; - is standard input."""
    if name == output.STANDARD_INPUT:
        return read_dump("standard input", [File("standard input", output.read_input(LARGEST + 1))])
    unread: list[tuple[str, str]] = []
    path = Path(name)
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInput("no-input", f"cannot be read: {why}", subject=printable(name, 200)) from None
    found = _below(path, unread) if is_directory else [path]
    base = path if is_directory else path.parent
    evidence = read_dump(printable(name, 200), list(_contents(found, base, unread)), ())
    if not is_directory and unread:
        raise BadInput("no-input", unread[0][1], subject=printable(name, 200))
    return evidence._replace(unread=(*unread, *evidence.unread))


def _below(directory: Path, unread: list[tuple[str, str]]) -> list[Path]:
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        unread.append((str(error.filename), error.strerror or "cannot be read"))

    for folder, folders, names in os.walk(directory, onerror=refuse):
        folders[:] = sorted(one for one in folders if one != ".git")
        found += (Path(folder, name) for name in sorted(names))
        if len(found) > MOST_FILES:
            unread.append((str(directory), f"has more than {MOST_FILES} files: the rest was not looked at"))
            return found[:MOST_FILES]
    return found


def _contents(paths: Sequence[Path], base: Path, unread: list[tuple[str, str]]) -> Iterator[File]:
    left = MOST_BYTES
    for path in paths:
        name = str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
        if name.endswith(_PACKED):
            unread.append((name, "is packed: unpack it first"))
            continue
        try:
            data = _read(path)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            unread.append((name, why or "cannot be read"))
            continue
        left -= len(data)
        if left < 0:
            unread.append((name, f"the dump has more than {MOST_BYTES >> 20} MiB: the rest was not looked at"))
            return
        yield File(name, data)


def _read(path: Path) -> bytes:
    # A FIFO into which nothing writes would make us wait for ever, and a device has no end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("is no file")
        return file.read(LARGEST + 1)


def check_free(name: str) -> Path:
    """The place of a new dump: nothing is ever overwritten."""
    target = Path(name)
    if os.path.lexists(target):
        hint = "name a directory that is not there yet"
        raise BadInput(
            "already-there", "is there already, and nothing is overwritten", subject=printable(name, 200), hint=hint
        )
    if not target.absolute().parent.is_dir():
        raise BadInput("no-directory", "the directory above it is not there", subject=printable(name, 200))
    return target.absolute()


def write_files(target: Path, evidence: Evidence, files: Sequence[File]) -> list[str]:
    """Write a dump without secrets, and tell what was left out."""
    redaction = Redaction()
    cleaned = [redaction.clean(file) for file in files]
    gaps = [Gap(gap.what, redaction.clean_text(gap.why)) for gap in evidence.gaps]
    told = redaction.told()
    cleaned.append(index_file(evidence.asked, gaps, told))
    try:
        _write(target, cleaned)
    except OSError as error:
        what = f"cannot be written: {error.strerror}"
        raise NotPermitted("not-written", what, subject=printable(str(target), 200)) from None
    return told


def _write(target: Path, files: Sequence[File]) -> None:
    """Beside it first: what is there under its name is whole."""
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent))
    try:
        for file in files:
            path = draft / file.name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(file.data)
        # A directory of that name that is empty would be replaced without a word.
        check_free(str(target))
        draft.rename(target)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(draft)
        raise
