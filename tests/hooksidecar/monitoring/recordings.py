"""What the real agent serves when all is well, while a VM starts, and in each trouble: two scrapes a second apart."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from hooksidecar.monitoring.metrics import SOURCE_AGE
from tests.hooksidecar.agent.kubelet import RESOURCE, SIDECAR, Kubelet, answer, uid
from tests.hooksidecar.agent.podresources import PodResources, pod
from tests.hooksidecar.agent.process import AgentProcess
from tests.hooksidecar.agent.virthandler import Answers
from tests.hooksidecar.client import Client
from tests.hooksidecar.httpclient import ask
from tests.hooksidecar.monitoring import managed
from tests.hostdev.layout import lay_out
from tests.hostdev.vitals.hosts import UPTIME
from tests.house import ROOT

DEVICES = ("0000:3d:02.1", "0000:3d:02.2", "0000:3d:02.3")
VMS_DEVICES = ("0000:3b:02.0", "0000:87:00.0")
"""On the host of VMs: one that has arrived, and one that is lost."""
Series = tuple[str, frozenset[tuple[str, str]]]


class Recording(NamedTuple):
    """A scrape, and what grew as the time went on until the next."""

    samples: Mapping[Series, float]
    growing: frozenset[Series] = frozenset()


@dataclass
class Place:
    """A node: kubelet's directory, its API, its host, and the agent's program there."""

    kubelet: Kubelet
    api: PodResources
    host: Path
    devices: tuple[str, ...] = DEVICES
    """What the pods are given, the first one before the agent starts."""
    agent: AgentProcess = field(init=False)
    port: int = 0
    listed: list[bytes] = field(default_factory=list)

    def start_vm(self, number: int) -> None:
        """A VM's pod with a device, as far as kubelet is concerned; its volumes come later."""
        self.allocate(number)
        self.listed.append(pod(f"vm-{number}", RESOURCE, self.devices[number]))
        self.api.has(*self.listed)
        self.kubelet.save()

    def allocate(self, number: int) -> None:
        """The grant alone."""
        envs = {f"QAT{number}": self.devices[number]}
        self.kubelet.allocate(uid(number), envs, ids=[self.devices[number]])
        self.kubelet.entries[-1]["AllocResp"] = answer(envs, [f"/dev/vfio/{number}"])

    def scrape(self) -> str:
        return ask(self.port, "/metrics")[1].decode()

    def until(self, wanted: str) -> str:
        """Wait for a sample."""
        return self.agent.until(lambda: text if wanted in (text := self.scrape()) else "")


Change = Callable[[Place], None]


def make_well(place: Place) -> None:
    place.until('passgate_pods{file="there"} 1.0')


def start_vm(place: Place) -> None:
    """Kubelet has written it down, and made nothing yet but the pod's directory."""
    place.kubelet.pod(uid(1))
    place.start_vm(1)
    place.until('passgate_pods{file="no-volume"} 1.0')


def end_vm(place: Place) -> None:
    """PodResources first, then the directory; the record keeps the grant until something is given away."""
    place.until('passgate_pods{file="there"} 1.0')
    place.api.has()
    pods = place.kubelet.directory / "pods"
    (pods / uid(0)).rename(pods.with_name("ended"))
    place.kubelet.allocate(uid(9), {}, resource="x/y", ids=[], container="other")
    place.kubelet.save()
    time.sleep(1.5)


def look_once(place: Place) -> None:
    """PodResources is a moment behind: the first look sees it, the second does not."""
    place.api.has()
    place.kubelet.pod(uid(1))
    asked = place.api.asked
    place.allocate(1)
    place.kubelet.save()
    place.agent.until(lambda: place.api.asked > asked)
    place.api.has(*place.listed, pod("vm-1", RESOURCE, DEVICES[1]))


def grant_twice(place: Place) -> None:
    place.kubelet.volume(uid(1), SIDECAR)
    place.kubelet.allocate(uid(1), {"QAT0": DEVICES[0]}, ids=[DEVICES[0]])
    place.api.has(*place.listed, pod("vm-1", RESOURCE, DEVICES[0]))
    place.kubelet.save()
    place.until('passgate_findings{code="granted-twice"')


def disagree(place: Place) -> None:
    place.api.has(*place.listed, pod("vm-1", RESOURCE, DEVICES[1]))
    place.kubelet.allocate(uid(9), {}, resource="x/y", ids=[])
    place.kubelet.save()
    place.until('passgate_findings{code="kubelet-disagrees"')


