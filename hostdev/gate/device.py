"""Rules about the device itself: is it there, is it something a guest can have, and its part in SR-IOV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from domxml.finding import Evidence, Finding, Severity
from domxml.pciaddress import MAX_LIBVIRT_DOMAIN, PciAddress
from hostdev.findings.device import (
    COMPANION_FUNCTION,
    DEVICE_MISSING,
    DEVICE_OFF_BUS,
    DEVICE_POWER_STUCK,
    DOMAIN_TOO_LARGE,
    KNOWN_BAD_DEVICE,
    NOT_AN_ENDPOINT,
    NUMA_UNKNOWN,
    PARITY_BROKEN,
    PLATFORM_DEVICE,
)
from hostdev.findings.driver import NO_RESET_METHOD, SHARED_RESET
from hostdev.findings.sriov import GPU_WITHOUT_VFS, PF_WITH_VFS, VF_AUTOPROBE_ON, VF_TOKEN_NEEDED
from hostdev.gate import rule
from hostdev.gate.rule import Rule, View, device_findings, not_visible
from hostdev.inventory import pciclasses
from hostdev.inventory.machine import Machine, PciFunction, Role
from hostdev.inventory.pciclasses import BoardPart, board_part, may_be_board_part
from hostdev.inventory.vfiodrivers import is_on_vfio

if TYPE_CHECKING:
    from hostdev.inventory.knownbad import Model


def presence_findings(machine: Machine, address: PciAddress) -> Iterator[Finding]:
    """What is wrong with an address before the device itself is looked at."""
    if address.domain > MAX_LIBVIRT_DOMAIN:
        yield DOMAIN_TOO_LARGE.found(str(address), f"domain {address.domain:x} does not fit into 16 bits")
    unseen = tuple(device_findings(machine, address))
    yield from unseen
    if address not in machine.functions and not unseen:
        near, hint = _near(machine, address)
        yield DEVICE_MISSING.found(
            str(address),
            f"no such host device{near}",
            hint=hint,
            evidence=(rule.attribute_evidence(address, "", None),),
        )


def _near(machine: Machine, address: PciAddress) -> tuple[str, str | None]:
    """What is there instead, and a hint for it."""
    same_slot = [str(a) for a in sorted(machine.functions) if a.slot_address == address.slot_address]
    if same_slot:
        return f", in its slot there is {', '.join(same_slot)}", None
    idle = _pf_without_vfs(machine, address)
    if idle:
        vfs = f", but {idle.address} on its bus could have {idle.total_vfs} VFs and has none"
        return vfs, "if it was a VF, have the operator of the PF create its VFs again"
    elsewhere = [a for a in sorted(machine.functions) if _position(a) == _position(address)]
    return (f", did you mean {elsewhere[0]}" if elsewhere else ""), None


def _pf_without_vfs(machine: Machine, address: PciAddress) -> PciFunction | None:
    on_bus = (f for a, f in sorted(machine.functions.items()) if (a.domain, a.bus) == (address.domain, address.bus))
    return next((function for function in on_bus if function.total_vfs and not function.num_vfs), None)


def _position(address: PciAddress) -> tuple[int, int, int]:
    return address.bus, address.slot, address.function


def _find_kind(view: View) -> Iterator[Finding]:
    function = view.function
    part = board_part(function)
    if function.bridge:
        yield NOT_AN_ENDPOINT.found(view.subject, "is a bridge", evidence=(_class(function),))
    elif part:
        yield _platform(view, part)
    elif may_be_board_part(function):
        yield not_visible(
            view.subject,
            rule.attribute_path(view.address, "resource"),
            "only its BARs would tell whether it is a part of the processor",
            severity=Severity.WARNING,
            hint="look on the node itself, or record the machine again",
        )


def _platform(view: View, part: BoardPart) -> Finding:
    function = view.function
    bars = rule.attribute_evidence(function.address, "resource", "no BAR")
    return PLATFORM_DEVICE.found(
        view.subject,
        f"is the board's {part.name}: {part.why}",
        severity=Severity.WARNING if PLATFORM_DEVICE.code in view.despite else None,
        evidence=(
            _class(function),
            *((rule.driver_evidence(function),) if function.driver else ()),
            *((bars,) if function.has_bars is False else ()),
        ),
    )


def _kind(view: View) -> str:
    return f"class {view.function.class_code:06x}, {view.function.vendor:04x}:{view.function.device:04x}"


def _find_reset(view: View) -> Iterator[Finding]:
    methods = view.function.reset_methods
    place = rule.attribute_path(view.address, "reset_method")
    if methods is None:
        if view.machine.kernel.release:
            why, hint = "kernels before 5.15 do not tell how a device is reset", "nothing to do; a newer kernel tells"
        else:
            why, hint = "it is not there, and the kernel's version is not known", "look on the node itself"
        yield not_visible(view.subject, place, why, hint=hint)
    elif not methods:
        seen = Evidence(place, "absent or empty")
        yield NO_RESET_METHOD.found(view.subject, "cannot be reset", evidence=(seen,))
    elif set(methods) == {"bus"}:
        others = [function for function in _on_its_bus(view) if function.address not in view.wanted]
        if others:
            yield SHARED_RESET.found(
                view.subject,
                f"a reset also hits {', '.join(str(f.address) for f in others[:2])} on the same bus",
                evidence=(Evidence(place, "bus"),),
            )


def _on_its_bus(view: View) -> Iterator[PciFunction]:
    bus = (view.address.domain, view.address.bus)
    on_bus = (address for address in view.machine.functions if (address.domain, address.bus) == bus)
    for address in sorted(on_bus):
        function = view.machine.functions[address]
        if function.role is not Role.VF:
            yield function


def _reset(view: View) -> str:
    return f"by {', '.join(view.function.reset_methods or ())}"


def _find_numa(view: View) -> Iterator[Finding]:
    if view.function.numa_node is None:
        no_node = rule.attribute_evidence(view.address, "numa_node", "no node")
        yield NUMA_UNKNOWN.found(view.subject, "no NUMA node is known", evidence=(no_node,))


def _numa(view: View) -> str:
    return f"node {view.function.numa_node}"


def _find_companions(view: View) -> Iterator[Finding]:
    companions = [function for function in _companions(view) if function.address not in view.wanted]
    if companions:
        named = ", ".join(f"{function.address} ({_part(function)})" for function in companions)
        yield COMPANION_FUNCTION.found(
            view.subject,
            f"its card also has {named}",
            evidence=tuple(_class(function) for function in companions),
        )


def _companions(view: View) -> Iterator[PciFunction]:
    """The display of the card if this is a part of it, its other parts if this is the display."""
    for number in range(8):
        function = view.machine.functions.get(view.address.with_function(number))
        if function and function.role is not Role.VF and {_part(view.function), _part(function)} > {"display"}:
            yield function


def _part(function: PciFunction) -> str:
    if pciclasses.base(function.class_code) == pciclasses.DISPLAY:
        return "display"
    return pciclasses.COMPANIONS.get(pciclasses.subclass(function.class_code), "")


def _companions_seen(view: View) -> str | None:
    return "together with the other functions of its card" if any(_companions(view)) else None


def _class(function: PciFunction) -> Evidence:
    return rule.attribute_evidence(function.address, "class", f"0x{function.class_code:06x}")


KIND_RULES: tuple[Rule[View], ...] = (Rule("endpoint", "It is a device a guest can have", _find_kind, _kind),)
OTHER_RULES: tuple[Rule[View], ...] = (
    Rule("reset", "It can be reset", _find_reset, _reset),
    Rule("numa", "Its NUMA node is known", _find_numa, _numa),
    Rule("companions", "Its card is complete", _find_companions, _companions_seen),
)


_SPLITTING = frozenset({"i915", "xe"})


_REMOVE = "remove them first, when nobody uses them: passgate node vfs {} 0"


def would_lose_vfs(function: PciFunction) -> Iterator[Finding]:
    """VFs that vanish when the PF leaves its driver, whichever that is."""
    if function.num_vfs:
        yield PF_WITH_VFS.found(
            str(function.address),
            f"has {function.num_vfs} VFs, which would vanish",
            hint=_REMOVE.format(function.address) if is_on_vfio(function) else None,
            evidence=(rule.attribute_evidence(function.address, "sriov_numvfs", function.num_vfs),),
        )


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    yield from would_lose_vfs(function)
    if _could_be_split(function):
        yield GPU_WITHOUT_VFS.found(
            view.subject,
            f"{function.driver} offers no VFs of it",
            evidence=(rule.attribute_evidence(view.address, "sriov_totalvfs", None), rule.driver_evidence(function)),
        )
    parent = _pf(view)
    if parent is None:
        return
    if is_on_vfio(parent):
        yield VF_TOKEN_NEEDED.found(
            view.subject, f"its PF {parent.address} is on {parent.driver}", evidence=(rule.driver_evidence(parent),)
        )
    if parent.vf_autoprobe and function.driver and not is_on_vfio(function):
        autoprobe = rule.attribute_evidence(parent.address, "sriov_drivers_autoprobe", 1)
        yield VF_AUTOPROBE_ON.found(
            view.subject,
            f"{function.driver} took it when its PF {parent.address} made it",
            hint=f"before the VFs are created: echo 0 >{autoprobe.file}",
            evidence=(autoprobe, rule.driver_evidence(function)),
        )


def _could_be_split(function: PciFunction) -> bool:
    """An Intel GPU on one of the drivers that make VFs somewhere, and do not here."""
    display = pciclasses.base(function.class_code) == pciclasses.DISPLAY
    return display and function.driver in _SPLITTING and function.physfn is None and function.total_vfs is None


def _pf(view: View) -> PciFunction | None:
    return view.machine.functions.get(view.function.physfn) if view.function.physfn else None


def _role(view: View) -> str:
    function = view.function
    if function.role is Role.VF:
        return f"a VF of {function.physfn}"
    if function.role is Role.PF:
        return f"a PF that could have {function.total_vfs} VFs and has none"
    return "a plain endpoint"


ROLE_RULES: tuple[Rule[View], ...] = (Rule("role", "Its SR-IOV role lets it go", _find, _role),)


RUNTIME = "power/runtime_status"
VENDORS = frozenset({0x1002, 0x1022, 0x104C, 0x10DE, 0x14C3, 0x168C, 0x17CB, 0x1B4B})
"""Those that the table of models has: for others a hook does not load it."""


def power_findings(subject: str, function: PciFunction) -> Iterator[Finding]:
    """D3cold of a device that is open and awake for the kernel: it read nothing but ones.

    D3hot is none: a guest may put its device to sleep, and a vfio driver an idle one.
    """
    health = function.health
    if health is None:
        return
    power = rule.attribute_evidence(function.address, "power_state", health.power)
    runtime = rule.attribute_evidence(function.address, RUNTIME, health.runtime)
    if is_on_vfio(function) and health.enabled and health.power == "D3cold" and health.runtime == "active":
        text = "is in D3cold although it is open and nothing put it to sleep: it does not answer the kernel"
        yield DEVICE_OFF_BUS.found(subject, text, evidence=(power, runtime))
    if "error" in {health.power, health.runtime}:
        where = "power state" if health.power == "error" else "last change of its power state"
        yield DEVICE_POWER_STUCK.found(subject, f"its {where} is an error", evidence=(power, runtime))


def _find_life(view: View) -> Iterator[Finding]:
    yield from power_findings(view.subject, view.function)
    if view.function.health and view.function.health.parity_broken:
        seen = rule.attribute_evidence(view.address, "broken_parity_status", 1)
        yield PARITY_BROKEN.found(view.subject, "parity errors of it are ignored", evidence=(seen,))


def _power(view: View) -> str | None:
    health = view.function.health
    return None if health is None or health.power is None else f"power state {health.power}"


def model_findings(machine: Machine, function: PciFunction) -> tuple[Finding, ...]:
    """What is known of the model of a function."""
    return tuple(_find_model(View(machine, function, frozenset({function.address}))))


def _find_model(view: View) -> Iterator[Finding]:
    if view.function.vendor not in VENDORS:
        return
    from hostdev.inventory.knownbad import known_model  # noqa: PLC0415  not for every device

    model = known_model(view.function)
    kernel = view.machine.kernel.version
    if model is None or (model.fixed is not None and kernel >= model.fixed):
        return
    until, severity = "", None
    if model.fixed:
        # Distributions bring such fixes to older kernels without another number.
        until = f" with Linux before {model.fixed[0]}.{model.fixed[1]}, unless the distribution has its fix"
        severity = Severity.INFO
    yield KNOWN_BAD_DEVICE.found(
        view.subject,
        f"{model.name}: {model.trouble}{until}",
        hint=model.helps,
        severity=severity,
        evidence=(_device_id(view.function), Evidence(model.source, _described(model))),
    )


def _device_id(function: PciFunction) -> Evidence:
    return rule.attribute_evidence(function.address, "device", f"0x{function.device:04x}")


def _described(model: Model) -> str:
    return f"worked around since Linux {model.fixed[0]}.{model.fixed[1]}" if model.fixed else "no kernel has a remedy"


def _nothing(_view: View) -> None:
    """That a model is in no table says nothing."""


LIFE_RULES: tuple[Rule[View], ...] = (
    Rule("life", "It answers, as far as the kernel remembers", _find_life, _power),
    Rule("model", "Its model is known for no trouble", _find_model, _nothing),
)
