"""One hook call: from the domain and the VM that virt-launcher hands over to the domain it gets back.

KubeVirt calls the hook one to three times a boot, each time with the answer of the call before, as libvirt and
KubeVirt's structs have left it. Only the first call may refuse: behind every later one stands a defined domain.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from domxml import alias as aliases
from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.kubevirt import coming_ports
from domxml.text import printable
from domxml.transform import Transformed, transform
from domxml.version import OLDEST, LibvirtVersion
from hostdev.allocation.dialects import dialects_of
from hostdev.findings.cloudinit import BONDS_NOT_READ
from hostdev.inject.gather import Channels, gather, is_filled, read_file, wait_until
from hostdev.inject.plan import Inputs, Plan, asks_for_much, plan, refuse_unwanted
from hostdev.inject.vmplan import account_inputs, guards, resources, vm_inputs, waits_for_file
from hostdev.vmi.addressing import INTERFACES
from hostdev.vmi.bonds import BONDS
from hostdev.vmi.vmi import Vmi, parse_vmi

if TYPE_CHECKING:
    from hostdev.fit.firmware import Firmware
    from hostdev.inventory.machine import Machine


S = TypeVar("S")


class Settlement(Generic[S]):
    """Nothing of an answer is remembered until it goes out: its caller may be gone by now."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.answers = 0
        """How many went out."""
        self.value: S | None = None

    def keep(self, settled: S | None, *, counts: bool = True) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""
        with self._lock:
            self.value = self.value or settled
            self.answers += counts
            return self.answers


class Answer(NamedTuple):
    """The domain for virt-launcher, and what there is to say about it."""

    xml: bytes
    vm: str
    devices: tuple[str, ...] = ()
    """Aliases of the devices that are in the domain because of us."""
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    """Why the input went back as it came, although devices are wanted: only after a first success."""
    settled: Settled | None = None
    """What later calls hold to, once this answer went out; an answer that puts nothing in settles nothing."""
    counts: bool = False
    """Whether it answers a pass of this VM's boot."""


class Launcher(NamedTuple):
    """What the sidecar is told of virt-launcher."""

    libvirt: LibvirtVersion = OLDEST
    again: bool | None = None
    """Whether it places the devices of a VM without placeholders a second time; None: not told."""
    firmware: Firmware | None = None
    """The guest's; None: its family as the domain tells, and any release."""


class Settled(NamedTuple):
    """Settled by the first success; later calls apply it again, whatever the channels say by then."""

    inputs: Inputs
    machine: Machine | None
    text: bytes = b""
    """The VMI as it came; a boot's later passes come with the same."""

    def put_into(self, domain: Domain, launcher: Launcher) -> tuple[Plan, Transformed]:
        """Plan for a domain as a pass has it, and put the devices in."""
        planned = plan(domain, self.inputs, self.machine)
        return planned, transform(domain, planned.slots, libvirt=launcher.libvirt, again=launcher.again)

    def room(self, domain: Domain, result: Transformed, launcher: Launcher) -> tuple[Finding, ...]:
        """Whether the guest's firmware has room for what is in a domain; KubeVirt adds ports to one of a first pass."""
        devices = {*domain.host_devices, *(change.placed.function.device for change in result.changes)}
        if self.machine is None or not asks_for_much(self.machine, devices):
            return ()
        from hostdev.inject.room import room_findings  # noqa: PLC0415  most VMs have small devices

        # As it came: the devices that were put in take their places among those that KubeVirt counts.
        ports = coming_ports(Domain.parse(domain.data))
        try:
            return room_findings(
                result.xml, self.machine, ports=ports, libvirt=launcher.libvirt, firmware=launcher.firmware
            )
        except Exception as error:  # noqa: BLE001  a forecast that fails is no reason to keep a VM from starting
            from hostdev.findings.fit import BAR_WINDOW_UNKNOWN  # noqa: PLC0415

            what = f"it could not be computed: {type(error).__name__}: {printable(str(error))}"
            return (BAR_WINDOW_UNKNOWN.found(domain.name, what),)


