"""The names of our devices. Libvirt drops any other alias without a word, and virt-launcher then crashes on it."""

from __future__ import annotations

import re

PREFIX = "ua-passgate-"
"""Not ua-sriov-, ua-gpu- or ua-hostdevice-: virt-launcher acts on those by itself."""
KUBEVIRT_PREFIXES = ("ua-gpu-", "ua-hostdevice-", "ua-sriov-", "ua-dra-gpu-", "ua-dra-hostdevice-")
"""The aliases under which KubeVirt puts devices of the VM's spec into a domain."""
MAX_NAME = 63

_LEGAL = re.compile(r"ua-[A-Za-z0-9_-]+", re.ASCII)
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+", re.ASCII)
_NUMBERS = re.compile(r"(\d+)")


def is_legal(alias: str) -> bool:
    """Such an alias stays in libvirt's inactive XML, and no other."""
    return bool(_LEGAL.fullmatch(alias))


def is_ours(alias: str) -> bool:
    """Whether an earlier pass of ours wrote it."""
    return alias.startswith(PREFIX)


def kubevirt_name(alias: str) -> str:
    """The name in the VM's spec of a device that KubeVirt put into the domain; empty for any other."""
    return next((alias.removeprefix(start) for start in KUBEVIRT_PREFIXES if alias.startswith(start)), "")


def name_from(text: str) -> str:
    """A name for a device, made of a resource name or whatever else there is."""
    return _ILLEGAL.sub("-", text).strip("-")[:MAX_NAME] or "device"


def alias_for(name: str) -> str:
    return PREFIX + name


def natural_order(name: str) -> tuple[object, ...]:
    """Sort key under which qat-2 comes before qat-10."""
    return tuple(int(part) if part.isdigit() else part for part in _NUMBERS.split(name))
