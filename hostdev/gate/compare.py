"""What is different between two pictures of a machine: what an upgrade, a new card or a reboot did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from domxml.finding import Severity
from domxml.pciaddress import PciAddress
from hostdev.gate.check import verdict_of
from hostdev.gate.readiness import Readiness
from hostdev.gate.rule import HOST
from hostdev.inventory.machine import IommuGroup, Machine, PciFunction
from hostdev.inventory.recorded import commandline
from hostdev.inventory.recorded.scrub import known_interface


@dataclass(frozen=True, slots=True)
class Change:
    """One change; `subject` is an address, a group, or `host`, as the newer machine calls it."""

    code: str
    severity: Severity
    subject: str
    message: str
    old: str | None = None
    new: str | None = None


Pairs = Mapping[PciAddress, PciAddress]
"""New addresses by old ones."""
_Kind = tuple[int | None, ...]


def pair_functions(old: Machine, new: Machine) -> Pairs:
    """The same device in both: at one address, or moved when there are as many of its kind; VFs follow their PF."""
    before, after = _apart_from_vfs(old), _apart_from_vfs(new)
    same = {address for address in before & after if _kind(old, address) == _kind(new, address)}
    left, right = _by_kind(old, before - same), _by_kind(new, after - same)
    pairs = {address: address for address in same}
    for kind, addresses in left.items():
        if len(addresses) == len(right.get(kind, ())):
            pairs |= zip(addresses, right[kind], strict=True)
    for pf, moved in tuple(pairs.items()):
        pairs |= zip(vfs(old, pf), vfs(new, moved), strict=False)
    return dict(sorted(pairs.items()))


def vfs(machine: Machine, pf: PciAddress) -> list[PciAddress]:
    """The VFs of a function, by their number."""
    return [address for address in machine.functions[pf].virtfns if address in machine.functions]


def is_vf_of_known(machine: Machine, function: PciFunction) -> bool:
    return function.physfn in machine.functions


def _apart_from_vfs(machine: Machine) -> set[PciAddress]:
    return {address for address, function in machine.functions.items() if not is_vf_of_known(machine, function)}


def _by_kind(machine: Machine, addresses: Iterable[PciAddress]) -> Mapping[_Kind, list[PciAddress]]:
    found: dict[_Kind, list[PciAddress]] = defaultdict(list)
    for address in sorted(addresses):
        found[_kind(machine, address)].append(address)
    return found


def _kind(machine: Machine, address: PciAddress) -> _Kind:
    f = machine.functions[address]
    return (f.vendor, f.device, f.subsystem_vendor, f.subsystem_device, f.class_code)


def device_changes(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """Devices that went, came, moved, and that are not what they were."""
    yield from _gone(old, pairs)
    yield from _came(new, pairs)
    judges = Readiness(old), Readiness(new)
    for before, after in pairs.items():
        pair = _Pair(old.functions[before], new.functions[after])
        yield from _moved(old, pair)
        yield from _driver(pair)
        yield from _vfs(pair)
        yield from _numa(pair)
        yield from _interfaces(pair)
        yield from _reset(pair)
        if not (pair.old.bridge and pair.new.bridge):
            passed, passes = (not judge.refusals((at,)) for judge, at in zip(judges, (before, after), strict=True))
            yield from _verdict(old, new, pair) if passed != passes else ()


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
        severity = Severity.ERROR if verdict_of(old, address).passes else Severity.WARNING
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
    names = [[net.name for net in function.netdevs] for function in (pair.old, pair.new)]
    macs, known = [net.mac for net in (*pair.old.netdevs, *pair.new.netdevs)], [*names[0], *names[1]]
    left, right = (sorted(known_interface(name, macs, known) for name in each) for each in names)
    if left and right and left != right:
        before, after = (" ".join(sorted(each)) for each in names)
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
    """Of a device that passes in one of the two."""
    before, after = _reason(old, pair.old.address), _reason(new, pair.new.address)
    if after:
        yield pair.change("passes-no-more", Severity.ERROR, f"cannot be passed through any more: {after}", "yes", "no")
    else:
        yield pair.change("passes-now", Severity.INFO, f"can be passed through now; before: {before}", "no", "yes")


def _reason(machine: Machine, address: PciAddress) -> str:
    """Say why a device does not pass; empty when it does."""
    verdict = verdict_of(machine, address)
    if verdict.passes:
        return ""
    against = [found for found in verdict.findings if found.severity is Severity.ERROR]
    return "; ".join(found.message for found in against) or "not everything could be seen"


def host_changes(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """The kernel first, then the groups."""
    yield from _kernel(old, new)
    if bool(old.groups) != bool(new.groups):
        came = bool(new.groups)
        yield Change(
            "iommu-came" if came else "iommu-gone",
            Severity.INFO if came else Severity.ERROR,
            HOST,
            "there are IOMMU groups now" if came else "there are no IOMMU groups any more",
            str(len(old.groups)),
            str(len(new.groups)),
        )
    else:
        yield from _groups(old, new, pairs)


def _kernel(old: Machine, new: Machine) -> Iterator[Change]:
    before, after = old.kernel, new.kernel
    if before.release != after.release:
        message = f"kernel {before.release or '?'} is now {after.release or '?'}"
        yield Change("kernel-changed", Severity.INFO, HOST, message, before.release, after.release)
    lost, gained = commandline.changes(before.cmdline, after.cmdline)
    if lost or gained:
        words = [*_words("without", lost), *_words("with", gained)]
        message = f"the kernel is booted {', '.join(words)}"
        hidden = any(map(commandline.is_hidden, (*before.cmdline.split(), *after.cmdline.split())))
        lines = [commandline.mask(one.cmdline) if hidden else one.cmdline for one in (before, after)]
        yield Change("command-line-changed", Severity.INFO, HOST, message, *lines)


def _words(how: str, words: list[str]) -> Iterator[str]:
    """Words that came or went; of those that a recording hides, their number is known."""
    yield from (f"{how} {word}" for word in words if word != commandline.HIDDEN)
    unknown = words.count(commandline.HIDDEN)
    if unknown:
        yield f"{how} {unknown} {'word' if unknown == 1 else 'words'} that a recording does not tell"


def _groups(old: Machine, new: Machine, pairs: Pairs) -> Iterator[Change]:
    """Groups with other members, and groups with another number, each once by its new number."""
    told = set()
    for before, after in pairs.items():
        left, right = old.group_of(before), new.group_of(after)
        if left is not None and right is not None and right.number not in told:
            told.add(right.number)
            yield from _group(left, right, pairs)


def _group(left: IommuGroup, right: IommuGroup, pairs: Pairs) -> Iterator[Change]:
    expected = {pairs[member] for member in left.members if member in pairs}
    # A member that went or came is told as a device; here only those count that both machines have.
    joined = sorted(set(right.members) & set(pairs.values()) - expected)
    parted = sorted(expected - set(right.members))
    if joined or parted:
        words = [*(f"{member} joined" for member in joined), *(f"{member} left" for member in parted)]
        yield Change(
            "group-members-changed",
            Severity.WARNING,
            f"group {right.number}",
            f"{', '.join(words)} (it was group {left.number})",
            _members(left.members),
            _members(right.members),
        )
    elif left.number != right.number:
        yield Change(
            "group-renumbered",
            Severity.INFO,
            f"group {right.number}",
            f"{_members(right.members)}: group {left.number} is now group {right.number}",
            str(left.number),
            str(right.number),
        )


def _members(members: tuple[PciAddress, ...]) -> str:
    return " ".join(map(str, sorted(members)))


def compare(old: Machine, new: Machine) -> tuple[Change, ...]:
    """Every difference, the worst first."""
    pairs = pair_functions(old, new)
    changes = [*host_changes(old, new, pairs), *device_changes(old, new, pairs)]
    return tuple(sorted(changes, key=lambda change: -change.severity.rank))