class HookCore:
    """The state of one process, which serves one VM's pod."""

    def __init__(
        self,
        channels: Callable[[], Channels],
        look: Callable[[], Machine | None],
        *,
        wait: float = 0.0,
        makes_bonds: bool = True,
        launcher: Launcher = Launcher(),  # noqa: B008
    ) -> None:
        self._launcher = launcher
        self._makes_bonds = makes_bonds
        self._channels = channels
        self._look = look
        self._wait = wait
        self._settlement: Settlement[Settled] = Settlement()

    def define(self, xml: bytes, vmi: bytes, *, deadline: float) -> Answer:
        """Answer one call before `deadline` (of time.monotonic). Raises PassgateError to refuse, at first only.

        Nothing is remembered of it until `keep` is called: the caller may be gone by now.
        """
        try:
            return self._define(xml, vmi, min(deadline, monotonic() + self._wait))
        except PassgateError as error:
            if not self._settlement.answers and not is_later_pass(xml):
                raise
            return Answer(xml, "", trouble=error.sentence())

    def keep(self, answer: Answer) -> int:
        """Hold to what an answer settled, because it goes out now; tell how many did so far."""
        return self._settlement.keep(answer.settled, counts=answer.counts)

    def _define(self, xml: bytes, text: bytes, patience: float) -> Answer:
        vmi = self._read(text)
        if vmi.is_migration_target:
            # KubeVirt throws the answer away; the real domain is the source's.
            return Answer(xml, str(vmi))
        domain = Domain.parse(xml)
        settled = self._settlement.value or self._settle(domain, vmi, patience)
        later = _has_ours(domain)
        planned, result = settled.put_into(domain, self._launcher)
        room = settled.room(domain, result, self._launcher)
        findings = (*planned.findings, *result.findings, *guards(vmi, result.ours), *room)
        if not self._settlement.answers and not later:
            refuse_unwanted(findings, settled.inputs)
        # What was noticed while gathering is told once.
        kept = settled._replace(inputs=settled.inputs._replace(findings=()), text=text) if result.changes else None
        devices = tuple(change.alias for change in result.changes)
        return Answer(result.xml, str(vmi), devices, findings, settled=kept, counts=True)

    def _read(self, text: bytes) -> Vmi:
        settled = self._settlement.value
        known = settled.inputs.vmi if settled is not None and settled.text == text else None
        return known or parse_vmi(text)

    def _settle(self, domain: Domain, vmi: Vmi, patience: float) -> Settled:
        # The agent writes its file when it sees the pod's allocation, KubeVirt fills network-info when the pod runs:
        # that may be a moment after our start.
        told: list[Inputs] = []

        def told_all() -> bool:
            channels = self._channels()
            told[:] = [self._inputs(channels, domain, vmi)]
            return _are_filled(channels, vmi) and not told[0].lacks

        wait_until(told_all, patience, clock=monotonic, sleep=sleep)
        (inputs,) = told
        for annotation in (BONDS, INTERFACES):
            if annotation in vmi.annotations and not self._makes_bonds:
                what = "nobody reads it here: this sidecar runs without --cloud-init"
                inputs = inputs._replace(findings=(*inputs.findings, BONDS_NOT_READ.found(annotation, what)))
        return Settled(inputs, self._look() if inputs.asks else None)

    def _inputs(self, channels: Channels, domain: Domain, vmi: Vmi) -> Inputs:
        gathered = gather(channels, domain, vmi, resources(vmi))
        return account_inputs(vm_inputs(vmi, (), gathered), gathered)


_DOMAIN = b"""<domain type='kvm'>
  <name>x</name><os><type machine='q35'>hvm</type></os><devices><rng model='virtio'/></devices>
</domain>"""
_VMI = b'{"kind": "VirtualMachineInstance", "spec": {}}'


def warm_up() -> None:
    """Answer a call of no VM, so that what a first one has to make is made: the parser's memory, patterns, tables."""
    core = HookCore(lambda: Channels(environment={"PCI_RESOURCE_X": "0000:00:01.0"}), lambda: None)
    with suppress(PassgateError):
        core.define(_DOMAIN, _VMI, deadline=monotonic())


def _are_filled(channels: Channels, vmi: Vmi) -> bool:
    if channels.network_info and not is_filled(read_file(channels.network_info)):
        return False
    return bool(channels.files or any(map(dialects_of, channels.environment))) or not waits_for_file(vmi)


def is_later_pass(xml: bytes) -> bool:
    """An earlier pass has put devices of ours into the domain."""
    try:
        return _has_ours(Domain.parse(xml))
    except PassgateError:
        return False


def _has_ours(domain: Domain) -> bool:
    """Whether devices of ours are in it, as it was read."""
    return any(aliases.is_ours(holder.alias) for holder in domain.host_devices.values())
