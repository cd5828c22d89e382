"""A VM before it exists: the passes of its boot on paper, and where each device sits in the guest at the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lxml import etree

from domxml import alias as aliases
from domxml.document import Domain, Element
from domxml.errors import PassgateError
from domxml.finding import Finding
from domxml.kubevirt import places_again
from domxml.pciaddress import PciAddress
from domxml.source import HostDevice
from hostdev.allocation.allocation import merge
from hostdev.allocation.kubevirt import from_domain
from hostdev.inject.hook import Settled
from hostdev.inject.plan import Inputs
from hostdev.inject.room import room_findings
from hostdev.inject.vmplan import account_inputs, guards, vm_inputs
from hostdev.jsonutil import as_object
from hostdev.kubevirt import standin
from hostdev.kubevirt.admission import admit
from hostdev.kubevirt.boot import boot
from hostdev.kubevirt.channels import Asked, Brought, bring, is_assumed
from hostdev.kubevirt.domain import first_domain
from hostdev.kubevirt.guestnames import guest_address_of, names
from hostdev.kubevirt.ports import Guest
from hostdev.kubevirt.releases import Release
from hostdev.kubevirt.spec import Fields, Spec
from hostdev.vmi.vmi import CODE, Vmi, vmi_of


class Item(NamedTuple):
    """A device of the guest."""

    element: str
    alias: str = ""
    name: str = ""
    """What a Linux guest calls it, where that follows from its place."""
    guest: PciAddress | None = None
    ours: bool = False
    source: HostDevice | None = None
    """The host device behind it."""
    assumed: bool = False
    """Nothing tells which host device it is; there is one of it by count."""
    model: str = ""

    @property
    def is_port(self) -> bool:
        """A PCI controller: there for devices to sit on."""
        return self.element == "controller" and self.model.startswith("pci")

    @property
    def label(self) -> str:
        """How it is told apart from all others of a VM, over releases and edits."""
        return f"{self.element} {self.alias}".strip() if self.alias else f"{self.element} {self.model}".strip()


class VmPlan(NamedTuple):
    """What becomes of a VM on a release; where libvirt's answer is not known there are no items."""

    vm: str
    release: Release
    passes: int = 0
    items: tuple[Item, ...] = ()
    unknown: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    first: bytes = b""
    """The domain that virt-launcher hands to the hook at first, without its placeholders."""
    last: bytes = b""
    """What libvirt is handed at last."""
    final: bytes = b""
    """What it makes of that."""
    vmi: Vmi = Vmi()


class Made(NamedTuple):
    """A VM as virt-launcher is given it, and the domain that it makes of it at first."""

    vmi: Fields
    domain: bytes
    parsed: Vmi
    brought: Brought
    unknown: tuple[str, ...] = ()


def make_domain(value: Fields, asked: Asked) -> Made:
    """Admit a VM or VMI as its manifest has it, and convert it."""
    admitted = admit(value, asked.release, asked.cluster, asked.beside)
    vmi = vmi_of(as_object(admitted.vmi, "", CODE))
    spec = Spec(admitted.vmi)
    brought = bring(spec, vmi, asked)
    domain = first_domain(spec, asked.release, brought.pod)
    return Made(admitted.vmi, domain, vmi, brought, (*admitted.unknown, *brought.assumed))


def plan_vm(value: Fields, asked: Asked) -> VmPlan:
    """Plan a VM or VMI as its manifest has it. Refuses what virt-launcher, or the sidecar, would refuse."""
    made = make_domain(value, asked)
    done = VmPlan(str(made.parsed), asked.release, first=made.domain, vmi=made.parsed)
    hook = _Hook(made.parsed, made.brought, asked)
    guest = Guest.of_vmi(made.parsed, Domain.parse(made.domain))
    try:
        passes = boot(made.domain, hook.answer, standin.define, guest, asked.release)
    except PassgateError as error:
        if error.code != standin.UNKNOWN:
            raise
        return done._replace(unknown=(*made.unknown, *hook.unknown, error.message), findings=hook.findings)
    final = passes[-1].defined
    return done._replace(
        passes=len(passes),
        items=items_of(Domain.parse(final)),
        unknown=(*made.unknown, *hook.unknown),
        findings=(*hook.findings, *room_findings(final, asked.machine, libvirt=asked.launcher.libvirt)),
        last=passes[-1].answered,
        final=final,
    )


