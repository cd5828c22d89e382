"""`passgate node who`: from /proc as QEMU fills it, from this machine's own, and from a libvirt."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from domxml.pciaddress import PciAddress
from hostdev.holders import processes
from hostdev.holders.claim import How
from hostdev.inventory.host import Host
from tests.hostdev.cli.processes import ADDRESS, add_process
from tests.hostdev.cli.running import MACHINES, Ran, machine, process
from tests.hostdev.cli.validator import errors, schema
from tests.hostdev.layout import lay_out

POD = "0a1b2c3d-0000-4000-8000-123456789abc"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host whose device is in group 10 and is vfio1."""
    directory = tmp_path / "host"
    lay_out((MACHINES / "two-socket-x710.toml").read_text(), directory)
    add_process(directory, 1, "systemd")
    return directory


def who(cli: Callable[..., Ran], root: Path, *words: str) -> Ran:
    return cli("node", "who", ADDRESS, "--host", str(root), *words)


def vfio_device() -> str:
    found = machine("two-socket-x710").functions[PciAddress.parse(ADDRESS)].vfio_dev
    assert found
    return found


def test_nobody(cli: Callable[..., Ran], root: Path) -> None:
    assert who(cli, root) == Ran(0, f"nobody holds {ADDRESS}\n", "")


def test_a_command_line_is_believed_of_programs_that_run_vms(cli: Callable[..., Ran], root: Path) -> None:
    add_process(root, 7, "/bin/sleep", "-device", f"vfio-pci,host={ADDRESS}")

    assert "sleep" not in who(cli, root).out


def test_qemu_with_the_group_open(cli: Callable[..., Ran], root: Path) -> None:
    add_process(
        root,
        4242,
        "/usr/bin/qemu-system-x86_64",
        "-name",
        "guest=default_vm1,debug-threads=on",
        "-device",
        f'{{"driver":"vfio-pci","host":"{ADDRESS}","id":"hostdev0"}}',
        files=("/dev/null", "socket:[1]", "/dev/vfio/vfio", "/dev/vfio/10", "anon_inode:[vfio-device]"),
        cgroup=f"0::/kubepods.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice/cri-containerd-1.scope",
    )
    lines = who(cli, root).out.splitlines()

    assert lines[1].split() == ["open", "qemu-system-x86_64", "4242", "default_vm1", POD, "/dev/vfio/10"]
    assert lines[2].split()[:3] == ["told", "qemu-system-x86_64", "4242"]
    assert lines[3:] == [f"{ADDRESS} is open"]


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("/dev/vfio/10", True),
        ("/dev/vfio/noiommu-10", True),
        ("/dev/vfio/devices/OWN", True),
        ("/dev/vfio/1", False),
        ("/dev/vfio/100", False),
        ("/dev/vfio/vfio", False),
        ("/dev/vfio/devices/vfio99", False),
        ("/elsewhere/dev/vfio/10", False),
    ],
)
def test_files(file: str, found: bool, root: Path, cli: Callable[..., Ran]) -> None:  # noqa: FBT001
    add_process(root, 7, "dpdk-testpmd", files=(file.replace("OWN", vfio_device()),))

    assert ("dpdk-testpmd" in who(cli, root).out) is found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (f"vfio-pci,host={ADDRESS}", True),
        (f"vfio-pci,host={ADDRESS},id=hostdev0", True),
        ("vfio-pci,host=3b:02.1,id=x", True),
        (f'{{"driver":"vfio-pci","host":"{ADDRESS}","fd":"7"}}', True),
        (f'{{"driver": "vfio-pci", "host": "{ADDRESS}"}}', True),
        (f"path=/sys/bus/pci/devices/{ADDRESS}/", True),
        (f"vfio-pci,sysfsdev=/sys/bus/pci/devices/{ADDRESS}", True),
        ("vfio-pci,host=0000:3b:02.10", False),
        ("vfio-pci,host=0001:3b:02.1", False),
        (f"virtio-net-pci,addr={ADDRESS}", False),
        (ADDRESS, False),
    ],
)
def test_command_lines(word: str, found: bool, root: Path, cli: Callable[..., Ran]) -> None:  # noqa: FBT001
    add_process(root, 7, "qemu-kvm", "-device", word)

    assert ("qemu-kvm" in who(cli, root).out) is found


