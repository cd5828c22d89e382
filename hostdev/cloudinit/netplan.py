"""Network data for a guest: interfaces by MAC address, and bonds."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from domxml.finding import Finding, FindingKind
from domxml.text import did_you_mean
from hostdev import jsontext
from hostdev.findings.cloudinit import (
    BOND_NOT_POSSIBLE,
    INTERFACE_NOT_MATCHED,
    INTERFACE_NOT_POSSIBLE,
    NETWORK_DATA_NOT_WRITTEN,
)
from hostdev.vmi.addressing import INTERFACES, GuestInterface
from hostdev.vmi.bonds import BONDS, Bond, guest_name, is_guest_name
from hostdev.vmi.vmi import Interface, Vmi

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)


def macs(vmi: Vmi, told: Mapping[str, str]) -> dict[str, str]:
    """The address of each interface whose address is known: the spec's, else the status's, else `told`."""
    entries = map(jsontext.mapping, jsontext.items(vmi.status.get("interfaces")))
    seen = {jsontext.string(entry.get("name")): jsontext.string(entry.get("mac")) for entry in entries}
    found = {}
    for interface in vmi.interfaces:
        texts = (interface.mac, seen.get(interface.name, ""), told.get(interface.name, ""))
        written = [address for text in texts if (address := _plain(text))]
        if written:
            found[interface.name] = written[0]
    return found


def _plain(text: str) -> str:
    """An address as the guest's tools write it; empty: it is none."""
    address = text.strip().lower().replace("-", ":")
    return address if _MAC.fullmatch(address) else ""


OWN_DATA = "the VM's cloud-init has network data of its own, which is never changed"
CONFIG_DRIVE = "the VM's cloud-init is a config drive, whose network data is not netplan's"


def misnamed_bonds(vmi: Vmi, bonds: Sequence[Bond]) -> Iterator[Finding]:
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


def unmatched_bonds(bonds: Sequence[Bond], why_not: Mapping[str, str]) -> Iterator[Finding]:
    """Interfaces that cannot be matched in the guest."""
    for bond in bonds:
        for name in bond.interfaces:
            if name in why_not:
                hint = f"give {name} a macAddress of its own in the VM's spec"
                yield BOND_NOT_POSSIBLE.found(bond.place, f"the interface {name}: {why_not[name]}", hint=hint)


def misplaced_interfaces(
    vmi: Vmi, wanted: Sequence[GuestInterface], bonds: Sequence[Bond], why_not: Mapping[str, str]
) -> Iterator[Finding]:
    """Interfaces that are not the VM's, are a part of a bond, or cannot be matched in the guest."""
    known = {interface.name: True for interface in vmi.interfaces}
    owners = {name: bond for bond in bonds for name in bond.interfaces}
    for one in wanted:
        what, hint = "", ""
        if one.name not in known:
            what = f"the VM has no interface {one.name[:60]!r}"
            hint = did_you_mean(one.name, known) if known else "the VM has no interfaces"
        elif one.name in owners:
            what = f"the interface {one.name} is a part of {owners[one.name].name}"
            hint = f"write the addresses at the bond, in {owners[one.name].place}"
        elif one.name in why_not:
            what = f"the interface {one.name}: {why_not[one.name]}"
            hint = f"give {one.name} a macAddress of its own in the VM's spec"
        if what:
            yield INTERFACE_NOT_POSSIBLE.found(one.place, what, hint=hint)


def homeless(vmi: Vmi, annotation: str) -> Iterator[Finding]:
    """Obstacles in the spec's cloud-init data: nothing can be written into it."""
    volume = vmi.cloud_init
    if volume is None:
        what = f"the VM has no cloud-init volume into which {_OF[annotation].thing} could be written"
        yield _OF[annotation].kind.found(annotation, what, hint="add a cloudInitNoCloud volume")
    elif volume.config_drive:
        yield config_drive(annotation)
    elif volume.network_data:
        yield own_data(annotation)


def config_drive(annotation: str) -> Finding:
    """The format of the volume is not ours."""
    return _OF[annotation].kind.found(annotation, CONFIG_DRIVE, hint="use cloudInitNoCloud")


def own_data(annotation: str) -> Finding:
    """The place is taken."""
    hint = f"write {_OF[annotation].thing} there, and remove the annotation"
    return _OF[annotation].kind.found(annotation, OWN_DATA, hint=hint)


class _Wish(NamedTuple):
    kind: FindingKind
    thing: str


_OF: Mapping[str, _Wish] = {
    BONDS: _Wish(BOND_NOT_POSSIBLE, "a bond"),
    INTERFACES: _Wish(INTERFACE_NOT_POSSIBLE, "the addresses of an interface"),
}
"""What an annotation asks for, and the finding that it cannot be."""


WATCHED = {"mii-monitor-interval": 100}
"""A bond that looks at no link never switches."""
IN_THE_HOST_S_HANDS = {"fail-over-mac-policy": "active"}
"""The host lets a VF change its MAC address only where it is trusted."""


class Network(NamedTuple):
    """The network data of one VM."""

    text: str = ""
    """Empty: nothing is to be written."""
    interfaces: tuple[str, ...] = ()
    """The names in the spec of what it matches."""
    findings: tuple[Finding, ...] = ()


