"""What changed for each device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.cli.comparison.change import Change
from hostdev.cli.comparison.pairing import Pairs, is_vf_of_known
from hostdev.gate import judge
from hostdev.machine import Machine, PciFunction


def changes(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """Devices that went, came, moved, and that are not what they were."""
    yield from _gone(old, pairs)
    yield from _came(new, pairs)
    for before, after in pairs.items():
        pair = _Pair(old.functions[before], new.functions[after])
        yield from _moved(old, pair)
        yield from _driver(pair)
        yield from _vfs(pair)
        yield from _numa(pair)
        yield from _interfaces(pair)
        yield from _reset(pair)
        yield from _verdict(old, new, pair)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One device, before and after."""

    old: PciFunction
    new: PciFunction

    def change(self, code: str, severity: Severity, message: str, old: object, new: object) -> Change:
        texts = (None if value is None else str(value) for value in (old, new))
        return Change(code, severity, str(self.new.address), message, *texts)


def _gone(old: Machine, pairs: Pairs) -> Iterator[Change]:
    for address, function in old.functions.items():
        if address in pairs or (is_vf_of_known(old, function) and function.physfn in pairs):
            continue
        severity = Severity.ERROR if judge(old, address).passes else Severity.WARNING
        message = "the device is gone"
        yield Change("device-gone", Severity.INFO if function.bridge else severity, str(address), message, str(address))


def _came(new: Machine, pairs: Pairs) -> Iterator[Change]:
    known = set(pairs.values())
    for address, function in new.functions.items():
        if address in known or (is_vf_of_known(new, function) and function.physfn in known):
            continue
        yield Change("device-new", Severity.INFO, str(address), "the device is new", None, str(address))


def _moved(old: Machine, pair: _Pair) -> Iterator[Change]:
    before, after = pair.old.address, pair.new.address
    if before == after or is_vf_of_known(old, pair.old):
        return
    severity = Severity.INFO if pair.old.bridge else Severity.WARNING
    with_vfs = " and its VFs" if pair.old.virtfns else ""
    yield pair.change("device-moved", severity, f"{before}{with_vfs} moved to {after}", before, after)


def _driver(pair: _Pair) -> Iterator[Change]:
    before, after = pair.old.driver, pair.new.driver
    if before != after:
        message = f"driver {before or '-'} is now {after or '-'}"
        yield pair.change("driver-changed", Severity.INFO, message, before, after)


def _vfs(pair: _Pair) -> Iterator[Change]:
    for code, what, before, after in (
        ("vfs-changed", "VFs", pair.old.num_vfs or 0, pair.new.num_vfs or 0),
        ("total-vfs-changed", "possible VFs", pair.old.total_vfs or 0, pair.new.total_vfs or 0),
    ):
        if before != after:
            severity = Severity.WARNING if after < before else Severity.INFO
            yield pair.change(code, severity, f"{before} {what} are now {after}", before, after)


def _numa(pair: _Pair) -> Iterator[Change]:
    before, after = pair.old.numa_node, pair.new.numa_node
    if before != after:
        words = ["none" if node is None else str(node) for node in (before, after)]
        yield pair.change("numa-changed", Severity.WARNING, f"NUMA node {words[0]} is now {words[1]}", before, after)


def _interfaces(pair: _Pair) -> Iterator[Change]:
    before, after = (" ".join(sorted(net.name for net in function.netdevs)) for function in (pair.old, pair.new))
    if before and after and before != after:
        yield pair.change("interface-renamed", Severity.WARNING, f"{before} is now {after}", before, after)


def _reset(pair: _Pair) -> Iterator[Change]:
    if pair.old.reset_methods is None or pair.new.reset_methods is None:
        return
    before, after = (" ".join(function.reset_methods or ()) for function in (pair.old, pair.new))
    if before != after:
        severity = Severity.INFO if after else Severity.WARNING
        message = f"reset by {before or 'nothing'} is now by {after or 'nothing'}"
        yield pair.change("reset-changed", severity, message, before, after)


def _verdict(old: Machine, new: Machine, pair: _Pair) -> Iterator[Change]:
    before, after = _reason(old, pair.old.address), _reason(new, pair.new.address)
    if bool(before) == bool(after):
        return
    if after:
        yield pair.change("passes-no-more", Severity.ERROR, f"cannot be passed through any more: {after}", "yes", "no")
    else:
        yield pair.change("passes-now", Severity.INFO, f"can be passed through now; before: {before}", "no", "yes")


def _reason(machine: Machine, address: PciAddress) -> str:
    """Why a device does not pass; empty when it does."""
    verdict = judge(machine, address)
    if verdict.passes:
        return ""
    against = [found for found in verdict.findings if found.severity is Severity.ERROR]
    return "; ".join(found.message for found in against) or "not everything could be seen"
