"""The devices of the spec, and what KubeVirt makes of a VM that gets more of them."""

from __future__ import annotations

from collections.abc import Iterator

from domxml import alias as aliases
from domxml.finding import Finding, Severity
from domxml.guestfindings import NUMA_NOT_POSSIBLE
from domxml.text import did_you_mean, listed
from hostdev.findings.matching import DEVICE_NOT_FOUND
from hostdev.findings.spec import ALIAS_DROPPED, DRA_CLAIM_MISSING, DRA_DEVICE, NETWORK_INJECTOR
from hostdev.inject.vmplan import guards
from hostdev.lint.view import Asked, View


def unseen(view: View) -> Iterator[Finding]:
    """Things that KubeVirt does not do for devices that it does not know."""
    for finding in guards(view.vmi, view.injected):
        maybe = f"the instancetype {view.manifest.instancetype}" if view.manifest.instancetype else ""
        if maybe:
            said = f"{finding.message}, unless {maybe} brings a GPU or host device"
            yield finding._replace(message=said, severity=Severity.INFO)
        else:
            yield finding


def unknown(view: View) -> Iterator[Finding]:
    """Entries that refer to a device by a name that it does not have."""
    sources = {device.name: True for device in view.vmi.devices}
    # What a binding plugin connects may have a device in network-info.
    sources.update({one.name: one.is_sriov or bool(one.plugin) for one in view.vmi.interfaces})
    for asked in view.asked:
        if asked.request.device and not sources.get(asked.request.device):
            yield _not_found(view, asked, [name for name, is_device in sources.items() if is_device])


def _not_found(view: View, asked: Asked, names: list[str]) -> Finding:
    name, instancetype = asked.request.device, view.manifest.instancetype
    if any(interface.name == name for interface in view.vmi.interfaces):
        what = f"the interface {name} has no host device: its binding is not sriov"
    else:
        what = f"the spec has no GPU, host device or SR-IOV interface named {name}"
    hint = did_you_mean(name, dict.fromkeys(names)) if names else "the spec has none; ask for a `resource`"
    severity = Severity.WARNING if instancetype else None
    return DEVICE_NOT_FOUND.found(f"{asked.place}.device", what, hint=hint, severity=severity)


def dropped_names(view: View) -> Iterator[Finding]:
    """Names of which KubeVirt makes aliases that libvirt does not keep."""
    for device in view.vmi.devices:
        if not aliases.is_legal(f"ua-gpu-{device.name}"):
            hint = f"{aliases.name_from(device.name)} would do"
            yield ALIAS_DROPPED.found(
                f"{device.place}.name", f"libvirt keeps no alias made of {device.name!r}", hint=hint
            )


def claims(view: View) -> Iterator[Finding]:
    """Devices that come from DRA."""
    claimed = [(device.name, device.place, device.claim) for device in view.vmi.devices]
    claimed += [(interface.name, interface.place, interface.claim) for interface in view.vmi.interfaces]
    for name, place, claim in claimed:
        if claim and claim not in view.vmi.claims:
            yield DRA_CLAIM_MISSING.found(place, f"spec.resourceClaims has no claim named {claim}")
        elif claim:
            hint = f'refer to it with {{"device": "{name}"}}'
            yield DRA_DEVICE.found(place, f"{name} comes from the resource claim {claim}", hint=hint)


def injector(view: View) -> Iterator[Finding]:
    """Networks whose device KubeVirt itself does not ask for any more."""
    having = [one for one in view.vmi.interfaces if one.definition and (one.is_sriov or one.plugin)]
    if having:
        definitions = listed(dict.fromkeys(one.definition for one in having))
        what = f"from KubeVirt 1.9 on network-resources-injector requests the device of {definitions}"
        yield NETWORK_INJECTOR.found(view.vmi.at("spec.networks"), what)


def numa(view: View) -> Iterator[Finding]:
    """A place on a guest node, in a guest that has none."""
    for asked in view.asked:
        if asked.request.numa and not view.vmi.guest_numa:
            what = "the guest has no NUMA nodes of its own: cpu.numa.guestMappingPassthrough is not set"
            yield NUMA_NOT_POSSIBLE.found(f"{asked.place}.numa", what)


RULES = (unseen, unknown, dropped_names, claims, injector, numa)
