"""Files of claims: whole at every moment, in place where containers have them mounted, and errors as sentences."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from hooksidecar.claims.files import LARGEST, overwrite_file, read_file, remove_directory, write_file
from hostdev.claims.metadata import render_metadata
from tests.hooksidecar.claims.node import REF, Node, cards, claim, names
from tests.hostdev.kubelet.claims import DRIVER, record, unit

(FIRST,) = names(cards(0x3D))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    found = Node(tmp_path, cards(0x3D))
    found.api.put(claim(FIRST))
    return found


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "the file system is full: make room there"),
        (errno.EROFS, "it is mounted read-only"),
        (errno.EIO, "the disk fails"),
        (errno.EACCES, "the driver must be root"),
        (errno.EUCLEAN, "see `df` and `mount`"),
    ],
)
def test_what_cannot_be_written_is_told_with_its_path_and_what_to_do(
    node: Node, mocker: Any, number: int, hint: str
) -> None:
    mocker.patch("hooksidecar.claims.files.os.open", autospec=True, side_effect=OSError(number, os.strerror(number)))

    sentence = node.refusal()

    assert sentence.startswith(f"claim-state-unwritable: {node.kubelet_dir}/plugins/{DRIVER}/claims/{REF.uid}.json")
    assert f"cannot be written: {os.strerror(number)}" in sentence
    assert hint in sentence or sentence.endswith("…")
    mocker.stopall()
    assert node.prepare()


def test_a_file_that_outgrows_its_room_leaves_nothing_half(node: Node) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        sentence = node.refusal()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)

    assert "cannot be written: File too large" in sentence
    assert node.files() == {}
    assert node.prepare()


@pytest.mark.parametrize("place", ["cdi", f"kubelet/plugins/{DRIVER}/claims", "kubelet/plugins"])
def test_something_else_in_the_place_of_a_directory_is_told_and_the_claim_can_be_undone(node: Node, place: str) -> None:
    path = node.kubelet_dir.parent / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("no directory")

    assert "claim-state-unwritable" in node.refusal()
    assert node.unprepare() is None
    path.unlink()
    assert node.prepare()


def test_what_cannot_be_removed_is_told_and_nothing_is_forgotten(node: Node, mocker: Any) -> None:
    node.prepare()
    before = node.files()
    mocker.patch("hooksidecar.claims.files.os.unlink", autospec=True, side_effect=OSError(errno.EIO, "I/O error"))

    sentence = node.unprepare()

    assert sentence is not None
    assert "cannot be removed: I/O error: the disk fails" in sentence
    assert node.files() == before
    mocker.stopall()
    assert node.unprepare() is None
    assert node.files() == {}


def test_what_a_container_has_mounted_is_rewritten_in_place(node: Node) -> None:
    node.prepare()
    (before,) = node.store.read_all().records
    path = next(node.kubelet_dir.rglob("metadata.json"))
    inode = path.stat().st_ino
    renewed = before._replace(generation=2)

    node.store.provide(renewed)

    assert path.stat().st_ino == inode
    assert path.read_bytes() == render_metadata(renewed, "gpu")


@pytest.mark.parametrize("new", [b'{"a": 1}', b'{"a": 1, "longer": "than it was before"}'])
def test_between_the_write_and_the_new_length_a_file_can_be_read(tmp_path: Path, mocker: Any, new: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"before": "as long as this"}')
    mocker.patch("hooksidecar.claims.files.os.ftruncate", autospec=True, side_effect=OSError(errno.EIO, "x"))

    with pytest.raises(OSError, match="x"):
        overwrite_file(str(path), new, padding=b"\n")

    assert path.read_bytes().rstrip(b"\n") == new


def test_modes_are_those_that_readers_need_whatever_the_umask(node: Node) -> None:
    before = os.umask(0o077)
    try:
        node.prepare()
    finally:
        os.umask(before)

    modes = {path.suffix + path.parent.name: path.stat().st_mode & 0o777 for path in node.kubelet_dir.rglob("*.json")}
    assert modes == {".jsonclaims": 0o600, ".jsongpu": 0o644}
    assert next(node.cdi_dir.iterdir()).stat().st_mode & 0o777 == 0o644


def test_nothing_but_a_plain_file_is_read_or_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST + 1))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(outside)

    assert [read_file(str(tmp_path / name)) for name in ("fifo", "link", "large", "none", "fifo/x")] == [None] * 5
    assert remove_directory(str(inside))
    assert (outside / "kept").exists()
    assert not remove_directory(str(inside))
    write_file(str(tmp_path / "link"), b"new", 0o600)
    assert not (tmp_path / "link").is_symlink()


def test_a_metadata_file_of_no_claim_is_replaced(node: Node) -> None:
    node.prepare()
    path = next(node.kubelet_dir.rglob("metadata.json"))
    whole = path.read_bytes()
    path.write_bytes(whole[:50])

    node.prepare()

    assert path.read_bytes() == whole
    assert render_metadata(record(unit()), "gpu") != whole
