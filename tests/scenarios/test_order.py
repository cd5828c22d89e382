"""In whichever order things come, a device that was asked for by name has the same alias and guest address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domxml.document import Domain
from domxml.transform import transform
from hostdev.allocation.allocation import merge
from hostdev.allocation.environment import from_environment
from hostdev.allocation.kubevirt import from_domain
from hostdev.inject.plan import plan
from hostdev.inject.vmplan import resources, vm_inputs
from hostdev.vmi.annotations import DEVICES
from hostdev.vmi.vmi import Vmi, parse_vmi
from tests.domxml.domains import load

QAT = ("0000:3d:01.0", "0000:3d:02.2", "0000:3f:01.1")
VFS = ("0000:3b:02.0", "0000:3b:02.1", "0000:af:02.7")
GPUS = {"gpu-a": "0000:19:00.0", "gpu-b": "0000:1a:00.0", "gpu-c": "0000:4a:00.0"}
REQUESTS = (
    {"resource": "qat.intel.com/generic", "name": "qat", "count": 3},
    {"resource": "intel.com/x710", "name": "net", "guestAddress": ["0000:20:00.0", "0000:21:00.0", "0000:22:00.0"]},
    {"address": "0000:5e:00.0", "name": "nvme"},
    {"address": "0000:5f:00.0", "name": "disk", "guestAddress": "0000:23:00.0"},
    {"device": "gpu-b", "name": "first", "guestAddress": "0000:18:00.0", "rom": {"bar": "off"}},
    {"device": "gpu-c", "guestAddress": "0000:19:00.0"},
)


class Order(NamedTuple):
    """One order in which everything comes."""

    qat: tuple[str, ...] = QAT
    vfs: tuple[str, ...] = VFS
    variables: tuple[int, ...] = (0, 1, 2, 3, 4)
    gpus: tuple[str, ...] = tuple(GPUS)
    requests: tuple[int, ...] = tuple(range(len(REQUESTS)))


def orders() -> st.SearchStrategy[Order]:
    usual = Order()
    return st.builds(Order, *(st.permutations(part).map(tuple) for part in usual))


def environment(order: Order) -> Mapping[str, str]:
    told = [(f"QAT{number}", address) for number, address in enumerate(order.qat)]
    told += [
        ("PCIDEVICE_INTEL_COM_X710", ",".join(order.vfs)),
        ("PCI_RESOURCE_NVIDIA_COM_GPU", ",".join(map(GPUS.__getitem__, order.gpus))),
    ]
    return dict(told[number] for number in order.variables)


def domain(order: Order) -> Domain:
    parsed = Domain.parse(load("q35-default"))
    for name in order.gpus:
        bus, _, rest = GPUS[name].removeprefix("0000:").partition(":")
        hostdev = etree.SubElement(parsed.devices, "hostdev", type="pci", managed="no")
        source = etree.SubElement(hostdev, "source")
        slot, _, function = rest.partition(".")
        address = {"domain": "0x0000", "bus": f"0x{bus}", "slot": f"0x{slot}", "function": f"0x{function}"}
        etree.SubElement(source, "address", {"type": "pci", **address})
        etree.SubElement(hostdev, "alias", name=f"ua-gpu-{name}")
    return Domain.parse(parsed.serialise())


def vmi(order: Order) -> Vmi:
    asked = json.dumps([REQUESTS[number] for number in order.requests])
    gpus = [{"name": name, "deviceName": "nvidia.com/GPU"} for name in order.gpus]
    limits = {"qat.intel.com/generic": "3", "intel.com/x710": "3"}
    spec = {"domain": {"devices": {"gpus": gpus}, "resources": {"limits": limits}}}
    return parse_vmi(json.dumps({"metadata": {"annotations": {DEVICES: asked}}, "spec": spec}).encode())


def outcome(order: Order) -> dict[str, tuple[str, str]]:
    """Alias and guest address by source, for all that was asked for."""
    parsed, wanted_by = domain(order), vmi(order)
    told = from_environment(environment(order), resources(wanted_by), channel="environment")
    inputs = vm_inputs(wanted_by, (), merge(from_domain(parsed), told))
    result = transform(parsed, plan(parsed, inputs, None).slots)
    return {str(one.placed.function.device): (one.alias, str(one.placed.address)) for one in result.changes}


USUAL = outcome(Order())


@given(orders())
def test_order_does_not_matter(order: Order) -> None:
    assert outcome(order) == USUAL


def test_all_of_it_was_asked_for() -> None:
    """The property speaks of every device, and of different ones."""
    seats = dict(USUAL.values())

    assert set(seats) == {
        *("ua-passgate-qat-1", "ua-passgate-qat-2", "ua-passgate-qat-3", "ua-passgate-nvme", "ua-passgate-disk"),
        *("ua-passgate-net-1", "ua-passgate-net-2", "ua-passgate-net-3", "ua-gpu-gpu-b", "ua-gpu-gpu-c"),
    }
    assert len(set(seats.values())) == len(seats)
    assert USUAL["0000:3b:02.1"] == ("ua-passgate-net-2", "0000:21:00.0")
