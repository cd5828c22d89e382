"""The two plugins that are put side by side: one as most are, and Passgate's; both offer the same four cards."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import grpc
from google.protobuf.message import Message

from domxml.errors import PassgateError
from hooksidecar.agent.offers import Offers
from hooksidecar.nodewatch.look import Look, Picture
from hooksidecar.nodewatch.record import Record
from hostdev.binding.state import Match, NodeState, OfferEntry, UnitKind
from hostdev.binding.statefile import read_states
from hostdev.inventory.machine import Machine
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as api
from tests.hostdev.gate.build import AUDIO, GPU, function, machine
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.manager import HEALTHY
from tests.kubelet.plain import Plain
from tests.kubelet.player import Answer
from tests.kubelet.pods import Pod
from tests.kubelet.wire import ASKS, ITEM

RESOURCE = "example.com/gpu"
NOTIFY = "NotifyRegistrationStatus"
VARIABLE = "PCI_RESOURCE_EXAMPLE_COM_GPU"
BUSES = (0x3D, 0x3E, 0x5E, 0x86)


def card(bus: int, group: int, **audio: object) -> Machine:
    """A graphics card with its sound, in one IOMMU group."""
    both = {"group": group, "root": "pci0000:00", "numa_node": 0}
    sound = {"vfio_dev": f"vfio{2 * bus + 1}", **both, **audio}
    return machine(
        function(f"0000:{bus:02x}:00.0", class_code=GPU, device=0x1EB8, vfio_dev=f"vfio{2 * bus}", **both),
        function(f"0000:{bus:02x}:00.1", class_code=AUDIO, device=0x10F0, **sound),
    )


def cards(*buses: int, spoiled: int = 0, groups: int = 0) -> Machine:
    """A host with these; a driver of the host has the sound of one that is spoiled."""
    taken = {"driver": "snd_hda_intel", "vfio_dev": None}
    parts = [card(bus, groups + bus, **(taken if bus == spoiled else {})) for bus in buses]
    return machine(*(one for part in parts for one in part.functions.values()))


class Side(ABC):
    """A plugin, and the host that it offers the cards of."""

    when: str
    """When a name is refused that kubelet does not take."""

    def __init__(self, kubelet: Kubelet) -> None:
        self.kubelet = kubelet

    @abstractmethod
    def begin(self) -> Callable[[], None]:
        """Start one more process of it; the answer ends that."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until it has come to kubelet by every way that it goes."""

    @abstractmethod
    def take_over(self) -> None:
        """Wait until a second process is ready for the end of the first."""

    @abstractmethod
    def return_to(self) -> None:
        """Come back to a kubelet that was started anew."""

    @abstractmethod
    def spoil(self) -> None:
        """Let something be wrong with the first card that the plugin has not told kubelet of."""

    @abstractmethod
    def mend(self) -> None:
        """Let it be right again."""

    @abstractmethod
    def remove(self) -> None:
        """Take the first card out of the host."""

    @abstractmethod
    def renumber(self) -> None:
        """Let the host have other group numbers, as after a reboot."""

    @abstractmethod
    def hang(self) -> None:
        """Let every look at the host hang."""

    @abstractmethod
    def look(self) -> None:
        """Let it see the host anew."""

    @abstractmethod
    def refuses(self, name: str) -> bool:
        """Whether a resource cannot have this name."""

    @property
    def hangs(self) -> bool:
        """Whether kubelet waits for an answer that never comes."""
        return False

    @property
    def free(self) -> int:
        """How many cards kubelet would give."""
        return self.kubelet.allocatable(RESOURCE)

    def registered(self, number: int = len(BUSES)) -> None:
        """Wait until kubelet has so many."""
        self.kubelet.wait(lambda: self.free == number, f"{number} cards in kubelet")

    def pod(self, name: str, number: int = 1) -> Pod:
        """A VM's pod that is bound to the node."""
        return self.kubelet.create(Pod(name, {RESOURCE: number}), bound=True)

    def run(self, name: str, number: int = 1) -> Pod:
        """And runs."""
        pod = self.pod(name, number)
        self.kubelet.wait(lambda: pod.running, f"{name} runs")
        return pod