def network(
    vmi: Vmi,
    bonds: Sequence[Bond],
    macs: Mapping[str, str],
    plugged: frozenset[str],
    wanted: Sequence[GuestInterface] = (),
) -> Network:
    """Match each interface with a device of the host, with what is `wanted` of it, and make the bonds.

    `plugged` have a device by a binding plugin.
    """
    passed = [one for one in vmi.interfaces if one.is_sriov or one.name in plugged]
    if not passed and not bonds and not wanted:
        return Network()
    why_not = _why_not(vmi.interfaces, macs)
    _refuse_mistakes(vmi, bonds, wanted, why_not)
    bonded = {name for bond in bonds for name in bond.interfaces}
    settings = {one.name: one.settings for one in wanted}
    findings = [INTERFACE_NOT_MATCHED.found(one.name, why_not[one.name]) for one in passed if one.name in why_not]
    meant = {*(one.name for one in passed), *bonded, *settings} - why_not.keys()
    known = [one for one in vmi.interfaces if one.name in meant]
    if not known:
        return Network(findings=tuple(findings))
    first = _first(vmi, passed, bonded)
    names = _guest_names(vmi.interfaces, taken=[bond.name for bond in bonds])
    ethernets = {
        names[one.name]: _ethernet(
            macs[one.name], names[one.name], settings.get(one.name, {}), dhcp=one.name == (first and first.name)
        )
        for one in known
    }
    if first is not None and first not in known:
        if first.name in why_not:
            return _not_written(first, why_not[first.name], (*bonds, *wanted), findings)
        ethernets = {names[first.name]: {"match": {"macaddress": macs[first.name]}, "dhcp4": True}, **ethernets}
    document: dict[str, Any] = {"version": 2, "ethernets": ethernets}
    if bonds:
        document["bonds"] = {bond.name: _bond(bond, names) for bond in bonds}
    return Network(json.dumps(document, indent=2) + "\n", tuple(one.name for one in known), tuple(findings))


def _refuse_mistakes(
    vmi: Vmi, bonds: Sequence[Bond], wanted: Sequence[GuestInterface], why_not: Mapping[str, str]
) -> None:
    mistakes = (*misnamed_bonds(vmi, bonds), *unmatched_bonds(bonds, why_not))
    for finding in (*mistakes, *misplaced_interfaces(vmi, wanted, bonds, why_not)):
        raise finding.refusal()


def _why_not(interfaces: Sequence[Interface], macs: Mapping[str, str]) -> dict[str, str]:
    """Say why an interface cannot be matched by its address."""
    counts = Counter(macs.values())
    reasons = {one.name: "its MAC address is not known before the VM starts" for one in interfaces}
    for name, mac in macs.items():
        if counts[mac] == 1:
            del reasons[name]
        else:
            reasons[name] = f"another interface has its MAC address {mac} too"
    return reasons


def _first(vmi: Vmi, passed: Sequence[Interface], bonded: set[str]) -> Interface | None:
    """The interface that cloud-init would ask for an address if there were no network data."""
    ordinary = [one for one in vmi.interfaces if one not in passed]
    return next((one for one in (*ordinary, *passed) if one.name not in bonded), None)


def _not_written(
    first: Interface, why: str, asked: Sequence[Bond | GuestInterface], findings: Sequence[Finding]
) -> Network:
    what = f"with network data, cloud-init would no longer configure the interface {first.name}: {why}"
    hint = f"give {first.name} a macAddress of its own in the VM's spec"
    for one in asked:
        kind = BOND_NOT_POSSIBLE if isinstance(one, Bond) else INTERFACE_NOT_POSSIBLE
        raise kind.refused(one.place, what, hint)
    return Network(findings=(*findings, NETWORK_DATA_NOT_WRITTEN.found(first.name, what, hint=hint)))


_MOST_ALIKE = 64
"""No VM has as many interfaces."""


def _guest_names(interfaces: Sequence[Interface], taken: Sequence[str]) -> dict[str, str]:
    """A name for each in the guest; an interface that can have its own has it, whatever the others are called."""
    given: dict[str, str] = {}
    used = set(taken)
    for one in sorted(interfaces, key=lambda one: not is_guest_name(one.name)):
        if one.name in given:
            continue
        tried = (guest_name(f"{one.name}{'~' * number}") for number in range(_MOST_ALIKE))
        name = next((name for name in tried if name not in used), None)
        if name is None:
            what = f"{_MOST_ALIKE} interfaces have names that the guest could not tell apart"
            raise INTERFACE_NOT_POSSIBLE.refused(one.place, what, "give the interfaces shorter names")
        used.add(name)
        given[one.name] = name
    return given


def _ethernet(mac: str, name: str, settings: Mapping[str, Any], *, dhcp: bool) -> dict[str, Any]:
    # Renderers other than netplan look for what a bond names among the names in the guest: they must be the same.
    entry: dict[str, Any] = {"match": {"macaddress": mac}, "set-name": name}
    if not dhcp:
        return {**entry, **settings, "optional": True}
    # cloud-init would ask by DHCP on the first interface: it does until the author says how it gets its address.
    told = {"addresses", "dhcp4", "dhcp6"} & settings.keys()
    return {**entry, **({} if told else {"dhcp4": True}), **settings}


def _bond(bond: Bond, names: Mapping[str, str]) -> dict[str, Any]:
    parameters: dict[str, str | int] = {"mode": bond.mode, **WATCHED}
    if bond.mode == "active-backup":
        parameters.update(IN_THE_HOST_S_HANDS)
    parameters.update(bond.parameters)
    if "primary" in parameters:
        parameters["primary"] = names[str(parameters["primary"])]
    return {"interfaces": [names[name] for name in bond.interfaces], **bond.settings, "parameters": parameters}
