"""Lays a recorded machine out as a directory, so that the same scan runs on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from domxml.errors import BadInput, HostUnreadable
from hostdev.host import Host
from hostdev.recorded import toml
from hostdev.recorded.recording import File, Link, Names, Recording

SUFFIX = ".toml"
MAX_SIZE = 64 << 20


@contextmanager
def open_host(spec: str | os.PathLike[str]) -> Iterator[Host]:
    """The host at a root directory, or of a recorded machine, which is laid out for as long as it is needed."""
    path = Path(spec)
    if path.suffix != SUFFIX or path.is_dir():
        with Host(path, source=str(spec)) as host:
            yield host
        return
    recording = toml.parse(_content(path))
    with _scratch() as directory:
        write(recording, Path(directory))
        with Host(directory, source=str(spec), unreadable=recording.unreadable) as host:
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
    links = {path: entry.target for path, entry in recording.entries.items() if isinstance(entry, Link)}
    for path, entry in recording.entries.items():
        place = directory / path
        if isinstance(entry, File):
            _parent(place).write_bytes(entry.content)
        elif isinstance(entry, Names):
            place.mkdir(parents=True, exist_ok=True)
    # What has only a name becomes an empty file, unless it is the directory of something else.
    for path, entry in recording.entries.items():
        for name in entry.names if isinstance(entry, Names) else ():
            place = directory / path / name
            if f"{path}/{name}" not in links and not place.exists():
                place.touch()
    # Links come last: nothing is ever written through one.
    for path, target in links.items():
        _parent(directory / path).symlink_to(target)


def _parent(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _scratch() -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="passgate-")
    except OSError as error:
        raise HostUnreadable("not-laid-out", f"no temporary directory: {error.strerror}") from None


def _content(path: Path) -> str:
    if not path.exists():
        raise BadInput("no-machine", "there is no such file", subject=str(path), hint=_HINT)
    if not path.is_file():
        raise BadInput("bad-recording", "is no regular file", subject=str(path), hint=_HINT)
    try:
        if path.stat().st_size > MAX_SIZE:
            raise BadInput("bad-recording", f"is larger than {MAX_SIZE >> 20} MiB", subject=str(path), hint=_HINT)
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadInput("bad-recording", "is not UTF-8 text", subject=str(path), hint=_HINT) from None
    except OSError as error:
        raise BadInput("bad-recording", f"cannot be read: {error.strerror}", subject=str(path), hint=_HINT) from None


_HINT = "give a directory that holds sys/, or what `passgate node snapshot` wrote"
