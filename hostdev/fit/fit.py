"""Whether everything that goes into a guest gets an address there: the one question of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from domxml.document import Domain
from domxml.finding import Finding
from domxml.source import HostDevice
from domxml.version import OLDEST, LibvirtVersion
from hostdev.fit.cases import TITLES, Cases, all_cases, deciding, outcome_of, outcomes_by
from hostdev.fit.domaintree import CHIPSET, DomainTree, domain_tree
from hostdev.fit.edk2 import Space
from hostdev.fit.firmware import Firmware, firmware_of_domain
from hostdev.fit.guest import read_guest
from hostdev.fit.inputs import HostFunction, Node
from hostdev.fit.pcitree import Function, all_functions
from hostdev.fit.processor import choices
from hostdev.fit.solution import Outcome
from hostdev.fit.verdict import findings_of, unknown_finding
from hostdev.inventory.bars import Bar

WINDOW_KINDS = ("io", "mem32", "mem64")
_NOWHERE = Node()


class Window(NamedTuple):
    """What the firmware has to hand out; None where the cases differ."""

    kind: str
    base: int | None
    size: int | None


class PlacedBar(NamedTuple):
    """A register, and the address it gets; None: none, or none that is the same in all cases."""

    bar: Bar
    address: int | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "index": self.bar.index,
            "kind": str(self.bar.kind),
            "size": self.bar.size,
            "address": self.address,
        }


class PlacedFunction(NamedTuple):
    """A function of the guest."""

    guest: str
    """Its address, as libvirt counts."""
    device: str
    source: str | None
    alias: str
    placed: bool | None
    """None where it depends."""
    bars: tuple[PlacedBar, ...]


class When(NamedTuple):
    """One case of what an answer depends on."""

    when: str
    outcome: Outcome


class Dependency(NamedTuple):
    """A thing that decides, and what comes of each of its values."""

    on: str
    cases: tuple[When, ...]


class Fit(NamedTuple):
    """The answer."""

    outcome: Outcome
    windows: tuple[Window, ...] = ()
    functions: tuple[PlacedFunction, ...] = ()
    depends: tuple[Dependency, ...] = ()
    findings: tuple[Finding, ...] = ()
    asked: int = 0
    """The bytes of 64-bit memory that all would take, as the firmware counts; 0 where cases differ."""

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; its keys are a contract."""
        return {
            "outcome": str(self.outcome),
            "windows": [window._asdict() for window in self.windows],
            "functions": [_function_as_dict(function) for function in self.functions],
            "depends": [
                {"on": one.on, "cases": [{"when": case.when, "outcome": str(case.outcome)} for case in one.cases]}
                for one in self.depends
            ],
            "findings": [finding.as_dict() for finding in self.findings],
        }


def _function_as_dict(function: PlacedFunction) -> dict[str, Any]:
    return function._asdict() | {"bars": [bar.as_dict() for bar in function.bars]}


def fit(  # noqa: PLR0913  each is a fact of its own
    domain: Domain,
    functions: Mapping[HostDevice, HostFunction],
    node: Node = _NOWHERE,
    *,
    firmware: Firmware | None = None,
    bits: int | None = None,
    libvirt: LibvirtVersion = OLDEST,
) -> Fit:
    """Compute it. `bits` is what the guest's processor shows, where that is said; it wins over the domain."""
    guest = read_guest(domain)
    tree = domain_tree(domain, guest, functions, libvirt)
    if tree.unknown:
        return _unknown(domain, tree)
    known = firmware_of_domain(domain) if firmware is None else firmware
    cases = all_cases(guest, known, tree.roots, choices(domain, guest, node, bits), node.iommu_bits)
    return _merged(domain, tree, cases, node)


def _unknown(domain: Domain, tree: DomainTree) -> Fit:
    on = Dependency("where the guest's PCI devices are", ())
    return Fit(Outcome.DEPENDS, depends=(on,), findings=(unknown_finding(domain.name, tree.unknown),))


def _merged(domain: Domain, tree: DomainTree, cases: Cases, node: Node) -> Fit:
    solutions = [variant.solution for variant in cases.variants]
    outcome = outcome_of(cases.variants)
    depends = [
        Dependency(TITLES[axis], tuple(When(*one) for one in outcomes_by(cases, axis))) for axis in deciding(cases)
    ]
    if tree.unknown_hosts:
        outcome = Outcome.DEPENDS
        depends.append(Dependency(f"the registers of {', '.join(tree.unknown_hosts)}, which are not known", ()))
    asked = {solution.asked for solution in solutions}
    return Fit(
        outcome,
        tuple(_windows([solution.windows for solution in solutions])),
        tuple(_placed(tree, cases)),
        tuple(depends),
        tuple(findings_of(domain.name, tree, cases, outcome, node)),
        asked.pop() if len(asked) == 1 and not tree.unknown_hosts else 0,
    )


def _windows(found: list[tuple[Space | None, ...]]) -> Iterator[Window]:
    for kind, spaces in zip(WINDOW_KINDS, zip(*found, strict=True), strict=True):
        first = spaces[0]
        if all(space is None for space in spaces):
            continue
        bases = {None if space is None else space.base for space in spaces}
        sizes = {None if space is None else space.size for space in spaces}
        same_base, same_size = len(bases) == 1, len(sizes) == 1
        yield Window(
            kind,
            first.base if first is not None and same_base else None,
            first.size if first is not None and same_size else None,
        )


def _placed(tree: DomainTree, cases: Cases) -> Iterator[PlacedFunction]:
    for place, function in enumerate(all_functions(tree.roots)):
        if function.label.startswith(CHIPSET) or not (function.bars or function.source):
            continue
        missing = {place in variant.solution.missing for variant in cases.variants}
        sure = not tree.unknown_hosts
        yield PlacedFunction(
            "" if function.address is None else str(function.address),
            function.label,
            function.source or None,
            function.alias,
            (not missing.pop()) if len(missing) == 1 and sure else None,
            tuple(_placed_bars(place, function, cases, sure=sure)),
        )


def _placed_bars(place: int, function: Function, cases: Cases, *, sure: bool) -> Iterator[PlacedBar]:
    for bar in function.bars:
        addresses = {variant.solution.addresses.get((place, bar.index)) for variant in cases.variants}
        yield PlacedBar(bar, addresses.pop() if len(addresses) == 1 and sure else None)
