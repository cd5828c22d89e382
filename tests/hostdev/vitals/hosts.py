"""A host on which VMs run, with devices in every state; `python -m tests.hostdev.vitals.hosts` writes it down.

All of it is files as a kernel would show them: processes, interrupts, the kernel's log.
"""

from __future__ import annotations

from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import File, Recording
from tests.hostdev.machines.builder import Builder, Place
from tests.house import ROOT

FILE = ROOT / "tests/fixtures/vitals/vms.toml"
UPTIME = 100_000.0
ARRIVED, YOUNG, QUIET = "0000:3b:02.0", "0000:3b:02.1", "0000:3b:02.2"
FAULTY, LOST, IDLE = "0000:86:00.0", "0000:87:00.0", "0000:3b:02.3"
MDEV = "a1b2c3d4-0001-4000-8000-0000000000a1"
HEALTH = {"power_state": "D0", "power/runtime_status": "active", "enable": "1"}


def kernel_line(seconds: float, text: str, *, priority: int = 6) -> str:
    """A record as /dev/kmsg has it."""
    return f"{priority},1,{round(seconds * 1e6)},-;{text}"


class Host:
    """The files, and what changes them."""

    def __init__(self, release: str = "6.12.57+deb13-amd64") -> None:
        self.builder = Builder(release=release)
        self.builder.vfio()
        self.interrupts: list[str] = []
        self.log: list[str] = [kernel_line(0.5, "Linux version 6.12.57")]
        self.places: dict[str, Place] = {}
        self.builder.file("proc/uptime", f"{UPTIME} 50000.00")

    def health(self, address: str, **changed: str) -> None:
        """What the kernel remembers of a function."""
        path = self.places[address].path
        for name, value in {**HEALTH, **changed}.items():
            self.builder.file(f"{path}/{name}", value)

    def resource(self, address: str, size: int) -> None:
        """One large BAR."""
        lines = [f"0x{1 << 44:016x} 0x{(1 << 44) + size - 1:016x} 0x000000000014220c", *["0x0 0x0 0x0"] * 12]
        self.builder.file(f"{self.places[address].path}/resource", *lines)

    def errors(self, address: str, **counts: int) -> None:
        """Counters of errors."""
        words = {"correctable": "COR", "nonfatal": "NONFATAL", "fatal": "FATAL"}
        for name, count in counts.items():
            lines = ("RxErr 0", f"TOTAL_ERR_{words[name]} {count}")
            self.builder.file(f"{self.places[address].path}/aer_dev_{name}", *lines)

    def vm(self, pid: int, name: str, age: float, *devices: str, memory: int = 4 << 30) -> None:
        """A QEMU that was started so long ago, with these devices."""
        told = [
            f'{{"driver":"vfio-pci","host":"{address}","id":"ua-passgate-{n}"}}' for n, address in enumerate(devices)
        ]
        command = ["/usr/bin/qemu-system-x86_64", "-name", f"guest={name},debug-threads=on"]
        command += [word for device in told for word in ("-device", device)]
        self.builder.entries[f"proc/{pid}/cmdline"] = File("".join(f"{word}\0" for word in command).encode())
        self.builder.file(f"proc/{pid}/comm", "qemu-system-x86")
        start = round((UPTIME - age) * 100)
        self.builder.file(f"proc/{pid}/stat", f"{pid} (qemu) evil) S " + " ".join(["0"] * 18) + f" {start} 0 0")
        self.builder.file(f"proc/{pid}/status", "Name:\tqemu", f"VmPin:\t{memory >> 10} kB", f"VmLck:\t{0} kB")
        self.builder.names(f"proc/{pid}/fd")
        self.builder.file(f"proc/{pid}/cgroup", "0::/machine.slice")

    def vector(self, address: str, kind: str, number: int = 0) -> None:
        """A line of /proc/interrupts; posted interrupts are never counted."""
        index = "" if kind == "intx" else f"[{number}]"
        self.interrupts.append(
            f" {64 + len(self.interrupts)}:          0          0  IR-PCI-MSIX-{address}    {number}-edge      "
            f"vfio-{kind}{index}({address})"
        )

    def says(self, ago: float, text: str) -> None:
        """A line of the kernel's log, so long ago."""
        self.log.append(kernel_line(UPTIME - ago, text))

    def recording(self, note: str = "") -> Recording:
        """All of it."""
        self.builder.file("proc/interrupts", "           CPU0       CPU1", *self.interrupts)
        self.builder.file("dev/kmsg", *self.log)
        return self.builder.recording(note)


def vms() -> Host:
    """Two VMs, and each verdict once."""
    host = Host()
    builder = host.builder
    port = builder.bridge(builder.root("pci0000:3a", node=0), "0000:3a:00.0")
    pf = builder.function(port, "0000:3b:00.0", "8086:1572", 0x020000, driver="i40e")
    builder.netdev(pf, "ens1f0")
    for vf in builder.vfs(pf, ARRIVED, "8086:154c", 0x020000, ["vfio-pci"] * 4):
        host.places[vf.address] = vf
    other = builder.root("pci0000:85", node=1)
    for number, (address, ids, class_code) in enumerate(
        ((FAULTY, "144d:a804", 0x010802), (LOST, "10de:2204", 0x030000))
    ):
        above = builder.bridge(other, f"0000:85:0{number}.0")
        host.places[address] = builder.function(above, address, ids, class_code, driver="vfio-pci")
    for address in (ARRIVED, YOUNG, QUIET, FAULTY):
        host.health(address)
    host.health(LOST, power_state="D3cold")
    host.health(IDLE, enable="0", **{"power/runtime_status": "suspended"})
    host.resource(LOST, 256 << 20)
    host.vm(4242, "web", 7000.0, ARRIVED, QUIET, FAULTY)
    host.vm(4300, "render", 40.0, YOUNG, LOST)
    for number in range(3):
        host.vector(ARRIVED, "msix", number)
    host.vector(FAULTY, "msix")
    host.says(9000.0, "DMAR: [DMA Read NO_PASID] Request device [3b:02.0] fault addr 0x5000000 [fault reason 0x06]")
    host.says(300.0, "DMAR: [DMA Write NO_PASID] Request device [86:00.0] fault addr 0x7f000000 [fault reason 0x05]")
    host.says(35.0, f"vfio-pci {LOST}: Unable to change power state from D3cold to D0, device inaccessible")
    return host


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(toml.write(vms().recording("Two VMs; made by hand, no real host")))