def obstruct(place: Place) -> None:
    (place.kubelet.volume(uid(1), SIDECAR) / SIDECAR / "userdata").symlink_to("/etc")
    place.start_vm(1)
    place.until('passgate_pods{file="failed"} 1.0')


def lose_pods(place: Place) -> None:
    """As when the mount of kubelet's pods is gone."""
    pods = place.kubelet.directory / "pods"
    pods.rename(pods.with_name("elsewhere"))
    place.start_vm(1)
    place.until('passgate_findings{code="drop-failed"')


def garble(place: Place) -> None:
    """Kubelet itself leaves such an entry out, so that PodResources has nothing of it either."""
    place.kubelet.volume(uid(1), SIDECAR)
    place.allocate(1)
    place.kubelet.entries[-1]["AllocResp"] = "!"
    place.kubelet.save()
    place.until('passgate_pods{file="unread"} 1.0')


def lose_variable(place: Place) -> None:
    """Two resources of one container say different things by one name."""
    place.kubelet.volume(uid(1), SIDECAR)
    for number in (1, 2):
        resource = f"vendor.example/{number}"
        device = place.devices[number]
        place.kubelet.allocate(uid(1), {"MODE": str(number)}, ids=[device], resource=resource)
        place.kubelet.entries[-1]["AllocResp"] = answer({"MODE": str(number)}, [f"/dev/vfio/{number}"])
        place.listed.append(pod("vm-1", resource, device))
    place.api.has(*place.listed)
    place.kubelet.save()
    place.until('passgate_pods{file="partial"} 1.0')


def garble_other(place: Place) -> None:
    """An entry of a pod that is no VM's."""
    place.allocate(1)
    place.kubelet.entries[-1] |= {"ContainerName": "trainer", "AllocResp": "!"}
    place.kubelet.save()
    place.until('passgate_findings{code="checkpoint-entry-unreadable"')


def tear_record(place: Place) -> None:
    place.kubelet.replace(b"torn")
    place.until('passgate_findings{code="checkpoint-unreadable"')


def stop_podresources(place: Place) -> None:
    place.api.__exit__()
    place.kubelet.volume(uid(1), SIDECAR)
    place.start_vm(1)
    place.until('passgate_findings{code="podresources-unreachable"')


def lose_host(place: Place) -> None:
    """As when /sys is not to be seen any more."""
    shutil.rmtree(place.host)
    place.kubelet.volume(uid(1), SIDECAR)
    place.start_vm(1)
    place.until('passgate_findings{code="host-unreadable",severity="warning"}')


def drift(place: Place) -> None:
    place.until('passgate_findings{code="node-state-drifted"')


def hold_state(place: Place) -> None:
    place.until('passgate_node_state{state="held"} 1.0')


def find_no_kubelet(place: Place) -> None:
    """Nothing takes the registration."""
    place.until('passgate_offer_resources{state="unregistered"} 1.0')


def lose_state(place: Place) -> None:
    place.until('passgate_findings{code="bad-node-state"')


class Scenario(NamedTuple):
    """What happens on a node, and the one alert that comes of it."""

    change: Change
    alert: str = ""
    labels: Mapping[str, str] = {}
    """Those that the alert has beside the node's."""
    program: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    host: str = "machines/qat"
    devices: tuple[str, ...] = DEVICES


def arrive(place: Place) -> None:
    place.until('passgate_device_vitals{state="arrived"} 1.0')


def lose_device(place: Place) -> None:
    place.kubelet.volume(uid(1), SIDECAR)
    place.start_vm(1)
    begun = time.monotonic()
    place.agent.until(lambda: _later(place, begun, 'passgate_device_vitals{state="trouble"} 1.0'))


def _later(place: Place, begun: float, wanted: str) -> bool:
    """Whether a sample is there, after the clock was set: that of such a host stands still by itself."""
    beside = place.host / "proc/uptime.new"
    beside.write_text(f"{UPTIME + time.monotonic() - begun:.2f} 0.00\n")
    beside.rename(place.host / "proc/uptime")
    return wanted in place.scrape()


