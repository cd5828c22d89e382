"""What is offered of 4096 functions, also while the host hangs, to the double of kubelet: `python -m bench.offer`."""

from __future__ import annotations

import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import grpc

from bench.scan import IN_MEMORY, tree
from bench.table import MILLISECOND, Goal, goals, show
from domxml.pciaddress import PciAddress
from hooksidecar import log
from hooksidecar.agent import options
from hooksidecar.agent.agent import Agent
from hooksidecar.agent.offers import Offers
from hooksidecar.nodewatch.look import Look, Picture, looker_at_some
from hooksidecar.nodewatch.record import Record
from hooksidecar.nodewatch.uevents import Changes
from hooksidecar.process import stop_on_signals
from hostdev.binding.state import NodeState
from hostdev.binding.statefile import read_states, state_for
from hostdev.claims.devices import Inventory, make_inventory
from hostdev.claims.slices import plan_slices
from hostdev.inventory.host import Host
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from hostdev.offer.compose import compose_offer
from hostdev.units.compose import compose_units
from tests.hooksidecar.agent.process import AgentProcess
from tests.hostdev import layout
from tests.hostdev.claims.changing import ChangingNode
from tests.hostdev.claims.inventories import DRIVER as OUR_DRIVER
from tests.hostdev.claims.inventories import OWNER, Slices
from tests.hostdev.units.enumeration import seeded
from tests.kubelet.kubelet import Kubelet

AGENT = "--agent"
RESOURCE = "example.com/VF"
STATE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
spec:
  offer:
  - resource: {RESOURCE}
    match: {{id: "8086:154c"}}
