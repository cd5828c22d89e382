"""What a change of a driver must not take is found right before the write, by the thing itself; VFs come and go."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from domxml.pciaddress import PciAddress
from hostdev.binding.carry import Means, carry
from hostdev.binding.effects import Effects, Outcome
from hostdev.binding.journal import Journal
from hostdev.binding.kernel import Kernel
from hostdev.binding.plan import bind, unbind
from hostdev.binding.vfs import HOST, NONE, vfs
from hostdev.inventory.machine import Machine
from hostdev.inventory.scan import scan
from tests.vmhost.inside import layers, pci, vfioholder
from tests.vmhost.inside.kernellog import KernelLog, answer
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.prepare import run
from tests.vmhost.inside.product import PASSGATE, passgate_json
from tests.vmhost.inside.scenario import expect, scenario, thorough
from tests.vmhost.topology import BY_ID

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

DISK, NIC = BY_ID["nvme1"].address, BY_ID["switch-nic1"].address
PORT, OTHER_PORT, CONTROLLER = (BY_ID[name].address for name in ("igb1", "igb0", "nvme0"))
MAC = "02:00:00:00:00:0a"
Layer = Callable[[], AbstractContextManager[object]]


@scenario
def disks_in_use_are_found_right_before_the_write(bench: Bench) -> None:
    """A plan was made while the disk was free, and something came in between."""
    first, second = layers.namespaces(DISK)
    node = f"/dev/{first}"
    with layers.formatted(first):
        _refused(bench, (DISK, "mounted"), lambda: layers.mounted(first), "host-root-disk", "mounted at /mnt")
        elsewhere = "in another mount namespace"
        _refused(
            bench, (DISK, "mounted elsewhere"), lambda: layers.mounted_elsewhere(first), "host-root-disk", elsewhere
        )
        busy = "or unmounted lazily"
        _refused(bench, (DISK, "lazily unmounted"), lambda: layers.mounted_lazily(first), "host-root-disk", busy)
    with layers.wiped(second):
        _refused(bench, (DISK, "swap"), lambda: layers.swap(f"/dev/{second}"), "host-root-disk", "swap")
    _refused(bench, (DISK, "loop"), lambda: layers.loop(first), "host-root-disk", "held by loop0")
    _refused(bench, (DISK, "open as it is"), lambda: layers.opened(first), "host-root-disk", "open in python3")
    other = "open under another name"
    _refused(bench, (DISK, other), lambda: _opened_under_another_name(node), "host-root-disk", "open in sleep")
    controller = f"/dev/{next(pci.directory(DISK).glob('nvme/nvme*')).name}"
    with_node = "the controller's node is open"
    _refused(bench, (DISK, with_node), lambda: layers.held_open(controller), "host-uses-device", "open in sleep")
    lvm = "is a physical volume of LVM"
    _refused(bench, (DISK, "LVM, inactive"), lambda: layers.inactive(first), "host-use-unknown", lvm)
    _refused(bench, (DISK, "LVM, and no udev"), lambda: _unrecorded(first), "host-use-unknown", lvm)


@scenario
def interfaces_in_use_are_found_right_before_the_write(bench: Bench) -> None:
    """Addresses and routes that stand in no file by the interface's name, a bond, another namespace, another tool."""
    used = "host-network-device"
    _refused(bench, (NIC, "an address"), lambda: layers.up(NIC, "192.0.2.9/32"), used, "has the address 192.0.2.9/32")
    _refused(bench, (NIC, "a route of table 100"), _routed, used, "the route 198.51.100.0/24 in table 100")
    _refused(bench, (NIC, "down, with an address"), _addressed, used, "has the address 192.0.2.8/32")
    _refused(bench, (NIC, "up"), lambda: layers.up(NIC), "host-use-unknown", "is up")
    _refused(bench, (NIC, "in a bond"), _bonded, used, "part of bond bond7")
    elsewhere = "in another network namespace"
    _refused(bench, (NIC, elsewhere), lambda: layers.elsewhere(NIC), "host-use-unknown", elsewhere)
    _refused(bench, (NIC, "driverctl has it"), _in_driverctl, "managed-elsewhere", "driverctl puts it on vfio-pci")


@scenario
def a_vf_that_is_held_is_taken_by_nothing(bench: Bench) -> None:
    """No unbind, no other number of VFs, whatever name the holder has for the node."""
    vf = PORT_VF
    for what, elsewhere in (("held", False), ("held from another mount namespace", True)):
        before = _machine()
        plan = unbind(before, [before.functions[vf]])
        fewer = vfs(before, before.functions[PORT], 0)
        with vfioholder.held(vf, elsewhere=elsewhere) as pid:
            name = vfioholder.OTHER_NAME if elsewhere else "/dev/vfio/"
            for change, effects in (("unbind", plan), ("no VFs", fewer)):
                said = _forbidden(effects, before, "device-in-use", f"(PID {pid})")
                expect(name in said, f"{said} does not name {name}")
                expect(pci.driver(vf) == pci.VFIO, f"{vf} is on {pci.driver(vf)}")
                count = _count(PORT)
                expect(count == BY_ID["igb1"].vfs, f"there are {count} VFs")
                enabled = (pci.directory(vf) / "enable").read_text().strip()
                bench.record(f"{vf} {what}: {change}", "refused: device-in-use", f"enable is {enabled}")


