"""Lays a recorded machine out as a directory, so that the same scan runs on it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from domxml.errors import BadInput, HostUnreadable, about_file
from hostdev.inventory.host import Host
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import File, Link, Names, Recording, ancestors
from hostdev.printing import output

SUFFIX = ".toml"
MAX_SIZE = 64 << 20

_MEMORY = "/dev/shm"  # noqa: S108  # TemporaryDirectory makes a directory of our own in it
_PAGES_EACH = 4 * 4096
"""A file, and its share of directories and of names that nothing stands in."""


@contextmanager
def open_host(spec: str | os.PathLike[str]) -> Iterator[Host]:
    """The host at a root directory, or of a recorded machine, which is laid out for as long as it is needed."""
    if not os.fspath(spec):
        raise BadInput("no-machine", "an empty name names no host", hint=_HINT)
    path = Path(spec)
    piped = str(spec) == output.STANDARD_INPUT
    if not piped and (path.suffix != SUFFIX or _is_directory(path)):
        with Host(path, source=str(spec)) as host:
            yield host
        return
    with about_file(str(spec)):
        recording = toml.parse(_piped() if piped else _content(path))
    with _scratch(len(recording.entries)) as directory:
        write(recording, Path(directory))
        with Host(directory, source=_PIPE if piped else str(spec), unreadable=recording.unreadable) as host:
            yield host


def lay_out(text: str, directory: str | os.PathLike[str]) -> Recording:
    """Make a recorded machine's files in an empty directory."""
    recording = toml.parse(text)
    write(recording, Path(directory))
    return recording


def write(recording: Recording, directory: Path) -> None:
    """Make the files of a recording in an empty directory, from which nothing leads out."""
    recording.check()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            raise BadInput("directory-not-empty", "a machine is laid out in an empty directory", subject=str(directory))
        (directory / "sys").mkdir()
        _write(recording, directory)
    except OSError as error:
        raise HostUnreadable(
            "not-laid-out", f"cannot make the machine's files: {error.strerror}", subject=str(error.filename)
        ) from None


def _write(recording: Recording, directory: Path) -> None:
    entries = recording.entries
    places = {path for path, entry in entries.items() if isinstance(entry, Names)}
    for place in sorted(places.union(*map(ancestors, entries))):
        (directory / place).mkdir(exist_ok=True)
        places.add(place)
    links: dict[str, str] = {}
    for path, entry in entries.items():
        if isinstance(entry, File):
            _make(f"{directory}/{path}", entry.content)
        elif isinstance(entry, Link):
            links[path] = entry.target
        elif isinstance(entry, Names):
            # What has only a name becomes an empty file.
            for bare in {f"{path}/{name}" for name in entry.names} - places - entries.keys():
                _make(f"{directory}/{bare}", b"")
    # Links come last: nothing is ever written through one.
    for path, target in links.items():
        (directory / path).symlink_to(target)


def _make(place: str, content: bytes) -> None:
    with Path(place).open("xb") as file:
        file.write(content)


def _scratch(entries: int) -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="passgate-", dir=_memory(entries * _PAGES_EACH))
    except OSError as error:
        raise HostUnreadable("not-laid-out", f"no temporary directory: {error.strerror}") from None


def _memory(needed: int) -> str | None:
    """The file system in memory, if there is one with room: thousands of small files take ten times as long on disk."""
    try:
        room = os.statvfs(_MEMORY)
    except OSError:
        return None
    roomy = room.f_bavail * room.f_frsize > needed and os.access(_MEMORY, os.W_OK | os.X_OK)
    return _MEMORY if roomy else None


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _piped() -> str:
    data = output.read_input(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise BadInput("bad-recording", f"is larger than {MAX_SIZE >> 20} MiB", subject=_PIPE, hint=_HINT)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadInput("bad-recording", "is not UTF-8 text", subject=_PIPE, hint=_HINT) from None


def _content(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput("bad-recording", "is no regular file", subject=str(path), hint=_HINT)
        if status.st_size > MAX_SIZE:
            raise BadInput("bad-recording", f"is larger than {MAX_SIZE >> 20} MiB", subject=str(path), hint=_HINT)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no-machine", "there is no such file", subject=str(path), hint=_HINT) from None
    except UnicodeDecodeError:
        raise BadInput("bad-recording", "is not UTF-8 text", subject=str(path), hint=_HINT) from None
    except OSError as error:
        raise BadInput("bad-recording", f"cannot be read: {error.strerror}", subject=str(path), hint=_HINT) from None


_PIPE = "standard input"
_HINT = "give a directory that holds sys/, or what `passgate node snapshot` wrote"
