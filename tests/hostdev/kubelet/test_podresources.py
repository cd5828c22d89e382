"""Asking kubelet's PodResources API, over a real socket."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from domxml.errors import BadInput, HostUnreadable
from hostdev.kubelet.podresources import PodDevices, list_podresources
from tests.hooksidecar.agent.podresources import PodResources, pod


@pytest.fixture
def api() -> Iterator[PodResources]:
    base = Path(tempfile.mkdtemp(prefix="kl-"))
    (base / "pod-resources").mkdir()
    with PodResources(base) as serving:
        yield serving
    shutil.rmtree(base)


def test_each_container_and_resource_is_an_entry(api: PodResources) -> None:
    api.has(pod("vm-a", "a.b/c", "0000:3d:02.1", "0000:3d:02.2", numa=1), pod("vm-b", "d/e", "43", container="x"))

    assert list_podresources(str(api.path)) == (
        PodDevices("vms", "vm-a", "compute", "a.b/c", ("0000:3d:02.1", "0000:3d:02.2"), (1,)),
        PodDevices("vms", "vm-b", "x", "d/e", ("43",), (0,)),
    )


def test_a_node_without_pods(api: PodResources) -> None:
    assert list_podresources(str(api.path)) == ()


def test_more_than_grpc_takes_by_itself(api: PodResources) -> None:
    api.has(*(pod("vm" * 500, "a.b/c", "0000:3d:02.1") for _ in range(6000)))

    assert len(list_podresources(str(api.path))) == 6000


def test_an_answer_that_is_none(api: PodResources) -> None:
    api.answer = b"\x0a\xff"

    with pytest.raises(HostUnreadable, match="cannot be read"):
        list_podresources(str(api.path))


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(HostUnreadable, match="no such socket") as refused:
        list_podresources(str(tmp_path / "kubelet.sock"))

    assert refused.value.code == "podresources-unreachable"
    assert refused.value.hint


def test_a_socket_that_kubelet_left(api: PodResources) -> None:
    api.path.unlink()
    api.path.touch()

    with pytest.raises(HostUnreadable, match="does not answer: UNAVAILABLE"):
        list_podresources(str(api.path))


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120)
    path.touch()

    with pytest.raises(BadInput, match="107 bytes"):
        list_podresources(str(path))