@scenario
def nothing_waits_with_a_removal_that_waits(bench: Bench) -> None:
    """An unbind of a held VF, and then no VFs for its PF: both wait, and commands tell it instead of waiting, too."""
    vf = PORT_VF
    unbinding, numbering = pci.PCI / "drivers/vfio-pci/unbind", pci.directory(PORT) / "sriov_numvfs"
    for what, path, text in (("an unbind", unbinding, str(vf)), ("no VFs", numbering, "0")):
        pci.bind(vf)
        with vfioholder.held(vf) as pid, vfioholder.waiting(str(path), text, pid) as writer:
            layers.wait(lambda: pci.driver(vf) is None)
            state = Path(f"/proc/{writer.pid}/stat").read_text().rpartition(")")[2].split()[0]
            machine = _machine()
            function = machine.functions[vf]
            expect(function.removing, f"{vf} is not seen to be on its way: {function.driver}")
            for command in (("node", "list"), ("node", "doctor", str(vf)), ("node", "who", str(vf))):
                said = _within(*command)
                expect(command[1] == "list" or "is being taken from vfio-pci" in said or f"{pid}" in said, said)
            _forbidden(vfs(machine, machine.functions[PORT], 0), machine, "removal-pending", "which waits")
            other = vfs(machine, machine.functions[OTHER_PORT], 0)
            if path == numbering:
                _forbidden(other, machine, "removal-pending", "is being taken from vfio-pci")
            bench.record(f"{what} while {vf} is held", "told: removal-pending", f"the writer is in state {state}")
        _restored()


@scenario
def vfs_are_made_changed_and_taken_away(bench: Bench) -> None:
    """On a network card and on an NVMe controller: the number, the drivers, MAC and VLAN, and autoprobe as it was."""
    (pci.directory(PORT) / "sriov_drivers_autoprobe").write_text("1")
    settings = {"0.mac": MAC, "vlan": "7"}
    for port, count, driver, more in (
        (PORT, 0, NONE, {}),
        (PORT, 2, pci.VFIO, settings),
        (PORT, 3, NONE, {}),
        (PORT, 1, HOST, {}),
        (PORT, 1, pci.VFIO, {}),
        (PORT, 0, NONE, {}),
        (CONTROLLER, 0, NONE, {}),
        (CONTROLLER, 2, pci.VFIO, {}),
        (CONTROLLER, 4, NONE, {}),
    ):
        run("udevadm", "settle")
        before, had = _machine(), _count(port)
        if had and count and had != count:
            heard = KernelLog()
            kernel = answer(pci.directory(port) / "sriov_numvfs", str(count))
            bench.record(f"{port}: {had} to {count} in one write", "it goes over 0", f"{kernel}; {heard.said(port)}")
        done = _carried(vfs(before, before.functions[port], count, more, driver=driver), before)
        expect(done.outcome in {Outcome.DONE, Outcome.NOTHING}, f"{port}, {count}: {done.outcome}: {done.findings}")
        each = _drivers(port)
        drivers = sorted(set(each))
        bench.record(f"{port}: {had} to {count}, {driver}", f"{count} VFs", f"{len(each)} VFs, on {drivers}")
        expect(len(each) == count, f"{port}: there are {len(each)} VFs, not {count}")
        wanted = {NONE: ["None"], HOST: ["igbvf"], pci.VFIO: ["vfio-pci"]}[driver] if count else []
        expect(drivers == wanted, f"{port}: {count} VFs on {drivers}, not {wanted}")
        if more:
            said = run("ip", "link", "show", "dev", layers.interface(port))
            expect(said.count("vlan 7") == 2 and MAC in said, said)
    autoprobe = (pci.directory(PORT) / "sriov_drivers_autoprobe").read_text().strip()
    expect(autoprobe == "1", f"autoprobe is {autoprobe}")
    for port, part in ((PORT, "igb1"), (CONTROLLER, "nvme0")):
        machine = _machine()
        said = _forbidden(vfs(machine, machine.functions[port], 9), machine, "too-many-vfs", "9 VFs")
        bench.record(f"{port}: 9 VFs", "refused: too-many-vfs", said)
        _restored(port, BY_ID[part].vfs)


@thorough
@scenario
def a_change_of_vfs_is_undone_by_the_journal(bench: Bench) -> None:
    """`passgate node vfs` makes them anew, and `passgate node journal undo` puts back the number and their drivers."""
    port, count = str(PORT), BY_ID["igb1"].vfs
    _restored()
    before = _drivers(PORT)
    done = passgate_json("node", "vfs", port, "2", "--set", f"0.mac={MAC}", "--yes")
    made = _drivers(PORT)
    expect(done["outcome"] == "done" and made == ["vfio-pci"] * 2, f"{done['outcome']}: {made}")
    bench.record(f"passgate node vfs {port} 2", "2 VFs on vfio-pci", f"{len(made)} VFs on {sorted(set(made))}")
    undone = passgate_json("node", "journal", "undo", done["id"], "--yes")
    after = _drivers(PORT)
    expect(after == before, f"{undone}: the drivers are {after}, and were {before}")
    bench.record("passgate node journal undo", f"{count} VFs as before", f"{len(after)} VFs on {sorted(set(after))}")