class Most(Side):
    """Registers once, and again with a kubelet that was started anew; its ids are group numbers; it asks the host when
    kubelet asks it, and tells what it sees whenever it looks."""

    when = "when it registers"

    def __init__(self, kubelet: Kubelet) -> None:
        super().__init__(kubelet)
        self._groups = {str(bus): f"0000:{bus:02x}:00.0" for bus in BUSES}
        self._plugins: list[Plain] = []

    def begin(self) -> Callable[[], None]:
        plugin = self._made(RESOURCE)
        plugin.register()
        return plugin.stop

    def _made(self, resource: str) -> Plain:
        plugin = Plain(self.kubelet, resource, dict.fromkeys(self._groups, HEALTHY), f"{len(self._plugins)}.sock")
        self._plugins.append(plugin)
        self.mend()
        return plugin

    def _allocate(self, data: bytes) -> api.AllocateResponse:
        ids = api.AllocateRequest.FromString(data).container_requests[0].devices_ids
        addresses = ",".join(self._groups[one] for one in ids)
        answer = api.ContainerAllocateResponse(envs={VARIABLE: addresses})
        return api.AllocateResponse(container_responses=[answer])

    def settle(self) -> None:
        pass

    def take_over(self) -> None:
        pass

    def return_to(self) -> None:
        threading.Thread(target=self.begin, daemon=True).start()

    def spoil(self) -> None:
        details = "group 61 is not viable: 0000:3d:00.1 is bound to snd_hda_intel"
        self._answer(lambda _: Answer(code=grpc.StatusCode.FAILED_PRECONDITION, details=details))

    def mend(self) -> None:
        self._answer(self._allocate)

    def remove(self) -> None:
        del self._groups[str(BUSES[0])]
        self.look()

    def renumber(self) -> None:
        self._groups = {f"1{name}": address for name, address in self._groups.items()}

    def hang(self) -> None:
        self._answer(lambda _: self._plugins[-1].hang())

    @property
    def hangs(self) -> bool:
        return self._plugins[-1].hangs

    def look(self) -> None:
        self._plugins[-1].tell(dict.fromkeys(self._groups, HEALTHY))

    def refuses(self, name: str) -> bool:
        answer = self._made(name).register()
        return "is invalid" in answer.details

    def _answer(self, answer: Callable[[bytes], Message | Answer]) -> None:
        for plugin in self._plugins:
            plugin.answers["Allocate"] = answer


class Ours(Side):
    """The agent's offer, over a host that a test changes."""

    when = "when the file is read"

    def __init__(self, kubelet: Kubelet) -> None:
        super().__init__(kubelet)
        self._machine = cards(*BUSES)
        self._begun = time.monotonic()
        self._answers = threading.Event()
        self._answers.set()
        self._offers: list[Offers] = []
        self._failed = 0
        """How many registrations had failed when the last process began."""

    def begin(self) -> Callable[[], None]:
        entry = OfferEntry("offer[0]", RESOURCE, Match(), UnitKind.GROUP, None)
        look = Look(self._look, lambda _: self._look(), lambda: Picture(self._machine, self._begun))
        record = Record(str(self.kubelet.directory), "")
        offers = Offers(lambda _: NodeState(offers=(entry,)), look, record, str(self.kubelet.directory))
        self._offers.append(offers)
        self._failed = self._said("Register", "error")
        offers.start()
        self.kubelet.guests[:0] = [self._answers.set, offers.close]
        return offers.close

    def _look(self) -> Machine:
        self._answers.wait()
        return self._machine

    def settle(self) -> None:
        self.kubelet.wait(lambda: self._said("Register", "response") and self._said(NOTIFY, "response"))
        self.kubelet.wait(lambda: self._said("ListAndWatch", ITEM) >= self._said("ListAndWatch", ASKS))

    def take_over(self) -> None:
        # With a registration that fails, kubelet forgets whose end would cut the new one.
        self.kubelet.wait(lambda: self._said("Register", "error") > self._failed)

    def _said(self, call: str, kind: str) -> int:
        return sum((one.call, one.kind) == (call, kind) for one in self.kubelet.wire)

    def return_to(self) -> None:
        pass

    def spoil(self) -> None:
        self._machine = cards(*BUSES, spoiled=BUSES[0])

    def mend(self) -> None:
        self._machine = cards(*BUSES)
        self.look()

    def remove(self) -> None:
        self._machine = cards(*BUSES[1:])
        self.look()

    def renumber(self) -> None:
        self._machine = cards(*BUSES, groups=100)
        self.look()

    def hang(self) -> None:
        self._answers.clear()

    def look(self) -> None:
        self._begun = time.monotonic()
        for offers in self._offers:
            offers.keeper.ask()

    def refuses(self, name: str) -> bool:
        entry = {"resource": name, "match": {"id": "10de:1eb8"}}
        document = {"apiVersion": "passgate.dev/v1", "kind": "NodeState", "spec": {"offer": [entry]}}
        try:
            read_states(json.dumps(document).encode(), "node.yaml")
        except PassgateError:
            return True
        return False
