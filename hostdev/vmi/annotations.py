"""The annotations by which the VM's author talks to us."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hostdev.request import Request
from hostdev.vmi.bonds import BONDS, Bond, read_bonds
from hostdev.vmi.devices import DEVICES, read_devices
from hostdev.vmi.policy import POLICY, Policy, read_policy
from hostdev.vmi.vmi import Vmi

PREFIX = "passgate.dev/"
KNOWN: Mapping[str, str] = MappingProxyType(
    {DEVICES: "which devices", POLICY: "what to do about findings", BONDS: "interfaces that belong together"}
)
"""Every annotation of ours, and what it is about."""


def requests(vmi: Vmi) -> tuple[Request, ...] | None:
    """What the VM's author asks for; None: nothing is said, and everything that was allocated is meant."""
    text = vmi.annotations.get(DEVICES)
    if text is None:
        return None
    read = read_devices(text)
    if read.errors:
        raise read.errors[0]
    return tuple(request for request in read.entries if request is not None)


def policy(vmi: Vmi) -> Policy:
    """What the VM's author takes upon himself; nothing, unless it is said."""
    text = vmi.annotations.get(POLICY)
    if text is None:
        return Policy()
    read, errors = read_policy(text)
    if errors:
        raise errors[0]
    return read


def bonds(vmi: Vmi) -> tuple[Bond, ...]:
    """The interfaces that the VM's author wants to be one."""
    text = vmi.annotations.get(BONDS)
    if text is None:
        return ()
    read, errors = read_bonds(text)
    if errors:
        raise errors[0]
    return read