"""
DRIVER = "vfio-pci"
TURNS = 41
ANSWERS = 200
UNITS, CHANGE, PLANNED, ANSWER, MEMORY = 0.050, 0.100, 0.250, 0.100, 1.2
CHANGES = 200
SETTLING = 4.0
"""Seconds after which a plugin is registered for good: kubelet also finds it by itself."""
SETTLED = 8.0
"""Seconds after which an agent has looked at everything once."""


def run() -> Iterator[str]:
    """All of it."""
    with TemporaryDirectory(dir=IN_MEMORY) as directory:
        layout.write(tree(), Path(directory))
        with Host(directory) as host:
            machine = scan(host)
        yield from _units(machine)
        yield from _claims()
        yield from _served(directory, machine)
        yield from _resident(directory)


def _units(machine: Machine) -> Iterator[str]:
    state = _declared(machine)
    # Of a processor, whatever else runs on it.
    seconds = [_timed(lambda: compose_units(machine), time.process_time) for _ in range(TURNS)]
    offers = [_timed(lambda: compose_offer(state, machine), time.process_time) for _ in range(TURNS)]
    number = len(compose_units(machine))
    yield _line(f"{number} units", seconds)
    yield _line("what is offered of them, from nothing", offers)
    yield _goal("units", UNITS, statistics.median(seconds))


def _claims() -> Iterator[str]:
    """What a change costs until its writes are planned."""
    node, slices = ChangingNode(64, 63, seeded(7)), Slices()
    found, seconds, writes = Inventory(), [], []
    for number in range(CHANGES + 1):
        happened = node.happen() if number else None
        begun = time.process_time()
        if happened:
            node.follow()
        found = make_inventory(node.offer, found)
        steps = plan_slices(found, slices.live, OWNER, OUR_DRIVER).steps
        seconds.append(time.process_time() - begun)
        writes.append(len(steps))
        for step in steps:
            slices.apply(step)
    yield _line(f"{len(found.devices)} devices by claim: a change, planned", seconds[1:])
    median, most = f"{statistics.median(writes[1:]):g}", max(writes)
    yield f"  {'and how many writes it is':<46} {CHANGES:>5} {median:>9}   , at most {most:>9}"
    yield _goal("a change of claims", PLANNED, statistics.median(seconds))


def _served(directory: str, machine: Machine) -> Iterator[str]:
    """Over real sockets, to the double of kubelet."""
    vfs = [one.address for one in machine.functions.values() if one.driver == DRIVER]
    with _offering(directory, machine) as (offers, kubelet, release):
        turns = [_change(directory, offers, kubelet, vf) for vf in vfs[:TURNS]]
        yield _line("one device changes, until ListAndWatch has it", turns)
        yield _goal("a change", CHANGE, statistics.median(turns))
        release.clear()
        hanging = threading.Thread(target=offers.keeper.turn, args=(Changes(frozenset(vfs[-1:])),), daemon=True)
        hanging.start()
        with grpc.insecure_channel(f"unix:{_socket(kubelet)}") as channel:
            for name, request in _requests(offers):
                call = channel.unary_unary(f"/v1beta1.DevicePlugin/{name}", bytes, bytes)
                answers = [_timed(lambda: call(request, timeout=20)) for _ in range(ANSWERS)]  # noqa: B023
                yield _line(f"{name} while the host hangs", answers)
                yield _goal(f"{name}, the slowest of {ANSWERS}", ANSWER, max(answers))
        if not hanging.is_alive():
            raise RuntimeError("the host did not hang")
        release.set()
        hanging.join()


def _requests(offers: Offers) -> Iterator[tuple[str, bytes]]:
    ids = [device.id for device in offers.listed(RESOURCE) if device.healthy]
    yield "Allocate", wire.AllocateRequest(container_requests=[{"devices_ids": ids[-8:]}]).SerializeToString()
    asked = {"available_deviceIDs": ids, "allocation_size": 8}
    preferred = wire.PreferredAllocationRequest(container_requests=[asked])
    yield "GetPreferredAllocation", preferred.SerializeToString()


def _change(directory: str, offers: Offers, kubelet: Kubelet, vf: PciAddress) -> float:
    """A host driver takes a VF, and the kernel says so."""
    healthy = kubelet.allocatable(RESOURCE)
    place = Path(directory, f"sys/bus/pci/devices/{vf}")
    (place / "uevent").write_text((place / "uevent").read_text().replace(f"DRIVER={DRIVER}", "DRIVER=iavf"))
    shutil.rmtree(place / "vfio-dev")
    (place / "driver").unlink()
    (place / "driver").symlink_to("../../../../bus/pci/drivers/iavf")
    begun = time.perf_counter()
    offers.keeper.turn(Changes(frozenset([vf])))
    kubelet.wait(lambda: kubelet.allocatable(RESOURCE) == healthy - 1)
    return time.perf_counter() - begun


def _declared(machine: Machine) -> NodeState:
    return state_for(read_states(STATE.encode(), "state"), machine, None) or NodeState()


@contextmanager
def _offering(directory: str, machine: Machine) -> Iterator[tuple[Offers, Kubelet, threading.Event]]:
    """What the agent offers, without its loop, so that each turn is asked for; the event lets the host answer."""
    release = threading.Event()
    release.set()
    some = looker_at_some(directory)

    def look(addresses: Collection[PciAddress]) -> Machine:
        release.wait()
        return some(addresses)

    with _kubelet() as kubelet:
        place = str(kubelet.directory)
        offers = Offers(_declared, Look(lambda: machine, look, Picture), Record(place, ""), place)
        offers.keeper.turn()
        healthy = sum(one.healthy for one in offers.listed(RESOURCE))
        kubelet.wait(lambda: kubelet.allocatable(RESOURCE) == healthy, timeout=20.0)
        time.sleep(SETTLING)
        try:
            yield offers, kubelet, release
        finally:
            offers.close()


@contextmanager
def _kubelet() -> Iterator[Kubelet]:
    base = Path(mkdtemp(prefix="ko-"))
    try:
        with Kubelet(base) as kubelet:
            yield kubelet
    finally:
        shutil.rmtree(base)


def _socket(kubelet: Kubelet) -> Path:
    """Where the one resource is served, as kubelet finds it."""
    (path,) = kubelet.registry.glob("[!.]*.sock")
    return path


def _resident(directory: str) -> Iterator[str]:
    """The agent as a process, on the host below a directory; each has looked at all of it."""
    found = {offers: _memory_of(directory, offers) for offers in ("no", "yes")}
    less, more = found.values()
    yield f"  {'the agent that manages':<46} {less:>10} KiB"
    yield f"  {'and offers':<46} {more:>10} KiB"
    yield goals((Goal(f"at most {MEMORY} times", f"{more / less:.2f}", more <= MEMORY * less),))


def _memory_of(directory: str, offers: str) -> int:
    program = ("-m", "bench.offer", AGENT, offers)
    with _kubelet() as kubelet:
        place = kubelet.directory
        (place / "state.yaml").write_text(STATE)
        flags = ("--state-dir", f"{place}/journal", "--node", f"{place}/state.yaml")
        with AgentProcess(place, *flags, host=directory, program=program) as agent:
            agent.ready()
            time.sleep(SETTLED)
            return agent.resident()


def _agent(offers: str, words: Sequence[str]) -> None:
    """Run the agent on a host that the command line does not allow; --node brings the file's name."""
    log.start("info", "passgate-agent")
    chosen = options.parse(words)
    chosen = chosen._replace(manage=chosen.node, node="", offer=offers == "yes")
    Agent(chosen, stop_on_signals().is_set).run()


def _timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    begun = clock()
    work()
    return clock() - begun


def _line(name: str, seconds: Sequence[float]) -> str:
    median, most = statistics.median(seconds) * MILLISECOND, max(seconds) * MILLISECOND
    return f"  {name:<46} {len(seconds):>5} {median:>9.2f} ms, at most {most:>9.2f} ms"


def _goal(what: str, least: float, seconds: float) -> str:
    measured = f"{seconds * MILLISECOND:.1f} ms"
    return goals((Goal(f"{what} within {least * MILLISECOND:.0f} ms", measured, seconds <= least),))


if __name__ == "__main__":
    if sys.argv[1:2] == [AGENT]:
        _agent(sys.argv[2], sys.argv[3:])
        sys.exit()
    show(run())
