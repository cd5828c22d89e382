"""The releases of KubeVirt that the tables know, their feature gates, and a cluster as far as it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from domxml.errors import BadInput

NAMES = ("1.5", "1.6", "1.7", "1.8", "1.9", "head")
HEAD = NAMES.index("head")
SUPPORTED = range(NAMES.index("1.7"), HEAD + 1)
"""What is looked at where no release is told: those that get repairs, and the next one."""
_VERSION = re.compile(r"v?(\d+\.\d+)(?:[.-][\w.+-]*)?", re.ASCII)


class Releases(NamedTuple):
    """From one release to another, both included."""

    first: int = 0
    last: int = HEAD

    def __contains__(self, release: object) -> bool:
        return isinstance(release, int) and self.first <= release <= self.last


def since(name: str) -> Releases:
    """That release, and all after it."""
    return Releases(NAMES.index(name))


def until(name: str) -> Releases:
    """That release, and all before it."""
    return Releases(0, NAMES.index(name))


def between(first: str, last: str) -> Releases:
    """Two releases and what is between them."""
    return Releases(NAMES.index(first), NAMES.index(last))


ALL = Releases()


def parse_release(text: str) -> int:
    """A release as people name it: 1.8, v1.8.4, head."""
    if text.lower() in {"head", "main"}:
        return HEAD
    match = _VERSION.fullmatch(text)
    if match is None or match[1] not in NAMES:
        hint = f"known are {', '.join(NAMES)}; the newest one knows most"
        raise BadInput("bad-release", f"{text[:40]!r} is no release of KubeVirt that is known", hint=hint)
    return NAMES.index(match[1])


def shown(releases: Iterable[int]) -> str:
    """`KubeVirt 1.8 and 1.9`, `KubeVirt 1.9 and later`, `KubeVirt up to 1.8`; all of them are just KubeVirt."""
    there = sorted(releases)
    first, last = NAMES[there[0]], NAMES[there[-1]]
    if there[0] == 0 and there[-1] == HEAD:
        return "KubeVirt"
    if there[-1] == HEAD:
        return f"KubeVirt {first} and later" if there[0] < HEAD else "the next KubeVirt"
    if there[0] == 0:
        return f"KubeVirt up to {last}"
    return f"KubeVirt {first}" if first == last else f"KubeVirt {first} to {last}"


class Gate(NamedTuple):
    """A feature gate: the releases that have it, and from which on it is open unless it is closed by name."""

    name: str
    releases: Releases
    open_from: int = HEAD + 1


def _gates() -> Iterable[Gate]:
    always = ("HostDevices", "Sidecar", "HostDisk", "DownwardMetrics", "VSOCK", "ExperimentalIgnitionSupport")
    yield from (Gate(name, ALL) for name in (*always, "EnableVirtioFsStorageVolumes"))
    yield Gate("WorkloadEncryptionTDX", since("1.7"))
    for name in ("PCINUMAAwareTopology", "ReservedOverheadMemlock"):
        yield Gate(name, since("1.8"))
    young = ("NetworkDevicesWithDRA", "PortRangesSpec", "IOMMUFD", "GraceIOVirtualization", "VGPULiveMigration")
    yield from (Gate(name, since("1.9")) for name in (*young, "Plugins"))
    betas = NAMES.index("1.9")
    yield Gate("WorkloadEncryptionSEV", ALL, betas)
    for name in ("GPUsWithDRA", "HostDevicesWithDRA", "DeclarativeHotplugVolumes"):
        yield Gate(name, since("1.6"), betas)
    for name in ("PasstBinding", "RebootPolicy"):
        yield Gate(name, since("1.8"), betas)
    yield Gate("DecentralizedLiveMigration", since("1.6"), HEAD)
    for name in ("VideoConfig", "PanicDevices"):
        yield Gate(name, between("1.6", "1.8"))
    # No gate from 1.9 on, but its name goes on working there beside a switch of its own.
    yield Gate("PersistentReservation", ALL)
    yield Gate("EnableVirtioFsConfigVolumes", until("1.7"))
    yield Gate("MultiArchitecture", until("1.7"))
    yield Gate("VMPersistentState", until("1.5"))


GATES: Mapping[str, Gate] = MappingProxyType({gate.name: gate for gate in _gates()})
_GRADUATED = {"PersistentReservation": NAMES.index("1.9")}


class Cluster(NamedTuple):
    """What is told of the cluster. Gates that were not told are unknown, which is not closed."""

    releases: tuple[int, ...] = tuple(SUPPORTED)
    named: frozenset[str] | None = None
    """The gates that its configuration names; None where that is not known."""
    disabled: frozenset[str] = frozenset()
    switches: Mapping[str, object] = MappingProxyType({})
    """Other words of spec.configuration that rules ask for."""

    def is_open(self, gate: Gate, release: int) -> bool | None:
        """Whether a gate is open there; None: it was not told, and it is not by default."""
        if release not in gate.releases:
            return True
        if gate.name in self.disabled and (self.named is None or gate.name not in self.named):
            return False
        if release >= gate.open_from:
            return True
        return None if self.named is None else gate.name in self.named


def parse_gates(text: str, releases: Iterable[int]) -> frozenset[str]:
    """Gates as a user names them; `all` and `none` are words of their own."""
    if text in {"all", "none"}:
        every = {gate.name for gate in GATES.values() for release in releases if release in gate.releases}
        graduated = {name for name, first in _GRADUATED.items() if min(releases) >= first}
        return frozenset(every - graduated if text == "all" else ())
    names = frozenset(filter(None, re.split(r"[,\s]+", text)))
    for name in sorted(names - GATES.keys()):
        near = {known.lower(): known for known in GATES}
        if name.lower() in near:
            raise BadInput("bad-gate", f"{name!r} is no feature gate", hint=f"did you mean {near[name.lower()]}?")
    return names
