from __future__ import annotations

import gzip
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.vmhost import initramfs

FILES = {"init": b"#!/bin/sh\n", "lib/modules/one.ko": b"odd", "lib/modules/two.ko": b""}


def test_an_archive_unpacks_to_what_was_put_in(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed: apt-get install cpio")
    command = ["cpio", "--extract", "--quiet"]

    subprocess.run(command, cwd=tmp_path, input=initramfs.archive(FILES), check=True)

    assert {name: (tmp_path / name).read_bytes() for name in FILES} == FILES
    assert all((tmp_path / name).stat().st_mode & 0o777 == 0o755 for name in FILES)
    assert {path.name for path in tmp_path.iterdir()} == {"init", "lib", "dev", "proc", "root", "sys"}


def test_the_kernel_is_found_by_the_header_of_its_image() -> None:
    setup_sectors, gap = 3, 100
    packed = gzip.compress(b"\x7fELF kernel")
    image = bytearray((setup_sectors + 1) * 512 + gap)
    image[0x1F1] = setup_sectors
    struct.pack_into("<II", image, 0x248, gap, len(packed) + 4)

    found = initramfs.compressed_kernel(bytes(image) + packed + b"size and more")

    assert gzip.decompress(found) == b"\x7fELF kernel"
