"""The name that an image gets in its archive: without one containerd loads nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.house import ROOT

LAYER = b"a layer \x00\xff"
BLOB = "blobs/sha256/00"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """As buildah leaves it."""
    index = {"schemaVersion": 2, "manifests": [{"digest": "sha256:00", "size": 7, "annotations": {"kept": "yes"}}]}
    files = {"index.json": json.dumps(index).encode(), BLOB: LAYER, "oci-layout": b"{}"}
    path = tmp_path / "image.tar"
    with tarfile.open(path, "w") as made:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


def named(archive: Path, name: str) -> dict[str, Any]:
    """The manifest in the index, after the script."""
    subprocess.run([sys.executable, str(ROOT / "deploy/image/naming.py"), str(archive), name], check=True)
    with tarfile.open(archive) as made:
        assert made.extractfile(BLOB).read() == LAYER  # type: ignore[union-attr]
        index = json.loads(made.extractfile("index.json").read())  # type: ignore[union-attr]
    assert sorted(path.name for path in archive.parent.iterdir()) == [archive.name]
    (found,) = index["manifests"]
    return dict(found)


def test_containerd_and_podman_find_the_name(archive: Path) -> None:
    name = "localhost/passgate-hook:1"
    for _ in range(2):
        found = named(archive, name)

        names = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
        assert found["annotations"] == {"kept": "yes"} | names
        assert (found["digest"], found["size"]) == ("sha256:00", 7)


def test_it_is_the_name_that_the_page_tells() -> None:
    assert 'naming.py "$archive" "localhost/passgate-$target:$version"' in (ROOT / "tools/image").read_text()
    page = (ROOT / "deploy/README.md").read_text()

    assert all(f"`localhost/passgate-{target}:VERSION`" in page for target in ("hook", "node"))
