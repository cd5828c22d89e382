"""What a message is about: addresses, UUIDs, groups, resources, objects; only what has the shape of one."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from hostdev.explain.addresses import addresses_in

_UUID = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])")
_OTHER_UUID = re.compile(
    r"(?:\buid|pod_?uid|\bpods?|claim|claims|-uuid|<uuid>|name=guest=\S{1,80}|machineid|bootid|request-?id|trace-?id)"
    r"[ =:/(,]{0,2}$"
)
"""What stands before a UUID of a pod, a VM, a claim or a request; NVIDIA's are behind `gpu-`."""
_GROUP = re.compile(
    r"\b(?:iommu[_ ])?group (?:number )?([0-9]{1,7})\b|/dev/vfio/([0-9]{1,7})\b|/iommu_groups/([0-9]{1,7})\b"
)
_RESOURCE = re.compile(
    r"(?<![\w/.@-])[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9](?:[a-z0-9._-]{0,60}[a-z0-9])?(?![\w/])", re.IGNORECASE
)
_VARIABLE = re.compile(r"(?<![\w-])((?:mdev_)?pci_resource_\w[\w-]*|pcidevice_\w+)\b")
_OBJECT = re.compile(r"\b(?:virtualmachineinstance|virtualmachine|vmi|vm|pod)/[a-z0-9][a-z0-9.-]{0,250}")
_LAUNCHER = re.compile(r"\bvirt-launcher-[a-z0-9](?:[a-z0-9-]{0,240}[a-z0-9])")
_OF_LAUNCHER = re.compile(r"virt-launcher-(.+)-[a-z0-9]{5}")
_NAME = r"[a-z0-9](?:[a-z0-9-]{0,250}[a-z0-9])?"
_SPACES = (
    re.compile(rf"(?<![\w./-])(?!pods?/)({_NAME})/(virt-launcher-{_NAME})"),
    re.compile(rf"(?<!{{)\bname: ?({_NAME}), ?namespace: ?({_NAME})(?=[,}} ]|$)"),
    re.compile(rf"\bvm: ?({_NAME})/({_NAME})(?=[,}} ]|$)"),
)
"""A pod with its namespace, a VMI in KubeVirt's logs, a VM in Passgate's."""
_OTHER_KIND = re.compile(r"\bkind: ?(?!virtualmachine)[a-z]")
_IMAGE = re.compile(
    r"\.(?:go|py|so|yaml|json|log|sh|com/v\d|io/v\d)|^(?:docker|ghcr|quay|gcr|registry)\.|^\d|kubernetes\.io/|github\.com/"
)
_MAP = re.compile(r"dma_(?:map|unmap)\w*\s?\(\s?(?:0x[0-9a-f]+|[^,()]{1,40}), (0x[0-9a-f]+), (0x[0-9a-f]+)")
_DRIVER = re.compile(r"(?<![\w/.-])([a-z][a-z0-9_-]{1,30}) (?:[0-9a-f]{4,8}:)[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?=[: ])")
_NO_DRIVER = frozenset({"vfio", "device", "pci", "for", "error", "gpu", "of", "to", "in", "is", "on", "at", "from"})
_MOST = 12
_PLACEHOLDER = re.compile(r"\b(DEVICE|GPU|GROUP|UUID|POD|VM|RESOURCE)\b")
_BY_LABEL = re.compile(r"^(kubectl (?:logs|describe pod|get pod)) POD\b")
_NAMESPACED = re.compile(r"^(`?kubectl (?:describe (?:vm|vmi|pod)|logs|get pod|exec))(?! -n)\b")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_-]{0,252}", re.ASCII)


class Values(NamedTuple):
    """What was taken from a text."""

    addresses: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    @property
    def about(self) -> tuple[str, ...]:
        """All of them, for a reader."""
        groups = (f"group {number}" for number in self.groups)
        pods = (pod for pod in self.pods if f"pod/{pod}" not in self.objects)
        return tuple(
            dict.fromkeys(
                (*self.objects, *self.addresses, *self.uuids, *groups, *self.resources, *self.variables, *pods)
            )
        )

    def joined(self, other: Values) -> Values:
        """Both, each value once."""
        return Values(
            *(tuple(dict.fromkeys((*mine, *others)))[:_MOST] for mine, others in zip(self, other, strict=True))
        )


