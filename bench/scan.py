"""How long a scan takes on a host with 4096 functions, ours and others': `python -m bench.scan`.

The host is a tree on tmpfs with 64 PFs of 63 VFs each. Where we may, the tree is mounted over /sys in a mount
namespace of its own, so that pyudev and lspci read the same files.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from domxml.pciaddress import PciAddress
from hostdev.host import Host
from hostdev.recorded import layout
from hostdev.recorded.recording import File, Recording
from hostdev.scan import scan
from tests.hostdev.machines.builder import Builder

PFS = 64
VFS = ("vfio-pci",) * 60 + (None,) * 3
ROUNDS = 15
NAMESPACE = "--in-mount-namespace"
ASKED = PciAddress.parse("0000:1f:03.4")

Case = Callable[[], object]


def tree() -> Recording:
    """The host: two domains of 32 root ports, below each a PF and its VFs, each in a group of its own."""
    machine = Builder()
    machine.vfio()
    for index in range(PFS):
        domain, slot = divmod(index, 32)
        root = machine.root(f"pci{domain:04x}:00", node=domain)
        port = machine.bridge(root, f"{domain:04x}:00:{slot:02x}.0")
        bus = f"{domain:04x}:{slot + 1:02x}"
        pf = machine.function(port, f"{bus}:00.0", "8086:1572", 0x020000, driver="i40e", reset="flr pm bus")
        machine.netdev(pf, f"ens{index}")
        machine.vfs(pf, f"{bus}:00.1", "8086:154c", 0x020000, VFS)
    machine.route("ens0")
    recording = machine.recording("")
    configs = {
        path.removesuffix("uevent") + "config": File(bytes(64))
        for path in recording.entries
        if path.endswith("/uevent")
    }
    return Recording(entries={**recording.entries, **configs})


def ours(root: str) -> dict[str, Case]:
    """Our cases on the host below a directory."""

    def whole() -> object:
        with Host(root) as host:
            return scan(host)

    def one() -> object:
        with Host(root) as host:
            return scan(host, only=[ASKED])

    return {"passgate, whole host": whole, "passgate, one device and its group": one}


def theirs() -> dict[str, Case]:
    """What else reads /sys: only where the tree lies over it."""
    import pyudev  # noqa: PLC0415  # the rest can be measured without

    def facts(device: pyudev.Device) -> tuple[object, ...]:
        get = device.attributes.get
        group = os.readlink(f"{device.sys_path}/iommu_group")
        try:
            physfn = os.readlink(f"{device.sys_path}/physfn")
        except FileNotFoundError:
            physfn = None
        numbers = (get("vendor"), get("device"), get("subsystem_vendor"), get("subsystem_device"), get("class"))
        return device.sys_name, device.driver, *numbers, get("numa_node"), group, physfn

    def whole() -> object:
        return [facts(device) for device in pyudev.Context().list_devices(subsystem="pci")]

    def one() -> object:
        context = pyudev.Context()
        asked = pyudev.Devices.from_name(context, "pci", str(ASKED))
        members = os.listdir(f"{asked.sys_path}/iommu_group/devices")  # noqa: PTH208
        return [facts(pyudev.Devices.from_name(context, "pci", name)) for name in members]

    cases: dict[str, Case] = {"pyudev, whole host": whole, "pyudev, one device and its group": one}
    lspci = shutil.which("lspci")
    if lspci:
        cases["lspci -D -k"] = lambda: subprocess.run([lspci, "-D", "-k"], check=True, stdout=subprocess.DEVNULL)
    return cases


def measure(cases: Mapping[str, Case]) -> dict[str, list[float]]:
    """Milliseconds of each case, taken in turns so that all see the same load."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(ROUNDS + 1):
        for name, case in cases.items():
            # Nobody pays for the garbage of another.
            gc.collect()
            start = time.perf_counter()
            answer = case()
            taken = time.perf_counter() - start
            del answer
            # The first turn warms the caches.
            if turn:
                times[name].append(taken * 1000)
    return times


def lines(times: Mapping[str, list[float]]) -> Iterator[str]:
    """Name, median, and how many times as fast as pyudev at the same task."""
    for name, values in times.items():
        task = name.partition(", ")[2] or "whole host"
        reference = times.get(f"pyudev, {task}")
        ratio = statistics.median(b / a for a, b in zip(values, reference, strict=True)) if reference else None
        yield f"{name:<46} {statistics.median(values):>9.2f} ms  {f'{ratio:.1f}x' if ratio else '-':>6}"


def in_namespace(directory: str) -> dict[str, list[float]] | None:
    """Measure with the tree mounted over /sys; None where that is not allowed."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return None
    command = [unshare, "--mount", sys.executable, "-m", "bench.scan", NAMESPACE, directory]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return None
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def main() -> None:
    """Build, measure, print."""
    if sys.argv[1:2] == [NAMESPACE]:
        subprocess.run(["/bin/mount", "--bind", f"{sys.argv[2]}/sys", "/sys"], check=True)  # noqa: S603
        # libudev would otherwise notice that this is no sysfs.
        os.environ["SYSTEMD_DEVICE_VERIFY_SYSFS"] = "0"
        json.dump(measure({**theirs(), **ours("/")}), sys.stdout)
        return
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
        layout.write(tree(), Path(directory))
        times = in_namespace(directory)
        if times is None:
            print("pyudev and lspci are left out: the tree cannot be mounted over /sys without being root")
            times = measure(ours(directory))
    print("\n".join(lines(times)))


if __name__ == "__main__":
    main()