MANAGED = ("-m", managed.__name__)
VMS, HGX = "vitals/vms", f"machines/{managed.HOST}"
SCENARIOS: Mapping[str, Scenario] = {
    "well": Scenario(make_well),
    "a VM starts": Scenario(start_vm),
    "a VM ends": Scenario(end_vm),
    "a device arrived": Scenario(arrive, host=VMS, devices=VMS_DEVICES),
    "a device lost": Scenario(
        lose_device, "PassgateVmDeviceTrouble", {"code": "device-off-bus"}, host=VMS, devices=VMS_DEVICES
    ),
    "a first look": Scenario(look_once),
    "another pod's entry unread": Scenario(garble_other),
    "granted twice, as expected": Scenario(grant_twice, flags=("--expect", "granted-twice")),
    "node state held": Scenario(hold_state, program=(*MANAGED, "held"), host=HGX),
    "node state drifted": Scenario(
        drift, "PassgateDeviceDrifted", {"code": "node-state-drifted"}, (*MANAGED, "drifted"), host=HGX
    ),
    "an offer not taken": Scenario(
        find_no_kubelet, "PassgateOfferNotTaken", {"state": "unregistered"}, (*MANAGED, "offered"), host=HGX
    ),
    "node state unread": Scenario(
        lose_state, "PassgateAgentBlind", {"source": "node-state"}, (*MANAGED, "unread"), host=HGX
    ),
    "granted twice": Scenario(grant_twice, "PassgateSourcesDisagree", {"code": "granted-twice"}),
    "kubelet disagrees": Scenario(disagree, "PassgateSourcesDisagree", {"code": "kubelet-disagrees"}),
    "a link in a volume": Scenario(obstruct, "PassgatePodWithoutFile", {"code": "drop-obstructed"}),
    "no pods": Scenario(lose_pods, "PassgatePodWithoutFile", {"code": "drop-failed"}),
    "an entry unread": Scenario(garble, "PassgatePodWithoutFile", {"code": "checkpoint-entry-unreadable"}),
    "a variable lost": Scenario(lose_variable, "PassgatePodWithoutFile", {"code": "checkpoint-entry-unreadable"}),
    "a torn record": Scenario(tear_record, "PassgateAgentBlind", {"source": "record"}),
    "no PodResources": Scenario(stop_podresources, "PassgateAgentBlind", {"source": "podresources"}),
    "no host": Scenario(lose_host, "PassgateAgentBlind", {"source": "host"}),
}


@contextmanager
def running(scenario: Scenario) -> Iterator[Place]:
    """A node on which one VM runs already, and its agent."""
    base = Path(tempfile.mkdtemp(prefix="kl-"))
    try:
        kubelet = Kubelet(base / "kubelet")
        host = base / "host"
        lay_out((ROOT / "tests/fixtures" / f"{scenario.host}.toml").read_text(), host)
        if scenario.host == VMS:
            # A driver in the guest of the first VM has set up an interrupt.
            interrupts = host / "sys/bus/pci/devices" / scenario.devices[0] / "msi_irqs"
            interrupts.mkdir()
            (interrupts / "64").write_text("msix\n")
        hook = base / "n.sock"
        flags = ("--listen", "127.0.0.1:0", "--node-hook-socket", str(hook), *scenario.flags)
        with PodResources(kubelet.directory) as api:
            place = Place(kubelet, api, host, scenario.devices)
            kubelet.volume(uid(0), SIDECAR)
            place.start_vm(0)
            with AgentProcess(kubelet.directory, *flags, host=str(host), program=scenario.program) as agent:
                place.agent = agent.ready()
                place.port = agent.said("serving metrics")[0]["port"]
                Answers(Client(str(hook)), []).ask(json.dumps({"metadata": {}, "spec": {}}).encode())
                yield place
    finally:
        shutil.rmtree(base)


@contextmanager
def all_running() -> Iterator[Mapping[str, Place]]:
    """The nodes of all scenarios, each as it should be."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(running(scenario)) for name, scenario in SCENARIOS.items()}


def record(places: Mapping[str, Place]) -> dict[str, Recording]:
    """Let it happen everywhere, and look twice."""
    for name, place in places.items():
        place.until("passgate_sweep_last_success_timestamp_seconds")
        SCENARIOS[name].change(place)
    before, first = time.monotonic(), {name: samples(place.scrape()) for name, place in places.items()}
    time.sleep(1.2)
    second = {}
    for name, place in places.items():
        elapsed, second[name] = time.monotonic() - before, samples(place.scrape())
        assert elapsed >= 1.2
    return {name: _recording(SCENARIOS[name], first[name], second[name]) for name in places}


def samples(text: str) -> dict[Series, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _recording(scenario: Scenario, first: Mapping[Series, float], second: Mapping[Series, float]) -> Recording:
    """Of the ages those grow for good that the trouble is about; others begin anew within half a minute."""
    if scenario.alert != "PassgateAgentBlind":
        return Recording(second)
    age = (SOURCE_AGE.family, frozenset(scenario.labels.items()))
    assert second[age] - first[age] >= 1.0
    return Recording(second, frozenset({age}))
