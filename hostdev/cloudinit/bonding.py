"""Bonds against the VM that they are wanted for: what keeps them from being made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from domxml.finding import Finding
from domxml.text import did_you_mean
from hostdev.catalogue.cloudinit import BOND_NOT_POSSIBLE
from hostdev.vmi.bonds import BONDS, Bond
from hostdev.vmi.vmi import Vmi

OWN_DATA = "the VM's cloud-init has network data of its own, which is never changed"
CONFIG_DRIVE = "the VM's cloud-init is a config drive, whose network data is not netplan's"


def misnamed(vmi: Vmi, bonds: Sequence[Bond]) -> Iterator[Finding]:
    """Names that are not the VM's, or are taken."""
    known = {interface.name: True for interface in vmi.interfaces}
    for bond in bonds:
        if bond.name in known:
            what = f"the bond is named {bond.name}, as an interface of the VM is"
            yield BOND_NOT_POSSIBLE.found(f"{bond.place}.name", what, hint="give the bond another name")
        for index, name in enumerate(bond.interfaces):
            if name not in known:
                hint = did_you_mean(name, known) if known else "the VM has no interfaces"
                what = f"the VM has no interface {name[:60]!r}"
                yield BOND_NOT_POSSIBLE.found(f"{bond.place}.interfaces[{index}]", what, hint=hint)


def unmatched(bonds: Sequence[Bond], why_not: Mapping[str, str]) -> Iterator[Finding]:
    """Interfaces that cannot be matched in the guest."""
    for bond in bonds:
        for name in bond.interfaces:
            if name in why_not:
                hint = f"give {name} a macAddress of its own in the VM's spec"
                yield BOND_NOT_POSSIBLE.found(bond.place, f"the interface {name}: {why_not[name]}", hint=hint)


def homeless(vmi: Vmi) -> Iterator[Finding]:
    """What the spec tells of cloud-init data into which no bond can be written."""
    volume = vmi.cloud_init
    if volume is None:
        what = "the VM has no cloud-init volume into which a bond could be written"
        yield BOND_NOT_POSSIBLE.found(BONDS, what, hint="add a cloudInitNoCloud volume")
    elif volume.config_drive:
        yield config_drive()
    elif volume.network_data:
        yield own_data()


def config_drive() -> Finding:
    """The format of the volume is not ours."""
    return BOND_NOT_POSSIBLE.found(BONDS, CONFIG_DRIVE, hint="use cloudInitNoCloud")


def own_data() -> Finding:
    """The place is taken."""
    return BOND_NOT_POSSIBLE.found(BONDS, OWN_DATA, hint="write the bond there, and remove the annotation")
