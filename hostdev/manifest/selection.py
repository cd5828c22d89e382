"""From what a user names to functions that can be handed out: devices, a class, a type of mediated devices."""

from __future__ import annotations

from typing import NamedTuple

from domxml.errors import BadInput, Refused
from domxml.text import listed, printable
from hostdev.findings.device import NOT_AN_ENDPOINT
from hostdev.findings.sriov import PF_WITH_VFS
from hostdev.gate.check import verdict_of
from hostdev.inventory import pciids
from hostdev.inventory.devicenames import Calling, find_called, is_plain_word
from hostdev.inventory.devicewords import class_words
from hostdev.inventory.machine import Machine, MdevType, PciFunction, Role
from hostdev.manifest.pool import OFFERED, By, of_network
from hostdev.units.unit import Unit

_MOST_NAMED = 12


class Selected(NamedTuple):
    """The functions behind one word."""

    functions: tuple[PciFunction, ...]
    mdev: MdevType | None = None
    outright: bool = False
    units: tuple[Unit, ...] = ()
    """What the agent offers: the unit of which each function is the primary one."""


def select(machine: Machine, text: str, by: By | None) -> Selected:
    """Find the functions that a word means on a machine."""
    kind = tuple(f for _, f in sorted(machine.functions.items()) if text.lower() in class_words(f))
    if kind:
        return _of_kind(machine, text, kind, by)
    of_type = _of_type(machine, text)
    if of_type is not None:
        return of_type
    if is_plain_word(machine, text):
        raise _unknown(machine, text)
    called = find_called(machine, text)
    if called.mdev is not None:
        what = "is one mediated device; a resource hands out all of a type"
        raise BadInput("nothing-selected", what, subject=text, hint=f"select {called.mdev.type}")
    if called.calling is Calling.IDS:
        return _of_kind(machine, text, called.functions, by)
    endpoints = [function for function in called.functions if not function.bridge]
    if not endpoints:
        raise NOT_AN_ENDPOINT.refused(text, "is a bridge, which no VM can have")
    wrong = next((function for function in endpoints if _is_wrong_pf(function, by)), None)
    if wrong is not None:
        raise _wrong_pf(machine, wrong)
    return Selected(tuple(endpoints), outright=True)


def candidates(machine: Machine) -> tuple[str, ...]:
    """List what could be selected: kinds of devices that pass, and types of which there can be devices."""
    passing = (f for _, f in sorted(machine.functions.items()) if verdict_of(machine, f.address).passes)
    types = (f"{one.name}" for f in machine.functions.values() for one in f.mdev_types if one.available)
    return tuple(dict.fromkeys([*map(pciids.ids, passing), *types]))


def _of_kind(machine: Machine, text: str, kind: tuple[PciFunction, ...], by: By | None) -> Selected:
    """The devices of a kind that can be given away; all of them where none can as it is now."""
    if all(function.bridge for function in kind):
        raise NOT_AN_ENDPOINT.refused(text, "are bridges, which no VM can have")
    endpoints = [function for function in kind if not function.bridge]
    possible = [function for function in endpoints if not _is_wrong_pf(function, by)]
    if not possible:
        raise _wrong_pf(machine, endpoints[0])
    if by in OFFERED:
        # What is not bound yet will be: its units tell what the host cannot do without.
        return Selected(tuple(possible))
    passing = [function for function in possible if verdict_of(machine, function.address).passes]
    ports = [function for function in possible if _as_port(function, by) and not _needed(function)]
    return Selected(tuple(dict.fromkeys([*passing, *ports]) or possible))


def _is_wrong_pf(function: PciFunction, by: By | None) -> bool:
    """A PF that must keep its VFs; that of a network card stands for its VFs where these are asked for."""
    return function.role is Role.PF and bool(function.num_vfs) and not _as_port(function, by)


def _as_port(function: PciFunction, by: By | None) -> bool:
    return of_network(function) and by in {None, By.OPERATOR, By.CNI}


def _needed(function: PciFunction) -> bool:
    """Whether the host would feel it when the port gets VFs."""
    return not function.num_vfs and any(net.uses for net in function.netdevs)


def _wrong_pf(machine: Machine, pf: PciFunction) -> Refused:
    vfs = [machine.functions[address] for address in pf.virtfns if address in machine.functions]
    hint = f"select its VFs: {pciids.ids(vfs[0])}, or one of them, {vfs[0].address}" if vfs else PF_WITH_VFS.hint
    what = f"is a PF with {pf.num_vfs} VFs, which would vanish"
    return PF_WITH_VFS.refused(str(pf.address), what, hint)


def _of_type(machine: Machine, text: str) -> Selected | None:
    found = [
        (function, one)
        for _, function in sorted(machine.functions.items())
        for one in function.mdev_types
        if _plain(text) in {_plain(one.name), _plain(one.title)} - {""}
    ]
    return Selected(tuple(function for function, _ in found), mdev=found[0][1]) if found else None


def _plain(text: str) -> str:
    # KubeVirt and users write GRID_T4-1Q for what the kernel calls GRID T4-1Q.
    return text.lower().replace(" ", "_")


def _unknown(machine: Machine, text: str) -> BadInput:
    known = candidates(machine)
    hint = (
        f"these could be: {listed(known, _MOST_NAMED)}"
        if known
        else "`passgate node list` shows its devices; none of them passes"
    )
    what = f"{printable(text)!r} is no address, ids, interface, disk, class or mdev type on {machine.source}"
    return BadInput("nothing-selected", what, hint=hint)
