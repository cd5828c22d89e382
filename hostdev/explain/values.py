"""What a message is about: addresses, UUIDs, groups, resources, objects; only what has the shape of one."""

from __future__ import annotations

import re
from typing import NamedTuple

_ADDRESS = re.compile(r"(?<![\w:.])(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])(?![\w.]|:[0-9a-f])")
_NVIDIA = re.compile(r"\bpci:([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})\b(?!\.)")
_NODEDEV = re.compile(r"\bpci_([0-9a-f]{4})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])\b")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_GROUP = re.compile(r"\b(?:iommu[_ ])?group (?:number )?([0-9]{1,7})\b|/dev/vfio/([0-9]{1,7})\b")
_RESOURCE = re.compile(
    r"(?<![\w/.@-])[a-z0-9-]+(?:\.[a-z0-9-]+)+/[a-z0-9](?:[a-z0-9._-]{0,60}[a-z0-9])?(?![\w/])", re.IGNORECASE
)
_OBJECT = re.compile(r"\b(?:virtualmachineinstance|virtualmachine|vmi|vm|pod)/[a-z0-9][a-z0-9.-]{0,250}")
_LAUNCHER = re.compile(r"\bvirt-launcher-[a-z0-9](?:[a-z0-9-]{0,240}[a-z0-9])")
_IMAGE = re.compile(
    r"\.(?:go|py|so|yaml|json|log|sh|com/v\d|io/v\d)|^(?:docker|ghcr|quay|gcr|registry)\.|^\d|kubernetes\.io/|github\.com/"
)
_MAP = re.compile(r"dma_(?:map|unmap)\w*\s?\(\s?(?:0x[0-9a-f]+|[^,()]{1,40}), (0x[0-9a-f]+), (0x[0-9a-f]+)")
_DRIVER = re.compile(r"(?<![\w/.-])([a-z][a-z0-9_-]{1,30}) (?:[0-9a-f]{4,8}:)[0-9a-f]{2}:[01][0-9a-f]\.[0-7](?=[: ])")
_NO_DRIVER = frozenset({"vfio", "device", "pci", "for", "error", "gpu", "of", "to", "in", "is", "on", "at", "from"})
_MOST = 12
_PLACEHOLDER = re.compile(r"\b(DEVICE|GPU|GROUP|UUID|POD|VM|RESOURCE)\b")
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_-]{0,252}", re.ASCII)


class Values(NamedTuple):
    """What was taken from a text."""

    addresses: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()

    @property
    def about(self) -> tuple[str, ...]:
        """All of them, for a reader."""
        groups = (f"group {number}" for number in self.groups)
        pods = (pod for pod in self.pods if f"pod/{pod}" not in self.objects)
        return tuple(dict.fromkeys((*self.objects, *self.addresses, *self.uuids, *groups, *self.resources, *pods)))

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
    addresses = [f"{found[1] or '0000'}:{found[2]}" for found in _ADDRESS.finditer(text)]
    addresses += [f"{found[1]}:{found[2]}:{found[3]}.0" for found in _NVIDIA.finditer(text)]
    addresses += [f"{found[1]}:{found[2]}:{found[3]}.{found[4]}" for found in _NODEDEV.finditer(text)]
    resources = [found for found in _RESOURCE.findall(text) if not _IMAGE.search(found)]
    groups = [first or second for first, second in _GROUP.findall(text)]
    return Values(
        *(
            tuple(dict.fromkeys(found))[:_MOST]
            for found in (
                addresses,
                _UUID.findall(text),
                groups,
                resources,
                _LAUNCHER.findall(text),
                _OBJECT.findall(text),
            )
        )
    )


def dma_mappings(text: str) -> tuple[Mapping, ...]:
    """Each DMA mapping that a text speaks of."""
    return tuple(Mapping(int(found[1], 16), int(found[2], 16)) for found in _MAP.finditer(text))


def drivers_named(text: str) -> frozenset[str]:
    """The drivers in front of addresses, as the kernel writes them."""
    return frozenset(_DRIVER.findall(text)) - _NO_DRIVER


def fill_command(command: str, values: Values) -> str:
    """The command for this text; words in capitals stay where the text does not tell."""
    known = _known(values)
    return _PLACEHOLDER.sub(lambda word: known.get(word[0], word[0]), command)


def _known(values: Values) -> dict[str, str]:
    device = values.addresses or values.uuids
    vms = tuple(one.partition("/")[2] for one in values.objects if not one.startswith("pod/"))
    pods = values.pods or tuple(one.partition("/")[2] for one in values.objects if one.startswith("pod/"))
    choices = {
        "DEVICE": device,
        "GPU": values.addresses,
        "GROUP": values.groups,
        "UUID": values.uuids,
        "POD": pods,
        "VM": vms,
        "RESOURCE": values.resources,
    }
    return {name: found[0] for name, found in choices.items() if len(found) == 1 and _SAFE.fullmatch(found[0])}
