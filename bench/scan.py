"""How long a scan takes on a host with 4096 functions, ours and others': `python -m bench.scan`.

The host is a tree on tmpfs with 64 PFs of 63 VFs each. Where we may, the tree is mounted over /sys and /dev in a
mount namespace of its own, so that pyudev and lspci read the same files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.interleaved import Timing, measure
from domxml.pciaddress import PciAddress
from hostdev.inventory.host import Host
from hostdev.inventory.recorded.recording import File, Recording
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.machines.builder import Builder

PFS = 64
VFS = ("vfio-pci",) * 60 + (None,) * 3
TURNS = 15
IN_MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108  only to make a directory of our own in it
NAMESPACE = "--in-mount-namespace"
WHOLE = "whole host"
ONE = "one device and its group"
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

    return {f"passgate, {WHOLE}": whole, f"passgate, {ONE}": one}


def theirs() -> dict[str, Case]:
    """What else reads /sys: only where the tree lies over it."""
    import pyudev  # noqa: PLC0415  # the rest can be measured without

    # Made once: it looks for the library with a process of its own.
    context = pyudev.Context()

    def linked(path: str) -> str | None:
        try:
            return os.readlink(path)  # noqa: PTH115  # pathlib would take longer
        except FileNotFoundError:
            return None

    def facts(device: pyudev.Device) -> tuple[object, ...]:
        get = device.attributes.get
        numbers = (get("vendor"), get("device"), get("subsystem_vendor"), get("subsystem_device"), get("class"))
        links = (linked(f"{device.sys_path}/{name}") for name in ("iommu_group", "physfn"))
        return device.sys_name, device.driver, *numbers, get("numa_node"), *links

    def whole() -> object:
        return [facts(device) for device in context.list_devices(subsystem="pci")]

    def one() -> object:
        asked = pyudev.Devices.from_name(context, "pci", str(ASKED))
        members = os.listdir(f"{asked.sys_path}/iommu_group/devices")  # noqa: PTH208
        return [facts(pyudev.Devices.from_name(context, "pci", name)) for name in members]

    cases: dict[str, Case] = {f"pyudev, {WHOLE}": whole, f"pyudev, {ONE}": one}
    lspci = shutil.which("lspci")
    if lspci:
        cases["lspci -D -k"] = lambda: subprocess.run([lspci, "-D", "-k"], check=True, capture_output=True)  # noqa: S603
    return cases


def lines(timings: Mapping[str, Timing]) -> Iterator[str]:
    """Name, median, and how many times as fast as pyudev at the same task."""
    for name, timing in timings.items():
        task = name.partition(", ")[2] or WHOLE
        reference = timings.get(f"pyudev, {task}")
        ratio = f"{reference.times(timing):.1f}x" if reference else "-"
        yield f"{name:<46} {timing.median * 1000:>9.2f} ms  {ratio:>6}"


def in_namespace(directory: str) -> dict[str, Timing] | None:
    """Measure with the tree mounted over /sys; None where that is not allowed."""
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return None
    command = [unshare, "--mount", sys.executable, "-m", "bench.scan", NAMESPACE, directory]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        sys.stderr.write(done.stderr)
        return None
    return {name: Timing(name, tuple(seconds)) for name, seconds in json.loads(done.stdout).items()}


def inside(directory: str) -> None:
    """Measure in a mount namespace of our own, and print the seconds."""
    cases = {**theirs(), **ours("/")}
    for place in ("sys", "dev"):
        subprocess.run(["/bin/mount", "--bind", f"{directory}/{place}", f"/{place}"], check=True)  # noqa: S603
    # libudev would otherwise notice that this is no sysfs.
    os.environ["SYSTEMD_DEVICE_VERIFY_SYSFS"] = "0"
    timings = measure(cases, turns=TURNS)
    json.dump({name: timing.seconds for name, timing in timings.items()}, sys.stdout)


def main() -> None:
    """Build, measure, print."""
    if sys.argv[1:2] == [NAMESPACE]:
        inside(sys.argv[2])
        return
    with TemporaryDirectory(dir=IN_MEMORY) as directory:
        layout.write(tree(), Path(directory))
        timings = in_namespace(directory)
        if timings is None:
            sys.stdout.write("pyudev and lspci are left out: only root may mount the tree over /sys\n")
            timings = measure(ours(directory), turns=TURNS)
    sys.stdout.writelines(f"{line}\n" for line in lines(timings))


if __name__ == "__main__":
    main()
