"""KubeVirt releases that forget where libvirt put a VM's devices, and have it place them again beside empty ports."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Finding
from domxml.guestfindings import KUBEVIRT_PLACES_AGAIN
from domxml.guestpci.buses import MODELS
from domxml.guestpci.connect import Step
from domxml.guestpci.prediction import Prediction, predict
from domxml.guestpci.topology import Device, Topology
from domxml.kubevirt import LAST_PORT, placeholders, spare_ports
from domxml.placement.room import PORT


def is_placed_again(topology: Topology) -> bool:
    """Whether this is the first pass of a VM that some releases place twice: no placeholders, and ports to add."""
    return (
        topology.pcie
        and topology.controller(0) is None
        and not any(port.model == PORT and port.address is None for port in topology.controllers)
        and not placeholders(topology.domain)
        and spare_ports(topology.domain) > 0
    )


def add_ports(topology: Topology) -> None:
    """Put in the empty ports of the second placement, as they will be written: without addresses."""
    highest = max(topology.max_index, 0)
    for index in range(highest + 1, min(highest + spare_ports(topology.domain), LAST_PORT) + 1):
        port = Device(None, {}, MODELS[PORT].plugs_as, Step.PCI_CONTROLLER)
        port.kind, port.model, port.index = "pci", PORT, index
        topology.controllers.append(port)


def differences(topology: Topology) -> Iterator[Finding]:
    """Tell which devices of the VM would be elsewhere on a release that places them again."""
    again = Topology(topology.domain)
    add_ports(again)
    first, second = predict(topology), predict(again)
    if not first.known or not second.known:
        return
    then = {device.element: address for device, address in _of_document(second)}
    for device, address in _of_document(first):
        there = then.get(device.element, address)
        if device.wants and there != address:
            yield KUBEVIRT_PLACES_AGAIN.found(device.label, f"it is at {address}, and would be at {there} without us")


def _of_document(prediction: Prediction) -> Iterator[tuple[Device, object]]:
    return ((d, a) for d, a in (prediction.addresses or {}).items() if d.element is not None)
