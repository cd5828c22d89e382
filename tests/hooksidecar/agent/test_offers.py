"""What the agent offers to kubelet: from a machine that changes to what a pod is given, through the double."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from domxml.pciaddress import PciAddress
from hooksidecar.agent.given import Given
from hooksidecar.agent.offers import Offers
from hooksidecar.agent.pods import wanted_files
from hooksidecar.deviceplugin.source import Granted
from hooksidecar.nodewatch.look import Look, Picture
from hooksidecar.nodewatch.record import Record
from hooksidecar.nodewatch.uevents import Changes
from hostdev.inventory.machine import Machine
from hostdev.kubelet.checkpoint import Grant
from tests.hooksidecar.agent.kubelet import Kubelet as KubeletDirectory
from tests.hooksidecar.agent.kubelet import uid
from tests.hostdev.gate.build import at, machine
from tests.hostdev.offer.offers import CARD, card, state
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.pods import Pod
from tests.patience import SOON

# gRPC's own thread, which looks whether a channel is ready, may find it closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_GPU"
STATE = f"  offer: [{{resource: {CARD}, match: {{class: display}}, unit: group}}]"
NODES = ("vfio", "10", "11", "devices/vfio20", "devices/vfio21", "devices/vfio22", "devices/vfio23")


class Host:
    """A machine that changes, and may not answer."""

    def __init__(self) -> None:
        self.machine = machine(*card(0x3D, 10), *card(0x3E, 11))
        self.answers = threading.Event()
        self.answers.set()
        self.looks: list[frozenset[PciAddress]] = []

    def whole(self) -> Machine:
        self.answers.wait()
        return self.machine

    def some(self, addresses: Collection[PciAddress]) -> Machine:
        self.answers.wait()
        self.looks.append(frozenset(addresses))
        functions = {one: found for one in addresses if (found := self.machine.functions.get(one))}
        numbers = {one.group for one in functions.values()}
        groups = {number: group for number, group in self.machine.groups.items() if number in numbers}
        return replace(self.machine, functions=functions, groups=groups)

    def take(self, name: str, driver: str) -> Changes:
        """Another driver has a function; the kernel tells."""
        changed = replace(self.machine.functions[at(name)], driver=driver, vfio_dev=None)
        self.machine = replace(self.machine, functions={**self.machine.functions, at(name): changed})
        return Changes(frozenset({at(name)}))


class Running:
    """Offers beside a kubelet."""

    def __init__(self, directory: Path) -> None:
        self.host = Host()
        declared = state(STATE)
        self.offers = Offers(
            lambda _machine: declared,
            Look(self.host.whole, self.host.some, Picture),
            Record(str(directory), ""),
            str(directory),
        )
        self.kubelet = Kubelet(directory, root=str(directory / "root"))

    def tell(self, changes: Changes) -> None:
        self.offers.keeper.ask(changes)

    @property
    def counts(self) -> tuple[int, int]:
        return tuple(self.kubelet.manager.counts().get(CARD, (0, 0)))  # type: ignore[return-value]

    def vm(self, name: str, number: int = 1) -> Pod:
        return self.kubelet.create(Pod(name, {CARD: number}), bound=True)


@pytest.fixture
def running() -> Iterator[Running]:
    directory = Path(tempfile.mkdtemp(prefix="ko-"))
    for name in NODES:
        path = directory / "root/dev/vfio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    running = Running(directory)
    with running.kubelet as kubelet:
        running.offers.start()
        kubelet.wait(lambda: running.counts == (2, 2))
        yield running
        running.offers.close()
    shutil.rmtree(directory)


@pytest.fixture
def kubelet_record(running: Running) -> KubeletDirectory:
    return KubeletDirectory(running.kubelet.directory)


def test_a_whole_group_is_given_with_its_nodes(running: Running) -> None:
    pod = running.vm("vm1", 2)
    running.kubelet.wait(lambda: running.offers.seen.units.get("given") == 2)

    compute = pod.container("compute")
    answer = running.kubelet.manager.answers_for(pod, compute)[0]
    assert answer.envs[VARIABLE] == "0000:3d:00.0,0000:3e:00.0,0000:3d:00.1,0000:3e:00.1"
    assert [one.host_path for one in answer.devices] == [f"/dev/vfio/{name}" for name in NODES]
    assert {one.permissions for one in answer.devices} == {"mrw"}


def test_a_member_that_a_host_driver_takes_makes_it_unhealthy_and_back(running: Running) -> None:
    before = running.host.machine
    begun = time.monotonic()
    running.tell(running.host.take("0000:3e:00.1", "snd_hda_intel"))
    running.kubelet.wait(lambda: running.counts == (2, 1))
    assert time.monotonic() - begun < SOON
    assert running.host.looks == [{at("0000:3e:00.1")}], "one function was looked at, not the host"

    running.host.machine = before
    running.tell(Changes(groups=frozenset({11})))
    running.kubelet.wait(lambda: running.counts == (2, 2))
    assert running.offers.seen.units == {"free": 2}


def test_what_cannot_be_given_any_more_waits_and_says_why(running: Running) -> None:
    """No event came, or it came too late: the start of the container looks once more."""
    before = running.host.machine
    running.host.take("0000:3d:00.1", "snd_hda_intel")
    running.host.take("0000:3e:00.1", "snd_hda_intel")
    pod = running.vm("vm1")
    running.kubelet.wait(lambda: "group-not-viable" in pod.container("compute").state.message)
    assert pod.phase == "Pending"
    assert "0000:3" in pod.container("compute").state.message

    running.host.machine = before

    running.kubelet.wait(lambda: "PreStartContainer" not in pod.container("compute").state.message)


def test_a_host_that_does_not_answer_holds_no_pod_up(running: Running) -> None:
    running.host.answers.clear()
    running.tell(Changes(frozenset({at("0000:3d:00.0")})))
    time.sleep(0.1)

    begun = time.monotonic()
    granted = running.offers.allocate(CARD, [running.offers.listed(CARD)[0].id])
    running.offers.prefer(CARD, [one.id for one in running.offers.listed(CARD)], (), 1)
    assert time.monotonic() - begun < SOON
    assert granted.variables[VARIABLE].startswith("0000:3d:00.0")
    begun = time.monotonic()
    running.offers.check(CARD, [running.offers.listed(CARD)[0].id])
    assert time.monotonic() - begun < SOON, "kubelet gives the start of a container 30 s"
    running.host.answers.set()


def test_what_was_given_counts_before_kubelet_has_written_it_down(running: Running) -> None:
    (unit, _) = (one.id for one in running.offers.listed(CARD))
    running.offers.allocate(CARD, [unit])
    running.host.machine = replace(running.host.machine, functions={}, groups={})

    running.tell(Changes(lost=True))

    running.kubelet.wait(lambda: running.offers.seen.units == {"given-unhealthy": 1})
    assert [one.id for one in running.offers.listed(CARD)] == [unit]


def test_what_another_plugin_gave_is_not_free(running: Running, kubelet_record: KubeletDirectory) -> None:
    pod = uid(7)
    kubelet_record.pod(pod)
    kubelet_record.allocate(pod, {"PCI_RESOURCE_NVIDIA_COM_GPU": "0000:3d:00.0"}, resource="nvidia.com/GPU", ids=["10"])
    kubelet_record.save()

    running.tell(Changes())

    running.kubelet.wait(lambda: running.offers.seen.units == {"unhealthy": 1, "free": 1})


def test_a_file_says_what_was_given_whatever_the_record_holds() -> None:
    given = Given()
    given.note(CARD, ["b", "a"], Granted({VARIABLE: "0000:3d:00.0,0000:3e:00.0"}, ("/dev/vfio/vfio",)))
    ours = Grant("uid-1", "compute", CARD, ("a", "b"), ((VARIABLE, "0000:99:00.0"),), ("/dev/vfio/9",))
    other = Grant("uid-2", "compute", "example.com/other", ("a", "b"), (("OTHER", "1"),), ())

    files = wanted_files(given.as_given((ours, other)), ()).files

    assert b"0000:3d:00.0,0000:3e:00.0" in files["uid-1"]
    assert b"0000:99:00.0" not in files["uid-1"]
    assert given.differing((ours, other)) == (ours,)


def test_no_pod_is_guessed() -> None:
    """Two pods hold parts of what was given: it was given again since, and is nobody's file as a whole."""
    given = Given()
    given.note(CARD, ["a", "b"], Granted({VARIABLE: "0000:3d:00.0"}, ()))
    part = Grant("uid-1", "compute", CARD, ("a",), ((VARIABLE, "0000:3d:00.0"),), ())

    assert given.as_given((part,)) == (part,)
    given.note(CARD, ["a"], Granted({VARIABLE: "0000:3e:00.0"}, ()))
    assert given.held({}) == {CARD: {"a"}}


def test_what_kubelet_never_writes_down_is_forgotten() -> None:
    given = Given()
    given.note(CARD, ["a"], Granted({}, ()))
    now = time.monotonic()

    given.keep((), now)
    assert given.held({}) == {CARD: {"a"}}
    given.keep((Grant("uid-1", "compute", CARD, ("a",), (), ()),), now + 1000)
    assert given.held({}) == {CARD: {"a"}}
    given.keep((), now + 1000)
    assert given.held({}) == {}
