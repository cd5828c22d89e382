"""Kubelet's directory: what lies in it is read, and never waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from domxml.errors import BadInput
from hostdev.kubelet.checkpoint import FILE, MAX_BYTES, is_another_boot, parse
from hostdev.kubelet.directory import PODS, list_pods, read_checkpoint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / FILE
    path.parent.mkdir()
    return path


def test_the_file_as_it_is_now(file: Path, tmp_path: Path) -> None:
    for content in (b"one", b""):
        file.write_bytes(content)
        assert read_checkpoint(str(tmp_path)) == content


def test_a_pipe_in_its_place_is_not_waited_for(file: Path, tmp_path: Path) -> None:
    os.mkfifo(file)

    assert read_checkpoint(str(tmp_path)) == b""


def test_a_file_that_is_too_long_is_refused_and_not_kept(file: Path, tmp_path: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(MAX_BYTES * 4)

    data = read_checkpoint(str(tmp_path))

    assert len(data) == MAX_BYTES + 1
    with pytest.raises(BadInput):
        parse(data)


def test_pods_by_their_directories(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_pods(str(tmp_path))

    (tmp_path / PODS / "a-uid").mkdir(parents=True)

    assert list_pods(str(tmp_path)) == {"a-uid"}


@pytest.mark.parametrize(
    ("written", "here", "differ"),
    [("a", "a", False), ("A\n", "a", False), ("a", "b", True), ("", "b", False), ("a", "", False)],
)
def test_boots_differ_where_both_are_known(written: str, here: str, *, differ: bool) -> None:
    assert is_another_boot(written, here) is differ
