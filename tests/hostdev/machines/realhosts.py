"""The real hosts of tests/fixtures/realhosts.txt, as the files that their kernels would show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from hostdev.inventory.recorded.recording import Entry, Recording
from tests.hostdev.machines.builder import GROUPS, Builder, Place
from tests.hostdev.machines.routing import routing_id

_MADE_UP = (
    "proc/1/",
    "proc/2/",
    "proc/net/",
    "proc/swaps",
    "sys/bus/usb/",
    "sys/class/vtconsole",
    "sys/dev/char",
)
FILE = Path(__file__).parents[2] / "fixtures/realhosts.txt"


@dataclass(frozen=True)
class RealFunction:
    """A function as its owner told of it."""

    address: str
    class_code: int
    ids: str
    directory: str
    known: Mapping[str, str]
    verdict: str = ""
    """`passes`, `refused`, `bridge`, `board`, `kept` (refused, and no command), where it is sure."""

    @property
    def driver(self) -> str | None:
        return self.known.get("driver")


@dataclass(frozen=True)
class RealHost:
    """A machine as its owner told of it."""

    name: str
    about: str
    functions: list[RealFunction] = field(default_factory=list)

    def recording(self, *, grouped: bool = False, quiet: bool = False) -> Recording:
        """What its owner told, as files.

        `grouped` puts every function into an IOMMU group, of its own where none is told; `quiet` adds that nothing is
        mounted, open, plugged in or up, which nobody told.
        """
        machine = Builder(units=("dmar0",) if grouped or self._grouped else ())
        if not (grouped or self._grouped):
            machine.names(GROUPS)
        machine.vfio()
        places: dict[str, Place] = {}
        highest = max((int(each.known.get("group", -1)) for each in self.functions), default=-1)
        for each in self.functions:
            group = int(each.known["group"]) if "group" in each.known else None
            if group is None and grouped:
                highest += 1
                group = highest
            places[each.address] = _function(machine, each, group)
        self._link_vfs(machine, places)
        recording = machine.recording(self.about)
        return recording if quiet else replace(recording, entries=_told(recording.entries))

    @property
    def _grouped(self) -> bool:
        return any("group" in each.known for each in self.functions)

    def _link_vfs(self, machine: Builder, places: Mapping[str, Place]) -> None:
        vfs: dict[str, list[str]] = {}
        for each in self.functions:
            if "pf" in each.known:
                vfs.setdefault(each.known["pf"], []).append(each.address)
        for pf, theirs in vfs.items():
            path = places[pf].path
            machine.sriov(places[pf], total=len(theirs))
            machine.file(f"{path}/sriov_numvfs", str(len(theirs)))
            if "without sriov_offset" not in self.about:
                ids = [routing_id(vf) for vf in theirs]
                machine.file(f"{path}/sriov_offset", str(ids[0] - routing_id(pf)))
                machine.file(f"{path}/sriov_stride", str(ids[1] - ids[0] if len(ids) > 1 else 0))
            for index, vf in enumerate(theirs):
                machine.link(f"{path}/virtfn{index}", places[vf].path)
                machine.link(f"{places[vf].path}/physfn", path)


def _told(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Without what a description makes up: that lists are complete, and what interfaces are set to."""
    return {
        path: entry
        for path, entry in entries.items()
        if not path.startswith(_MADE_UP) and path.rpartition("/")[2] not in {"flags", "operstate", "boot_vga"}
    }


def _function(machine: Builder, told: RealFunction, group: int | None) -> Place:
    place = machine.function(
        Place(f"sys/devices/{told.directory}"),
        told.address,
        told.ids,
        told.class_code,
        driver=told.driver,
        group=group,
        grouped=group is not None,
        node=int(told.known.get("node", "-1")),
    )
    short = told.address.replace(":", "").replace(".", "")
    for number in range(int(told.known.get("net", "0"))):
        machine.netdev(place, f"en{short}n{number}", up=False)
    for number in range(int(told.known.get("disks", "0"))):
        machine.disk(f"{place.path}/block", f"d{short}n{number}")
    return place


@cache
def real_hosts() -> Mapping[str, RealHost]:
    """All of them by name."""
    found: dict[str, RealHost] = {}
    host = RealHost("", "")
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            host.functions.append(_read(line, host))
        elif line and not line.startswith("#"):
            host = RealHost(line.split(" ", 1)[0], line)
            found[host.name] = host
    return found


def _read(line: str, host: RealHost) -> RealFunction:
    address, class_code, ids, directory, *words = line.split()
    if directory == ".":
        directory = host.functions[-1].directory
    known = dict(word.split("=", 1) for word in words if not word.startswith("!"))
    if "driver" in known:
        known["driver"] = known["driver"].replace("%20", " ")
    return RealFunction(address, int(class_code, 16), ids, directory, known, next(_verdicts(words), ""))


def _verdicts(words: list[str]) -> Iterator[str]:
    return (word[1:] for word in words if word.startswith("!"))
