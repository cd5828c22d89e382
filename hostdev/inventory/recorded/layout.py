"""Opens hosts: a root directory, or a recorded machine; and lays such a one out as a directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domxml.errors import BadInput, HostUnreadable, about_file
from hostdev.inventory.host import Host
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.memory import RecordedHost
from hostdev.inventory.recorded.recording import File, Link, Names, Recording, ancestors
from hostdev.printing import output

SUFFIX = ".toml"
MAX_SIZE = 64 << 20


@contextmanager
def open_host(spec: str | os.PathLike[str]) -> Iterator[Host]:
    """The host at a root directory, or of a recorded machine."""
    if not os.fspath(spec):
        raise BadInput("no-machine", "an empty name names no host", hint=_HINT)
    path = Path(spec)
    piped = str(spec) == output.STANDARD_INPUT
    if not piped and (path.suffix != SUFFIX or _is_directory(path)):
        with Host(path, source=str(spec)) as host:
            yield host
        return
    with about_file(str(spec)):
        recording = toml.parse(_piped() if piped else read_recording(path))
    yield RecordedHost(recording, source=_PIPE if piped else str(spec))


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


def read_recording(path: Path, most: int = MAX_SIZE) -> str:
    """The text of a recording, if it is a file and not larger than that."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise BadInput("bad-recording", "is no regular file", subject=str(path), hint=_HINT)
        if status.st_size > most:
            raise BadInput("bad-recording", f"is larger than {most >> 20} MiB", subject=str(path), hint=_HINT)
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput("no-machine", "there is no such file", subject=str(path), hint=_HINT) from None
    except UnicodeDecodeError:
        raise BadInput("bad-recording", "is not UTF-8 text", subject=str(path), hint=_HINT) from None
    except OSError as error:
        raise BadInput("bad-recording", f"cannot be read: {error.strerror}", subject=str(path), hint=_HINT) from None


_PIPE = "standard input"
_HINT = "give a directory that holds sys/, or what `passgate node snapshot` wrote"