PORT_VF = BY_ID["igb1"].vf(0)


def _machine() -> Machine:
    with Kernel().host() as host:
        return scan(host)


def _carried(effects: Effects, machine: Machine) -> Effects:
    with tempfile.TemporaryDirectory() as directory:
        return carry(effects, machine, Means(Journal(Path(directory)), deadline=PATIENCE), "a scenario")


def _refused(bench: Bench, tried: tuple[PciAddress, str], layer: Layer, code: str, words: str) -> None:
    """Free when it was planned; then something came, and nothing is written any more."""
    address, what = tried
    run("udevadm", "settle")
    before = _machine()
    plan = bind(before, [before.functions[address]], pci.VFIO, despite=frozenset())
    expect(plan.outcome == Outcome.PLANNED, f"{address} is not free before {what}: {plan.findings}")
    driver = pci.driver(address)
    with layer():
        said = _forbidden(plan, before, code, words)
    override = (pci.directory(address) / "driver_override").read_text().strip()
    left = pci.driver(address), override
    expect(left == (driver, "(null)"), f"{address}, {what}: afterwards it is on {left[0]}, override {left[1]}")
    bench.record(f"{address}: {what}", f"refused: {code}", words if words in said else said)


def _forbidden(effects: Effects, machine: Machine, code: str, words: str) -> str:
    """The plan is refused, or carried out to its first write and refused there."""
    done = _carried(effects, machine)
    expect(done.outcome == Outcome.REFUSED, f"{code}: it is {done.outcome}: {done.steps} {done.findings}")
    said = "; ".join(one.message for one in done.findings if one.code == code)
    expect(words in said, f"{code}: {words} is not in: {said}; {done.findings}")
    return said


def _count(port: PciAddress) -> int:
    return len([*pci.directory(port).glob("virtfn*")])


def _drivers(port: PciAddress) -> list[str]:
    """The driver of each VF, in their order."""
    links = sorted(pci.directory(port).glob("virtfn*"))
    return [str(pci.driver(PciAddress.parse(link.readlink().name))) for link in links]


def _within(*command: str) -> str:
    """A command that does not wait."""
    done = subprocess.run([*PASSGATE, *command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


def _restored(port: PciAddress = PORT, count: int = BY_ID["igb1"].vfs) -> None:
    """As the host was prepared: the first VF on vfio-pci, the others without a driver."""
    layers.wait(lambda: _count(port) in {0, 1, 2, 3, 4})
    (pci.directory(port) / "sriov_drivers_autoprobe").write_text("0")
    if _count(port) != count:
        (pci.directory(port) / "sriov_numvfs").write_text("0")
        pci.create_vfs(port, count)
    pci.bind(PciAddress.parse((pci.directory(port) / "virtfn0").readlink().name))
    run("udevadm", "settle")


@contextmanager
def _opened_under_another_name(node: str) -> Iterator[None]:
    """As a container has it that calls its devices as it likes."""
    path = Path("/dev/shm/anything")  # noqa: S108  a node, in the memory of the passthrough host
    number = Path(node).stat().st_rdev
    run("mknod", str(path), "b", str(number >> 8 & 0xFFF), str(number & 0xFF))
    try:
        with layers.held_open(str(path)):
            yield
    finally:
        path.unlink()


@contextmanager
def _unrecorded(name: str) -> Iterator[None]:
    """A physical volume of which udev has no record: its mark is read from the disk."""
    record = Path(f"/run/udev/data/b{Path(f'/sys/class/block/{name}/dev').read_text().strip()}")
    with layers.inactive(name):
        kept = record.read_bytes()
        record.unlink()
        try:
            yield
        finally:
            record.write_bytes(kept)


@contextmanager
def _routed() -> Iterator[None]:
    with layers.up(NIC) as name:
        run("ip", "route", "add", "198.51.100.0/24", "dev", name, "table", "100")
        yield


@contextmanager
def _addressed() -> Iterator[None]:
    name = layers.interface(NIC)
    run("ip", "address", "add", "192.0.2.8/32", "dev", name)
    try:
        yield
    finally:
        run("ip", "address", "flush", "dev", name)


@contextmanager
def _bonded() -> Iterator[None]:
    name = layers.interface(NIC)
    run("modprobe", "bonding", "max_bonds=0")
    run("ip", "link", "add", "bond7", "type", "bond")
    try:
        run("ip", "link", "set", name, "master", "bond7")
        yield
    finally:
        run("ip", "link", "delete", "bond7")
        run("ip", "link", "set", name, "down")


@contextmanager
def _in_driverctl() -> Iterator[None]:
    file = Path(f"/etc/driverctl.d/pci-{NIC}")
    file.parent.mkdir(exist_ok=True)
    file.write_text("vfio-pci\n")
    try:
        yield
    finally:
        file.unlink()