class Mapping(NamedTuple):
    """What was to be mapped for DMA: the guest's address, and how much."""

    address: int
    size: int


def take_values(text: str) -> Values:
    """The values of a plain text."""
    groups = [next(filter(None, found)) for found in _GROUP.findall(text)]
    vms, spaces = _namespaced(text)
    found = (
        addresses_in(text),
        mediated_devices(text),
        groups,
        resources_in(text),
        _LAUNCHER.findall(text),
        (*_OBJECT.findall(text), *vms),
        (name.upper() for name in _VARIABLE.findall(text)),
        spaces,
    )
    return Values(*(tuple(dict.fromkeys(values))[:_MOST] for values in found))


def resources_in(text: str) -> list[str]:
    """The resources of kubelet that a text names."""
    return [found for found in _RESOURCE.findall(text) if not _IMAGE.search(found)]


def mediated_devices(text: str) -> list[str]:
    """The UUIDs of a text, but for those that it calls a pod's or a VM's."""
    return [
        found[0]
        for found in _UUID.finditer(text)
        if not _OTHER_UUID.search(text, max(found.start() - 100, 0), found.start())
    ]


def _namespaced(text: str) -> tuple[list[str], list[str]]:
    """VMs that stand with their namespace, and the namespaces."""
    of_pod, of_vmi, of_vm = (pattern.findall(text) for pattern in _SPACES)
    of_vmi = [] if _OTHER_KIND.search(text) else of_vmi
    names = [name for name, _ in of_vmi if not name.startswith("virt-launcher-")] + [name for _, name in of_vm]
    spaces = [space for space, _ in of_pod] + [space for _, space in of_vmi] + [space for space, _ in of_vm]
    return [f"vmi/{name}" for name in names], spaces


def dma_mappings(text: str) -> tuple[Mapping, ...]:
    """Each DMA mapping that a text speaks of."""
    return tuple(Mapping(int(found[1], 16), int(found[2], 16)) for found in _MAP.finditer(text))


def drivers_named(text: str) -> frozenset[str]:
    """The drivers in front of addresses, as the kernel writes them."""
    return frozenset(_DRIVER.findall(text)) - _NO_DRIVER


def fill_command(command: str, values: Values) -> str:
    """The command for this text; words in capitals stay where the text does not tell."""
    known = _known(values)
    if "POD" not in known and "VM" in known:
        # Of a pod that is not named its VM's label tells; `kubectl exec` takes none.
        command = _BY_LABEL.sub(lambda found: f"{found[1]} -l vm.kubevirt.io/name={known['VM']}", command)
    filled = _PLACEHOLDER.sub(lambda word: known.get(word[0], word[0]), command)
    space = values.namespaces[0] if len(values.namespaces) == 1 and known else ""
    return add_namespace(filled, space if _SAFE.fullmatch(space) else "")


def add_namespace(command: str, namespace: str) -> str:
    """The command of kubectl, for an object of a namespace."""
    return _NAMESPACED.sub(lambda found: f"{found[1]} -n {shlex.quote(namespace)}", command) if namespace else command


def _known(values: Values) -> dict[str, str]:
    vms, pods = (_names(values.objects, of_pods=of_pods) for of_pods in (False, True))
    launchers = tuple(dict.fromkeys((*values.pods, *pods)))
    owners = [found[1] for pod in launchers if (found := _OF_LAUNCHER.fullmatch(pod))]
    choices = {
        "DEVICE": values.addresses or values.uuids,
        "GPU": values.addresses,
        "GROUP": values.groups,
        "UUID": values.uuids,
        "POD": launchers,
        "VM": vms or tuple(dict.fromkeys(owners)),
        "RESOURCE": values.resources,
    }
    return {name: found[0] for name, found in choices.items() if len(found) == 1 and _SAFE.fullmatch(found[0])}


def _names(objects: tuple[str, ...], *, of_pods: bool) -> tuple[str, ...]:
    """The names of the VMs, or of the pods, among `kind/name`."""
    return tuple(dict.fromkeys(one.partition("/")[2] for one in objects if one.startswith("pod/") is of_pods))
