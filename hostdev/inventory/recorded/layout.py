"""Opens hosts: a root directory, or a recorded machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domxml.errors import BadInput, about_file
from hostdev.argumentparser import STANDARD_INPUT
from hostdev.inventory.host import Host

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".toml"
MAX_SIZE = 64 << 20


@contextmanager
def open_host(spec: str | os.PathLike[str]) -> Iterator[Host]:
    """The host at a root directory, or of a recorded machine."""
    name = os.fspath(spec)
    if not name:
        raise BadInput("no-machine", "an empty name names no host", hint=_HINT)
    piped = name == STANDARD_INPUT
    if not piped and (os.path.splitext(name.rstrip("/"))[1] != SUFFIX or os.path.isdir(name)):  # noqa: PTH112, PTH122
        with Host(name, source=name) as host:
            yield host
        return
    yield _recorded(name, piped=piped)


def _recorded(name: str, *, piped: bool) -> Host:
    from pathlib import Path  # noqa: PLC0415  a sidecar looks at the machine that it is on, and needs none of these

    from hostdev.inventory.recorded import toml  # noqa: PLC0415
    from hostdev.inventory.recorded.memory import RecordedHost  # noqa: PLC0415

    with about_file(name):
        recording = toml.parse(_piped() if piped else read_recording(Path(name)))
    return RecordedHost(recording, source=_PIPE if piped else name)


def _piped() -> str:
    from hostdev.printing import output  # noqa: PLC0415  seldom

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
