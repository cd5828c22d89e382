"""The edge where files are read: bounded, and never waiting for somebody who may not come."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Timer

import pytest

from domxml.errors import BadInput
from hostdev.inject.gather import MAX_BYTES, read_file


def test_a_pipe_is_read_to_its_end() -> None:
    """As a shell hands over `<(kubectl get vmi …)`, whose output takes its time."""
    read, write = os.pipe()
    later = [Timer(0.1, os.write, (write, b"one")), Timer(0.2, os.write, (write, b"two"))]
    for timer in (*later, Timer(0.3, os.close, (write,))):
        timer.start()

    assert read_file(f"/dev/fd/{read}") == b"onetwo"
    os.close(read)


def test_a_fifo_into_which_nobody_writes_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    assert read_file(str(tmp_path / "fifo")) == b""


def test_no_more_is_read_than_makes_sense() -> None:
    with pytest.raises(BadInput, match=f"it has more than {MAX_BYTES} bytes"):
        read_file("/dev/zero")


@pytest.mark.parametrize(("name", "says"), [("absent", "No such file or directory"), ("", "Is a directory")])
def test_what_cannot_be_read_is_told(name: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        read_file(str(tmp_path / name))

    assert caught.value.subject == str(tmp_path / name)
