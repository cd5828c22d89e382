"""Rules about physical and virtual functions."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.finding import Finding
from hostdev.findings.sriov import PF_WITH_VFS, VF_AUTOPROBE_ON, VF_TOKEN_NEEDED
from hostdev.gate import rule
from hostdev.gate.rule import Rule, View
from hostdev.inventory.machine import PciFunction, Role
from hostdev.inventory.vfiodrivers import is_on_vfio


def _find(view: View) -> Iterator[Finding]:
    function = view.function
    if function.num_vfs:
        yield PF_WITH_VFS.found(
            view.subject,
            f"has {function.num_vfs} VFs, which would vanish",
            evidence=(rule.attribute_evidence(view.address, "sriov_numvfs", function.num_vfs),),
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


def _pf(view: View) -> PciFunction | None:
    return view.machine.functions.get(view.function.physfn) if view.function.physfn else None


def _role(view: View) -> str:
    function = view.function
    if function.role is Role.VF:
        return f"a VF of {function.physfn}"
    if function.role is Role.PF:
        return f"a PF that could have {function.total_vfs} VFs and has none"
    return "a plain endpoint"


RULES: tuple[Rule[View], ...] = (Rule("role", "Its SR-IOV role lets it go", _find, _role),)