def test_the_host_itself(cli: Callable[..., Ran], root: Path) -> None:
    ran = cli("node", "who", "3b:00.0", "--host", str(root))

    assert ran.out.splitlines()[1].split() == ["driver", "i40e", "-", "-", "-", "the", "host's", "driver", "ens1f0"]
    assert ran.out.splitlines()[2:] == ["0000:3b:00.0 is held by the host"]


def test_json_follows_its_schema(cli: Callable[..., Ran], root: Path) -> None:
    add_process(root, 7, "qemu-kvm", files=("/dev/vfio/10",))
    document = json.loads(who(cli, root, "-o", "json").out)

    assert list(errors(document, schema("holders.json"))) == []
    assert document["complete"]
    assert (document["state"], document["agree"]) == ("open", None)
    assert [(item["how"], item["pid"], item["where"]) for item in document["items"]] == [("open", 7, "/dev/vfio/10")]


def test_a_recorded_machine_has_no_processes(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "who", ADDRESS, "--host", "tests/fixtures/machines/two-socket-x710.toml")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "has no processes to look at" in ran.err


@pytest.mark.parametrize("visible", [True, False])
def test_processes_that_may_not_be_looked_into(visible: bool, root: Path) -> None:  # noqa: FBT001
    """A user who sees nobody must not believe that there is nobody."""
    add_process(root, 99, "secret", files=("/dev/vfio/10",))
    (root / "proc/99/fd").chmod(0o000)
    if visible:
        add_process(root, 7, "qemu-kvm", files=("/dev/vfio/10",))
    for directory in root.parents:
        if directory == Path(tempfile.gettempdir()):
            break
        directory.chmod(0o755)
    ran = process("node", "who", ADDRESS, "--host", str(root), nobody=True)
    (root / "proc/99/fd").chmod(0o700)

    assert "not permitted to look into 1 processes" in ran.err
    if visible:
        assert ran.code == ExitCode.DONE
        assert "qemu-kvm" in ran.out
    else:
        assert ran.code == ExitCode.NOT_PERMITTED
        assert ran.out == f"nobody that could be seen holds {ADDRESS}\n"