class _Hook:
    """The sidecar's code, for one boot."""

    def __init__(self, vmi: Vmi, brought: Brought, asked: Asked) -> None:
        self._vmi, self._brought, self._asked = vmi, brought, asked
        self._launcher = asked.launcher._replace(again=places_again(asked.release.name))
        self._settled: Settled | None = None
        self.findings: tuple[Finding, ...] = ()
        self.unknown: tuple[str, ...] = ()

    def answer(self, given: bytes) -> bytes:
        if not self._asked.sidecar:
            return given
        domain = Domain.parse(given)
        first = self._settled is None
        settled = self._settled or self._settle(domain)
        planned, result = settled.put_into(domain, self._launcher)
        if first:
            self.findings = (*planned.findings, *result.findings, *guards(self._vmi, result.ours))
        if result.changes:
            self._settled = settled._replace(inputs=settled.inputs._replace(findings=()))
        return result.xml

    def _settle(self, domain: Domain) -> Settled:
        gathered = merge(from_domain(domain), self._brought.gathered)
        inputs = account_inputs(vm_inputs(self._vmi, (), gathered), gathered)
        inputs = inputs._replace(allowed=inputs.allowed | self._asked.allowed)
        return Settled(self._with_functions(inputs), self._asked.machine if inputs.asks else None)

    def _with_functions(self, inputs: Inputs) -> Inputs:
        """How many functions a host's slot has is not known without the host: one is taken for all of them."""
        known = {one.resource for one in inputs.allocations if not is_assumed(one.device)}
        resources = {device.name: device.resource for device in self._vmi.devices}
        if inputs.requests is None:
            return inputs
        doubtful = [
            request
            for request in inputs.requests
            if request.functions == "all"
            and (self._asked.machine is None or (request.resource or resources.get(request.device)) not in known)
        ]
        for request in doubtful:
            name = request.resource or request.device or str(request.address)
            self.unknown += (f"{name}: functions=all depends on the host, one function is taken",)
        taken = (one._replace(functions="one") if one in doubtful else one for one in inputs.requests)
        return inputs._replace(requests=tuple(taken))


def items_of(domain: Domain) -> tuple[Item, ...]:
    """Every device with a place in the guest's PCI tree or a name by it, in the order of the places; ports last."""
    called, held = names(domain), {holder.element: device for device, holder in domain.host_devices.items()}
    found = [
        _item(element, called, held)
        for element in domain.devices.iterchildren(etree.Element)
        if guest_address_of(element) is not None or element in called
    ]
    found.sort(key=lambda item: (item.is_port, item.guest is None, item.guest))
    return tuple(found)


def _item(element: Element, called: Mapping[Element, str], held: Mapping[Element, HostDevice]) -> Item:
    alias = element.find("alias")
    name = "" if alias is None else alias.get("name", "")
    source = held.get(element)
    return Item(
        str(element.tag),
        name,
        called.get(element, ""),
        guest_address_of(element),
        element.tag == "hostdev" and aliases.is_ours(name),
        source,
        source is not None and is_assumed(source),
        _model(element),
    )


def _model(element: Element) -> str:
    if element.tag == "controller":
        kind = element.get("type", "")
        return f"{element.get('model', '') if kind == 'pci' else kind} {element.get('index', '0')}"
    model = element.find("model")
    return element.get("model", "") or ("" if model is None else model.get("type", ""))
