"""The scenarios: on which host each plays, what is read, and how `passgate inject` is called for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hostdev.cli.injecting import Outcome, passgate
from tests.house import ROOT

FOLDER = ROOT / "tests/fixtures/scenarios"
MACHINES = ROOT / "tests/fixtures/machines"
HOSTS = FOLDER / "hosts"
GOLDEN = Path(__file__).parent / "golden"
CHANNELS: Mapping[str, str] = {"compute.env": "--env-file", "network-info": "--network-info"}
"""By which option each file that may lie beside the domain is given."""


@dataclass(frozen=True, slots=True)
class Case:
    """One VM on one host."""

    name: str
    host: Path

    def __str__(self) -> str:
        return self.name

    @property
    def domain(self) -> bytes:
        """The domain as virt-launcher hands it over at first."""
        return self.file("domain.xml").read_bytes()

    @property
    def arguments(self) -> tuple[str, ...]:
        """All but the domain."""
        told = [(option, str(self.file(name))) for name, option in CHANNELS.items() if self.file(name).exists()]
        pairs = [("--vmi", str(self.file("vm.yaml"))), *told, ("--host", str(self.host))]
        return tuple(word for pair in pairs for word in pair)

    def file(self, name: str) -> Path:
        """A file of the scenario."""
        return FOLDER / self.name / name

    def inject(self, *more: str, domain: bytes | None = None) -> Outcome:
        """Run the command as a process, on the domain or on another one."""
        return passgate("inject", *self.arguments, *more, given=self.domain if domain is None else domain)


CASES = (
    Case("intel-graphics-windows", MACHINES / "intel-igpu.toml"),
    Case("intel-graphics-ubuntu", MACHINES / "intel-igpu.toml"),
    Case("network-x710", MACHINES / "two-socket-x710.toml"),
    Case("network-e810", HOSTS / "e810.toml"),
    Case("harvester-t4", HOSTS / "harvester.toml"),
    Case("harvester-vgpu", HOSTS / "harvester.toml"),
    Case("harvester-qat", HOSTS / "harvester.toml"),
    Case("harvester-shared-group", HOSTS / "harvester.toml"),
    Case("qat-q35", MACHINES / "qat.toml"),
    Case("qat-i440fx", MACHINES / "qat.toml"),
    Case("kunpeng-bond", MACHINES / "kunpeng.toml"),
)
