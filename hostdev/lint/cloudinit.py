"""Bonds, and the cloud-init data into which they are written."""

from __future__ import annotations

from collections.abc import Iterator

from domxml.errors import BadInput, Refused
from domxml.finding import Finding, Severity
from hostdev.catalogue.cloudinit import BOND_NOT_POSSIBLE, BONDS_NOT_READ, CLOUD_INIT_MISSING
from hostdev.cloudinit.bonding import homeless, misnamed
from hostdev.cloudinit.macs import macs
from hostdev.cloudinit.netplan import network
from hostdev.lint.view import HOOKS, View
from hostdev.vmi.bonds import BONDS, Bond, read_bonds
from hostdev.vmi.entry import MAX_BYTES
from hostdev.vmi.jsontext import Format, parse_json
from hostdev.vmi.jsonvalue import list_of_objects

FLAG = "--cloud-init"
_HOOKS = Format(HOOKS, "", MAX_BYTES, HOOKS)


def wired(view: View) -> Iterator[Finding]:
    """What the guest's network data would be made of."""
    bonds = _bonds(view)
    if not bonds and not (_writes(view) and _is_open(view)):
        return
    if bonds:
        mistakes = [*misnamed(view.vmi, bonds), *homeless(view.vmi)]
        yield from mistakes
        if mistakes:
            return
    try:
        yield from network(view.vmi, bonds, macs(view.vmi, {}), frozenset()).findings
    except Refused as error:
        # A binding plugin, or whoever hands out addresses in the cluster, may still tell one.
        yield BOND_NOT_POSSIBLE.found(error.subject, error.message, hint=error.hint, severity=Severity.WARNING)


def subscribed(view: View) -> Iterator[Finding]:
    """Whether somebody writes cloud-init data, and has some to write into."""
    if HOOKS not in view.vmi.annotations:
        return
    writes = _writes(view)
    if _bonds(view) and not writes:
        yield BONDS_NOT_READ.found(HOOKS, f"no hook sidecar has {FLAG} among its args, so that nobody reads {BONDS}")
    if writes and view.vmi.cloud_init is None:
        yield CLOUD_INIT_MISSING.found(HOOKS, f"a hook sidecar has {FLAG}, and the VM has no cloud-init volume")


def _bonds(view: View) -> tuple[Bond, ...]:
    text = view.vmi.annotations.get(BONDS)
    return read_bonds(text)[0] if text is not None else ()


def _is_open(view: View) -> bool:
    volume = view.vmi.cloud_init
    return volume is not None and not volume.config_drive and not volume.network_data


def _writes(view: View) -> bool:
    try:
        sidecars = list_of_objects(parse_json(view.vmi.annotations.get(HOOKS, "[]"), _HOOKS), HOOKS, "")
        return any(FLAG in (*one.get_strings("command"), *one.get_strings("args")) for one in sidecars)
    except BadInput:
        return False


RULES = (wired, subscribed)
