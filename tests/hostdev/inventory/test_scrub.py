"""What a snapshot hides of a host's owner, and that it is the same machine all the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.gate.compare import compare
from hostdev.inventory.host import Host
from hostdev.inventory.recorded import commandline
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.recorded.names import Names
from hostdev.inventory.recorded.recorder import snapshot
from hostdev.inventory.recorded.recording import File
from hostdev.inventory.scan import scan
from tests.hostdev import layout
from tests.hostdev.cli.running import ROOT, process
from tests.hostdev.machines.builder import Builder

HARMLESS = (
    "ro quiet intel_iommu=on iommu=pt console=tty0 console=ttyS0,115200n8 vfio-pci.ids=10de:1eb8,10de:10f0 panic=-1"
)
PRIVATE = (
    "BOOT_IMAGE=(hd0,gpt2)/ostree/acme-3f2/vmlinuz root=UUID=0f5a2c1e-9d1b-4c57-a8b1-55d0c6a7b3f9 rd.lvm.lv=acme/root"
    " ip=10.11.12.13::10.11.12.1:255.255.255.0:db7.acme.example:eno1:none nfsroot=10.11.12.14:/export/db7"
    " rd.iscsi.initiator=iqn.1994-05.com.acme:db7 rd.nvmf.hostnqn=nqn.2014-08.com.acme:db7 systemd.hostname=db7"
    ' ignition.config.url=https://acme.example/c.ign password hunter2 note="the blue room" -- --token hunter3 hunter4=5'
)
SECRETS = ("acme", "0f5a2c1e", "10.11.12", "db7", "hunter", "blue", "room", "c0ffee")


def test_words_known_to_be_harmless_stay() -> None:
    assert commandline.mask(HARMLESS) == HARMLESS


def test_all_other_words_are_hidden() -> None:
    masked = commandline.mask(f"{HARMLESS} {PRIVATE}")

    assert [secret for secret in SECRETS if secret in masked] == []
    assert masked.endswith("ignition.config.url=_ _ _ note=_ _ _ -- _ _ _")
    assert masked.startswith(f"{HARMLESS} BOOT_IMAGE=_ root=_ rd.lvm.lv=_ ip=_ nfsroot=_ ")


WORDS = st.lists(st.sampled_from(f"{HARMLESS} {PRIVATE} reboot=k x=1 x=2 x _ a=_ --".split()), max_size=12)


@given(WORDS)
def test_a_line_is_equal_to_what_a_recording_tells_of_it(words: list[str]) -> None:
    line = " ".join(words)

    assert commandline.mask(commandline.mask(line)) == commandline.mask(line)
    assert commandline.changes(line, line) == ([], [])
    assert commandline.changes(line, commandline.mask(line)) == ([], [])
    assert commandline.changes(commandline.mask(line), line) == ([], [])


@pytest.mark.parametrize(
    ("old", "new", "lost", "gained"),
    [
        # As 0.1.0 wrote it: a value of any parameter it did not know, and words as they were.
        (
            "reboot=_ psi=_ password hunter2 -- --addr=_ --block",
            "reboot=k psi=1 password hunter2 -- --addr=1 --block",
            [],
            [],
        ),
        ("reboot=_ password hunter2", "reboot=k _ _", [], []),
        ("reboot=_ quiet", "reboot=k quiet iommu=pt", [], ["iommu=pt"]),
        ("root=_ _", "root=UUID=1 secret other", [], ["_"]),
        ("root=_ _ _", "root=UUID=1 secret", ["_"], []),
        ("root=_", "root=UUID=1 token=hunter2", [], ["token=_"]),
        ("root=UUID=1 a", "root=UUID=2 a", ["root=UUID=1"], ["root=UUID=2"]),
        ("console=tty0", "console=tty0 console=tty0", [], ["console=tty0"]),
        ("crashkernel=_", "", ["crashkernel=_"], []),
        ("_", "iommu=pt", ["_"], ["iommu=pt"]),
    ],
)
def test_what_differs_all_the_same_is_told(old: str, new: str, lost: list[str], gained: list[str]) -> None:
    assert commandline.changes(old, new) == (lost, gained)
    assert commandline.changes(new, old) == (gained, lost)


USUAL = (
    "lo eth0 eno1 ens1f0v3 enp59s0f0np0 enP2p1s0 ib0 ibp5s0 p1p1 em1 usb0 bond0 bond0.100 vlan100 br-ex br0"
    " mgmt-br team0 cni0 flannel.1 cali12ab34cd567 lxc0a1b2c cilium_host genev_sys_6081 ovn-k8s-mp0 virbr0 hidden-7"
)


@pytest.mark.parametrize("name", USUAL.split())
def test_interfaces_named_by_a_scheme_keep_their_names(name: str) -> None:
    assert Names().of_interface(name) == name


@pytest.mark.parametrize("name", ["acme0", "br-acme", "payroll", "dmz-frankfurt", "alice", "bond-acme", "eth0-acme"])
def test_interfaces_named_by_their_owner_do_not(name: str) -> None:
    assert Names().of_interface(name) == "hidden-1"


def _of_acme() -> Builder:
    """A host on which nearly everything is called after its owner."""
    built = Builder(cmdline=f"{HARMLESS} {PRIVATE}")
    root = built.root("pci0000:00")
    nic = built.function(root, "0000:00:1f.6", "8086:1a1d", 0x020000, driver="e1000e")
    san = built.function(root, "0000:00:1f.5", "8086:1a1d", 0x020000, driver="e1000e")
    built.netdev(nic, "acme0")
    built.netdev(san, "eno2")
    built.netdev("sys/devices/virtual/net", "br-acme", kind="bridge")
    built.upper("acme0", "br-acme")
    built.route("br-acme")
    built.route("eno2", "000C0B0A", "00FFFFFF")
    built.mount_line(
        "0:61", "/srv/acme", "nfs4 10.11.12.14:/export/db7 rw,vers=4.2,clientaddr=10.11.12.13,addr=10.11.12.14"
    )
    sata = built.function(root, "0000:00:17.0", "8086:a182", 0x010601, driver="ahci")
    nvme = built.function(root, "0000:00:18.0", "144d:a80a", 0x010802, driver="nvme")
    built.disk(f"{sata.path}/ata1/host0/target0:0:0/0:0:0:0/block", "sda", parts=("sda1", "sda2"))
    for name in ("nvme0n1", "nvme1n1", "nvme2n1", "nvme3n1"):
        built.disk(f"{nvme.path}/nvme/nvme0", name)
    built.mapped("dm-0", "rhel_db7-root", "sda2")
    built.mount("sda1", "/boot")
    built.mount_line("0:50", "/", "btrfs /dev/mapper/rhel_db7-root rw,subvol=/acme")
    built.mount("nvme0n1", "/data/acme/payroll")
    built.swap("nvme1n1")
    built.entries["proc/swaps"] = File(b"Filename\tType\n/data/acme/swap.acme file 1 0 -2\n")
    built.file("sys/class/iscsi_connection/connection1:0/address", "10.11.12.14")
    built.file("sys/class/iscsi_connection/connection2:0/persistent_address", "san.acme.example")
    built.file("sys/class/nvme/nvme7/transport", "fc")
    built.file(
        "sys/class/nvme/nvme7/address", "traddr=nn-0x20000090fac0ffee:pn-0x10000090fac0ffee,host_traddr=nn-0x2:pn-0x1"
    )
    built.file("sys/class/nvme/nvme8/transport", "tcp")
    built.file("sys/class/nvme/nvme8/address", "traddr=10.11.12.14,trsvcid=4420,host_traddr=10.11.12.13")
    config = "sys/kernel/config"
    built.file(
        f"{config}/nvmet/subsystems/nqn.2014-08.com.acme:db7/namespaces/1/device_path", "/dev/disk/by-id/nvme-acme"
    )
    built.link("dev/disk/by-id/nvme-acme", f"sys/dev/block/{built.number_of('nvme2n1')}")
    built.file(f"{config}/target/core/iblock_0/acme/udev_path", "/dev/acme/lun0")
    built.link("dev/acme/lun0", f"sys/dev/block/{built.number_of('nvme3n1')}")
    return built


def test_an_unchanged_node_of_any_owner_is_unchanged(tmp_path: Path) -> None:
    layout.write(_of_acme().recording(""), tmp_path / "host")
    with Host(tmp_path / "host") as host:
        live, text = scan(host), snapshot(host)
    (tmp_path / "snapshot.toml").write_text(text)
    with open_host(tmp_path / "snapshot.toml") as host:
        recorded = scan(host)
        assert snapshot(host) == text, "a recording of a recording hides nothing more"

    assert [secret for secret in SECRETS if secret in text] == []
    assert compare(live, recorded) == compare(recorded, live) == ()
    assert {a: f.use.value for a, f in recorded.functions.items()} == {
        a: f.use.value for a, f in live.functions.items()
    }
    kinds = {address: [sign.layer for sign in f.use.used] for address, f in live.functions.items()}
    assert {address: [sign.layer for sign in f.use.used] for address, f in recorded.functions.items()} == kinds
    assert sum(map(len, kinds.values())) >= 6, "there is something to hide"


def test_a_renamed_interface_is_told_also_of_a_recording(tmp_path: Path) -> None:
    pictures = []
    for name in ("acme0", "eno7"):
        built = Builder()
        nic = built.function(built.root("pci0000:00"), "0000:00:1f.6", "8086:1a1d", 0x020000, driver="e1000e")
        built.netdev(nic, name)
        layout.write(built.recording(""), tmp_path / name)
        with Host(tmp_path / name) as host:
            (tmp_path / f"{name}.toml").write_text(snapshot(host))
        with open_host(tmp_path / f"{name}.toml") as host:
            pictures.append(scan(host))

    assert [change.message for change in compare(*pictures)] == ["hidden-1 is now eno7"]


def test_the_picture_of_a_snapshot_tells_no_more_than_the_recording(tmp_path: Path) -> None:
    layout.write(_of_acme().recording(""), tmp_path / "host")
    words = ("node", "snapshot", "--host", str(tmp_path / "host"), "-o", "json")
    hidden, kept = process(*words).out, process(*words, "--keep-identity").out
    everything = json.loads(hidden)

    assert everything["kind"] == "Machine"
    assert [secret for secret in SECRETS if secret in hidden] == []
    assert [secret for secret in SECRETS if secret not in kept] == ["c0ffee"], "of that a picture tells nothing"
    assert everything["machine"]["source"] == str(tmp_path / "host")


def test_the_page_lists_the_parameters_that_stay() -> None:
    page = (ROOT / "docs/snapshot.md").read_text()
    rows = {line.split(" | ")[0].strip("| "): line for line in page.splitlines() if line.startswith("| ")}

    for table in (commandline.FLAGS, commandline.VALUES):
        for about, words in table.items():
            assert set(words) <= set(re.findall(r"`([^`]+)`", rows[about])), about
