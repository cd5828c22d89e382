"""VMs for tests, what they ask of a fleet, and nodes of recorded machines."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import yaml

from domxml.pciaddress import PciAddress
from hostdev.binding.statefile import read_states_among
from hostdev.fleet.demand import read_demand, read_meanings
from hostdev.fleet.node import Node
from hostdev.fleet.placement import Answer, Asked
from hostdev.inventory import pciids
from hostdev.inventory.recorded.recording import Origin
from hostdev.lint.neighbours import neighbours
from hostdev.lint.objects import VM_KINDS, Object
from tests.hostdev.fleet.fleets import NOW
from tests.hostdev.machines.fixtures import picture

H100 = "nvidia.com/H100"
WEEK = timedelta(days=7)
TAKEN = Origin("2026-11-28T11:00:00Z")
KUBEVIRT = """
kind: KubeVirt
metadata: {name: kubevirt}
spec:
  configuration:
    permittedHostDevices:
      pciHostDevices:
        - {pciVendorSelector: "10DE:2330", resourceName: nvidia.com/H100}
        - {pciVendorSelector: "8086:154C", resourceName: intel.com/x710vf}
        - {pciVendorSelector: "10de:2571", resourceName: nvidia.com/A2000}
      mediatedDevices:
        - {mdevNameSelector: GRID T4-8Q, resourceName: nvidia.com/T4-8Q}
"""


def vm(spec: str = "", more: Mapping[str, int] = MappingProxyType({}), **resources: int) -> Object:
    named = {"h100": H100, "vf": "intel.com/x710vf", "a2000": "nvidia.com/A2000", "mdev": "nvidia.com/T4-8Q"}
    limits = {named.get(key, key): str(count) for key, count in {**more, **resources}.items()}
    value = yaml.safe_load(f"{{kind: VirtualMachineInstance, metadata: {{name: v}}, spec: {{{spec}}}}}")
    value["spec"].setdefault("domain", {})["resources"] = {"limits": limits}
    return Object(value)


def asked(one: Object, *files: str, said: tuple[str, ...] = (), **changes: Any) -> Asked:
    objects = [one, *(Object(value) for text in (KUBEVIRT, *files) for value in yaml.safe_load_all(text))]
    beside = neighbours(objects, VM_KINDS)
    states = [state for text in files for state in read_states_among(text.encode(), "state.yaml")]
    meanings = read_meanings(beside, states, said, pciids.namer(None, live=False))
    return Asked(read_demand(one, beside, meanings), NOW, WEEK, {}, **changes)


def node(name: str, *held: str, origin: Origin = TAKEN) -> Node:
    return Node("n", picture(name), origin, {PciAddress.parse(address): "it is 1" for address in held})


def counted(answer: Answer) -> tuple[str, int, int | None]:
    return str(answer.verdict), answer.least, answer.most


def codes(answer: Answer) -> set[str]:
    return {one.code for one in answer.findings}
