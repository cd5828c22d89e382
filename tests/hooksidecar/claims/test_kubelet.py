"""Claims of pods, from the double of kubelet to what their containers have, through every restart."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hooksidecar.claims.server import DraServer
from hooksidecar.claims.source import ClaimRef, DeviceHealth
from hostdev.kubelet.drastate import read_claims
from tests.hooksidecar.claims.node import AWAY, FIRST, GONE, Node, cards
from tests.hostdev.kubelet.claims import DRIVER
from tests.kubelet.claimnodes import with_claim
from tests.kubelet.cluster import Objects, claim_object
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import Pod
from tests.kubelet.times import QUICK

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

ADDRESSES = "0000:3d:00.0,0000:3d:00.1"


class Healthy:
    """Says nothing of any device."""

    def devices(self) -> Sequence[DeviceHealth]:
        return ()


class World:
    """A kubelet, its cluster, and a driver that comes and goes."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.node = Node(directory)
        self.cluster = Objects()
        root = directory / "root"
        for name in ("vfio", *(str(number) for number in (0x3D, 0x3E))):
            self._make(root / "dev/vfio" / name)
        for number in (0x3D, 0x3E):
            for half in (0, 1):
                self._make(root / f"dev/vfio/devices/vfio{2 * number + half}")
        # The runtime sees the host's directories: what it mounts, and where it finds CDI files.
        (root / "var/run").mkdir(parents=True)
        (root / "var/run/cdi").symlink_to(self.node.cdi_dir)
        (root / str(directory.parent).lstrip("/")).mkdir(parents=True)
        (root / str(directory).lstrip("/")).symlink_to(directory)
        made = Kubelet(self.node.kubelet_dir, times=QUICK, root=str(root), cluster=self.cluster)
        self.kubelet = stack.enter_context(made)
        self.end: Callable[[], None]
        """Ends the driver's process."""

    @staticmethod
    def _make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def serve(self) -> None:
        """A process of the driver: it sweeps, and answers."""
        self.node.start()
        server = DraServer(str(self.node.kubelet_dir), DRIVER, self.node.preparer, Healthy())
        server.start()
        self.end = server.close
        self.wait(lambda: self.kubelet.claims.drivers.is_connected(DRIVER), "the driver is known")

    def wait(self, condition: Callable[[], object], what: str = "") -> None:
        self.kubelet.wait(condition, what)

    def pod(self, name: str = "vm", device: str = FIRST, others: dict[str, str] | None = None) -> Pod:
        pod = with_claim(name)
        claim: Any = claim_object("c", "uid-c", {name: pod.uid, **(others or {})}, f"gpu={device}", driver=DRIVER)
        self.cluster.add(claim)
        self.node.api.put(claim, REF)
        return self.kubelet.create(pod, bound=True)

    def run(self, name: str = "vm") -> Pod:
        pod = self.pod(name)
        self.wait(lambda: pod.running, f"{name} runs")
        return pod


REF = ClaimRef("default", "uid-c", "c")


@pytest.fixture
def world(kubelet_dir: Path) -> Iterator[World]:
    with ExitStack() as stack:
        found = World(kubelet_dir / "n", stack)
        found.serve()
        yield found
        found.end()


def test_a_container_has_the_whole_unit_and_is_told_of_it(world: World) -> None:
    container = world.run().container()

    assert container.environment == {"PCI_RESOURCE_EXAMPLE_COM_GPU": ADDRESSES}
    assert {node.container_path for node in container.devices} == {
        "/dev/vfio/vfio",
        "/dev/vfio/61",
        "/dev/vfio/devices/vfio122",
        "/dev/vfio/devices/vfio123",
    }
    (mount,) = container.mounts
    assert mount.container_path.endswith(f"/resourceclaims/c/gpu/{DRIVER}-metadata.json")
    assert b"0000:3d:00.0" in Path(mount.host_path).read_bytes()


def test_a_pod_waits_with_a_sentence_until_its_device_can_be_given(world: World) -> None:
    world.node.machine = cards(0x3E)
    pod = world.pod()
    world.wait(lambda: pod.events, "it waits")

    assert f"claim-unit-unavailable: device {FIRST}: claim default/c: this node offers no such" in pod.events[0].message
    world.node.machine = cards(0x3D, 0x3E)
    world.wait(lambda: pod.running, "it runs")


def test_every_restart_leaves_a_pod_its_devices(world: World) -> None:
    pod = world.run()
    files = world.node.files()
    world.node.api.put(AWAY, REF)

    world.end()
    world.serve()
    assert world.node.sweep.run() == ()
    world.kubelet.restart()
    world.kubelet.kill_sandbox(pod)
    world.wait(lambda: pod.container().starts == 2 and pod.running, "it runs again")

    assert world.node.files() == files
    assert pod.container().environment == {"PCI_RESOURCE_EXAMPLE_COM_GPU": ADDRESSES}


def test_a_container_that_restarts_finds_files_that_were_lost_and_mended(world: World) -> None:
    pod = world.run()
    shutil.rmtree(world.node.cdi_dir)
    world.node.cdi_dir.mkdir()

    assert world.node.sweep.run() == ()
    world.kubelet.crash(pod)
    world.wait(lambda: pod.container().starts == 2 and pod.running, "it runs again")


def test_a_pod_that_is_deleted_by_force_while_the_driver_is_away_leaves_nothing(world: World) -> None:
    pod = world.run()
    world.end()
    world.kubelet.delete(pod, force=True)
    world.cluster.remove("c")
    world.node.api.put(GONE, REF)
    assert [held.uid for held in read_claims(str(world.node.kubelet_dir))] == ["uid-c"]

    world.serve()

    world.wait(lambda: not world.node.files(), "nothing is left")
    world.wait(lambda: not read_claims(str(world.node.kubelet_dir)), "kubelet holds nothing")
    assert world.node.sweep.run() == ()


def test_a_claim_of_two_pods_is_given_back_after_the_last(world: World) -> None:
    first = world.run()
    second = world.pod("second", others={"vm": first.uid})
    world.wait(lambda: second.running, "the second runs")

    world.kubelet.delete(first)
    world.wait(lambda: first not in world.kubelet.pods, "the first is gone")
    assert world.node.files() != {}
    world.kubelet.delete(second)
    world.wait(lambda: not world.node.files(), "nothing is left")
