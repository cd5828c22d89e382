"""Asking kubelet's PodResources API, over a real socket."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from domxml.errors import BadInput, HostUnreadable
from hostdev.kubelet.podresources import Listing, PodClaim, PodDevices, list_podresources
from tests.hooksidecar.agent.podresources import PodResources, pod
from tests.hostdev.kubelet.recorded import ANSWERS, CLAIMS


@pytest.fixture
def api() -> Iterator[PodResources]:
    base = Path(tempfile.mkdtemp(prefix="kl-"))
    (base / "pod-resources").mkdir()
    with PodResources(base) as serving:
        yield serving
    shutil.rmtree(base)


def test_each_container_and_resource_is_an_entry(api: PodResources) -> None:
    api.has(pod("vm-a", "a.b/c", "0000:3d:02.1", "0000:3d:02.2", numa=1), pod("vm-b", "d/e", "43", container="x"))

    devices = (
        PodDevices("vms", "vm-a", "compute", "a.b/c", ("0000:3d:02.1", "0000:3d:02.2"), (1,)),
        PodDevices("vms", "vm-b", "x", "d/e", ("43",), (0,)),
    )
    assert list_podresources(str(api.path)) == Listing(devices)


def test_a_node_without_pods(api: PodResources) -> None:
    assert list_podresources(str(api.path)) == Listing()


def test_more_than_grpc_takes_by_itself(api: PodResources) -> None:
    api.has(*(pod("vm" * 500, "a.b/c", "0000:3d:02.1") for _ in range(6000)))

    assert len(list_podresources(str(api.path)).devices) == 6000


def test_an_answer_that_is_none(api: PodResources) -> None:
    api.answer = b"\x0a\xff"

    with pytest.raises(HostUnreadable, match="cannot be read"):
        list_podresources(str(api.path))


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(HostUnreadable, match="no such socket") as refused:
        list_podresources(str(tmp_path / "kubelet.sock"))

    assert refused.value.code == "podresources-unreachable"
    assert "whether kubelet runs" in refused.value.hint


def test_a_directory_that_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(HostUnreadable, match="no such socket") as refused:
        list_podresources(str(tmp_path / "pod-resources" / "kubelet.sock"))

    assert "mount" in refused.value.hint


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "100 calls a second"),
        (grpc.StatusCode.UNAVAILABLE, "whether kubelet runs"),
        (grpc.StatusCode.UNIMPLEMENTED, "older"),
        (grpc.StatusCode.INTERNAL, "whether kubelet runs"),
    ],
)
def test_an_answer_that_is_an_error(api: PodResources, status: grpc.StatusCode, hint: str) -> None:
    api.status = status

    with pytest.raises(
        HostUnreadable, match=f"does not answer: {status.name}|nothing answers at its socket"
    ) as refused:
        list_podresources(str(api.path))

    assert hint in refused.value.hint


@pytest.mark.parametrize("recorded", sorted(ANSWERS))
def test_claims_as_a_real_kubelet_lists_them(api: PodResources, recorded: str) -> None:
    api.answer = ANSWERS[recorded]

    assert list_podresources(str(api.path)) == CLAIMS[recorded]
    assert len(CLAIMS[recorded].claims) == (2 if recorded == "dra-shared" else 1)


def test_what_a_claim_is() -> None:
    devices = ("units.lab.dev/vm/unit-0000-3d-00-0",)

    assert CLAIMS["dra-extended"].claims == (
        PodClaim("default", "ext", "compute", "ext-extended-resources-h8xzc", devices),
    )
    assert {claim.devices for claim in CLAIMS["dra-shared"].claims} == {devices}
    assert len(CLAIMS["dra-count-2"].claims[0].devices) == 2


def test_a_socket_that_kubelet_left(api: PodResources) -> None:
    api.path.unlink()
    api.path.touch()

    with pytest.raises(HostUnreadable, match="nothing answers at its socket"):
        list_podresources(str(api.path))


def test_a_path_that_no_socket_can_have(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120)
    path.touch()

    with pytest.raises(BadInput, match="107 bytes"):
        list_podresources(str(path))