@contextmanager
def running(executable: Path, *words: str) -> Iterator[int]:
    """A process that waits, with these words on its command line."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    home = {**os.environ, "PYTHONHOME": sys.base_prefix}
    with subprocess.Popen(
        [executable, "-c", program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home
    ) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started.pid
        started.communicate()


@pytest.mark.parametrize(("name", "believed"), [("qemu-system-x86_64", True), ("notes", False)])
def test_the_real_proc(tmp_path: Path, name: str, *, believed: bool) -> None:
    shutil.copy(Path(sys.executable).resolve(), tmp_path / name)
    function = replace(machine("two-socket-x710").functions[PciAddress.parse(ADDRESS)], driver=None)
    with Host("/") as host, running(tmp_path / name, "-device", f"vfio-pci,host={ADDRESS}") as pid:
        found = [holder for holder in processes.ask_processes(host, function).claims if holder.pid == pid]

    told = [(How.TOLD, f"vfio-pci,host={ADDRESS}")] if believed else []
    assert [(holder.how, holder.where) for holder in found] == told


NODE = f"""<node>
<domain type='test'><name>vm-with-vf</name><memory>1024</memory><os><type>hvm</type></os><devices>
<hostdev mode='subsystem' type='pci' managed='no'><source>
<address domain='0x0000' bus='0x{ADDRESS[5:7]}' slot='0x{ADDRESS[8:10]}' function='0x1'/></source></hostdev>
</devices></domain>
<domain type='test'><name>other</name><memory>1024</memory><os><type>hvm</type></os></domain>
</node>"""


def test_a_libvirt(cli: Callable[..., Ran], root: Path, tmp_path: Path) -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    file = tmp_path / "node.xml"
    file.write_text(NODE)
    ran = who(cli, root, "--connect", f"test://{file}")

    assert ran.code == 0
    assert ran.out.splitlines()[1].split() == [
        "domain",
        "vm-with-vf",
        "-",
        "vm-with-vf",
        "-",
        "<hostdev>",
        "in",
        f"test://{file}",
    ]
    assert ran.out.splitlines()[2:] == [f"{ADDRESS} is open"]


def test_no_libvirt(cli: Callable[..., Ran], root: Path) -> None:
    pytest.importorskip("libvirt", reason="libvirt-python is not installed")
    ran = who(cli, root, "--connect", "test:///nowhere.xml")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "test:///nowhere.xml: libvirt cannot be asked: " in ran.err


def test_several_devices_by_whatever_they_are_called(cli: Callable[..., Ran], root: Path) -> None:
    add_process(root, 7, "qemu-kvm", files=("/dev/vfio/10",))
    ran = cli("node", "who", "ens1f0", ADDRESS, "group:11", "8", "--host", str(root))
    lines = ran.out.splitlines()

    assert ran.code == 0
    assert lines[0].split() == ["ADDRESS", "HOW", "WHO", "PID", "GUEST", "POD", "SEEN"]
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["0000:3b:00.0", "driver", "i40e"],
        [ADDRESS, "open", "qemu-kvm"],
        ["0000:3b:00.1", "driver", "i40e"],
    ]
    assert lines[4:] == [
        "0000:3b:00.0 is held by the host",
        f"{ADDRESS} is open",
        "0000:3b:00.1 is held by the host",
        "nobody holds 0000:3b:02.2",
    ]


def test_several_devices_are_a_list_whatever_is_found(cli: Callable[..., Ran], root: Path) -> None:
    def kinds(*words: str) -> tuple[str, int]:
        document = json.loads(cli("node", "who", *words, "-o", "json", "--host", str(root)).out)
        assert list(errors(document, schema(f"{document['kind'].lower()}.json"))) == []
        return document["kind"], len(document["items"])

    assert kinds("ens1f0") == ("Holders", 1)
    assert kinds("group:10") == ("HoldersList", 1), "the form does not depend on how many there are"
    assert kinds(ADDRESS, "ens1f0") == ("HoldersList", 2)
    assert kinds("nic", "vf", "ready") == ("HoldersList", 12)
    lines = cli("node", "who", "nic", "pf", "-o", "jsonl", "--host", str(root)).out.splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["host"] * 4


def test_holders_as_csv(cli: Callable[..., Ran], root: Path) -> None:
    words = ("node", "who", "10", "11", "--host", str(root), "-o", "csv", "--columns", "address,state,who")
    add_process(root, 7, "qemu-kvm", files=("/dev/vfio/10",))

    assert cli(*words).out == f"address,state,who\n{ADDRESS},open,qemu-kvm\n0000:3b:02.2,free,\n"


def test_a_group_is_asked_without_its_ports(cli: Callable[..., Ran], tmp_path: Path) -> None:
    lay_out((MACHINES / "consumer-gpu.toml").read_text(), tmp_path / "host")
    add_process(tmp_path / "host", 1, "systemd")
    out = cli("node", "who", "1", "--host", str(tmp_path / "host")).out

    assert "0000:00:01.0" not in out
    assert "0000:01:00.1 is held by the host" in out
    assert (
        "0000:00:01.0 is held by the host" in cli("node", "who", "1", "00:01.0", "--host", str(tmp_path / "host")).out
    )


def test_no_device_and_none_that_fits(cli: Callable[..., Ran], root: Path) -> None:
    nothing = cli("node", "who", "--host", str(root))
    none = cli("node", "who", "fpga", "--host", str(root))

    assert (nothing.code, nothing.out) == (ExitCode.USAGE, "")
    assert "no device is named [no-device-named]\nhint: a device is named by an address (3d:02.2)" in nothing.err
    assert (none.code, none.out) == (ExitCode.DONE, "")
    assert "note: no device fits fpga; there is " in none.err
