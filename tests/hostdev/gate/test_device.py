"""One device: is it there, what is it, who drives it, what would the host lose."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from domxml.finding import Finding, Severity
from domxml.pciaddress import PciAddress
from hostdev.gate.advice import bind_command
from hostdev.gate.check import check, verdict_of
from hostdev.gate.hostuse import is_proved_unused
from hostdev.inventory.machine import NOT_LOOKED_AT, BlockDevice, Kernel, Machine, Mdev, PciFunction, Vfio
from tests.hostdev.gate.build import (
    AUDIO,
    GPU,
    MODULES,
    NO_IOMMU,
    NVME,
    USB,
    at,
    bridge,
    function,
    in_use,
    machine,
    pf,
    unproved,
    vf,
)

D = "0000:65:00.0"


def _of(host: Machine, code: str, *wanted: str) -> Finding:
    addresses: list[PciAddress] = [at(text) for text in wanted or (D,)]
    found = [finding for finding in check(host, addresses) if finding.code == code]
    assert len(found) == 1
    return found[0]


def _codes(host: Machine, *wanted: str) -> list[str]:
    return [finding.code for finding in check(host, [at(text) for text in wanted or (D,)])]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (function("0000:65:00.1"), "no such host device, in its slot there is 0000:65:00.1"),
        (pf("0000:65:1f.0"), "no such host device, but 0000:65:1f.0 on its bus could have 8 VFs and has none"),
        (pf("0000:65:1f.0", num_vfs=8), "no such host device"),
        (function("0001:65:00.0"), "no such host device, did you mean 0001:65:00.0"),
        (function("0000:66:00.0"), "no such host device"),
    ],
)
def test_a_missing_device_is_told_with_what_is_near(other: PciFunction, message: str) -> None:
    assert _of(machine(other), "device-missing").message == message


def test_a_vmd_domain_is_refused_even_if_the_device_is_right() -> None:
    assert _codes(machine(function("10000:e1:00.0")), "10000:e1:00.0") == ["domain-too-large"]
    assert _codes(machine(function("ffff:e1:00.0")), "ffff:e1:00.0") == []


def test_of_a_bridge_only_that_is_told() -> None:
    assert [f.code for f in verdict_of(machine(bridge(D, group=None, numa_node=None)), at(D)).findings] == [
        "not-an-endpoint"
    ]


@pytest.mark.parametrize("class_code", [0x060000, 0x060100, 0x0C0500, 0x050000, 0x080600])
def test_parts_of_the_board_are_refused(class_code: int) -> None:
    assert _codes(machine(function(D, class_code=class_code))) == ["platform-device"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"driver": None}, "has no driver"),
        (
            {"driver": None, "driver_override": "vfio-pci"},
            "has no driver though driver_override says vfio-pci: see dmesg",
        ),
        ({"driver": "pci-stub"}, "is on pci-stub"),
        ({"driver": "ice", "driver_override": "vfio-pci"}, "is on ice"),
        (
            {"driver": "mlx5_vfio_pci"},
            "is on mlx5_vfio_pci, which libvirt does not know without a vfio-dev directory (Linux 6.1)",
        ),
    ],
)
def test_what_holds_it_instead(changes: dict[str, object], message: str) -> None:
    host = machine(function(D, **changes))
    finding = _of(host, "not-bound-to-vfio")
    assert finding.message == message
    evidence = {e.file.rpartition("/")[2]: e.content for e in finding.evidence}
    override = {"driver_override": "vfio-pci"} if "driver_override" in changes else {}
    assert evidence == {"driver": changes["driver"] or "(absent)", **override}
    assert "new_id" not in finding.hint
    if changes["driver"] == "mlx5_vfio_pci":
        assert finding.hint.startswith("when no VM has it, bind it to a vfio driver")
    else:
        assert finding.hint == bind_command([host.functions[at(D)]]) == f"passgate node bind {D}"


USED: tuple[tuple[dict[str, object], str], ...] = (
    ({"use": in_use("eno1 (default route)", layer="net")}, "host-network-device"),
    ({"use": in_use("sda (mounted at /boot)")}, "host-root-disk"),
    ({"boot_vga": True, "class_code": GPU, "use": in_use("the console", layer="console")}, "boot-display"),
    ({"num_vfs": 4, "total_vfs": 8, "use": in_use("its 4 VFs", layer="vfs")}, "pf-with-vfs"),
    ({"class_code": 0x060100}, "platform-device"),
    ({"class_code": 0x0C8000, "vendor": 0x8086}, "platform-device"),
)


@pytest.mark.parametrize(("changes", "code"), USED)
def test_no_command_stands_beside_an_error_that_rules_the_device_out(changes: dict[str, object], code: str) -> None:
    host = machine(function(D, driver="some", **changes), function("0000:65:00.1", driver="some"))
    for finding in (_of(host, "not-bound-to-vfio"), _of(host, "group-not-viable")):
        assert finding.hint == f"leave it as it is: {code} rules it out"


@pytest.mark.parametrize(("changes", "code"), USED)
def test_no_command_takes_from_the_host_what_it_uses_beside_a_device(changes: dict[str, object], code: str) -> None:
    host = machine(function(D), function("0000:65:00.1", driver="some", **changes))
    hint = _of(host, "group-not-viable").hint
    assert hint.startswith("0000:65:00.1: the ")
    assert hint.endswith("move the card to a slot of its own IOMMU group")
    assert code in _codes(host, "0000:65:00.1")


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        (
            machine(function(D, driver="some", group=None), iommu=NO_IOMMU),
            "leave it as it is: no-iommu rules it out",
        ),
        (
            machine(function(D, device=0x0B25, driver="idxd", class_code=0x088000)),
            "vfio-pci would refuse it, and it would end with no driver: see denylisted-device",
        ),
        (
            machine(
                function(D, driver="some"), unread=((f"/sys/bus/pci/devices/{D}/reset_method", "Input/output error"),)
            ),
            "first make visible what could not be read of it",
        ),
    ],
)
def test_no_command_where_the_device_would_end_with_no_driver(host: Machine, hint: str) -> None:
    assert _of(host, "not-bound-to-vfio").hint == hint


def test_a_device_in_a_domain_that_libvirt_cannot_name_is_left_alone() -> None:
    finding = _of(machine(function("10000:e1:00.0", driver="nvme")), "not-bound-to-vfio", "10000:e1:00.0")
    assert finding.hint == "leave it as it is: domain-too-large rules it out"


def test_a_variant_driver_with_its_directory_is_fine() -> None:
    host = machine(function(D, driver="qat_vfio_pci", vfio_dev="vfio1"))
    assert _codes(host) == ["variant-driver"]
    assert [e.content for e in _of(host, "variant-driver").evidence] == ["qat_vfio_pci", "vfio1"]
    grace = machine(function(D, driver="nvgrace_gpu_vfio_pci", vfio_dev="vfio1"))
    assert _of(grace, "variant-driver").message.endswith("made for NVIDIA Grace Hopper and Grace Blackwell GPUs")
    unknown = machine(function(D, driver="some_new_vfio", vfio_dev="vfio1"))
    assert _of(unknown, "variant-driver").message == "is on some_new_vfio"


def test_a_vgpu_on_the_vendors_driver() -> None:
    ready = machine(vf(D, "0000:64:00.0", driver="nvidia", vendor_vgpu_type=1155, vfio_dev="vfio1"))
    assert _codes(ready) == ["variant-driver"]


@pytest.mark.parametrize(
    ("modules", "content"),
    [(MODULES, "N"), ({**MODULES, "vfio_pci": {"disable_denylist": "0"}}, "0"), ({"vfio": {}}, "(absent)")],
)
def test_the_evidence_of_the_denylist_is_what_was_read(modules: Mapping[str, Mapping[str, str]], content: str) -> None:
    host = machine(function(D, device=0x0B25, driver="idxd"), vfio=Vfio(modules, ("vfio",)))
    assert [e.content for e in _of(host, "denylisted-device").evidence] == [content]


def test_a_node_that_nobody_tells_is_not_quoted() -> None:
    finding = _of(machine(function(D, numa_node=None)), "numa-unknown")
    assert [e.content for e in finding.evidence] == ["no node"]


@pytest.mark.parametrize(
    ("release", "why"), [("5.10.0", "kernels before 5.15"), ("", "the kernel's version is not known")]
)
def test_of_a_kernel_that_is_not_known_no_version_is_told(release: str, why: str) -> None:
    host = machine(function(D, reset_methods=None), kernel=Kernel(release))
    (finding,) = (f for f in verdict_of(host, at(D)).findings if f.code == "host-unreadable")
    assert why in finding.message
    assert ("5.15" in finding.message) is bool(release)


@pytest.mark.parametrize(("parameter", "told"), [("N", True), ("Y", False)])
def test_the_denylist_can_be_turned_off(parameter: str, told: bool) -> None:  # noqa: FBT001
    vfio = Vfio({**MODULES, "vfio_pci": {"disable_denylist": parameter}}, ("vfio",))
    host = machine(function(D, device=0x0B25, driver="idxd"), vfio=vfio)
    assert ("denylisted-device" in _codes(host)) is told


def test_companions_of_a_graphics_card() -> None:
    card = (
        function(D, class_code=GPU),
        function("0000:65:00.1", class_code=AUDIO, group=44),
        function("0000:65:00.2", class_code=USB, group=45),
    )
    host = machine(*card)
    assert "0000:65:00.1 (audio), 0000:65:00.2 (USB)" in _of(host, "companion-function").message
    assert "0000:65:00.0 (display)" in _of(host, "companion-function", "0000:65:00.1").message
    assert _codes(host, D, "0000:65:00.1", "0000:65:00.2") == []


def test_ports_of_a_network_card_are_no_companions() -> None:
    assert _codes(machine(function(D), function("0000:65:00.1", group=44))) == []


def test_vfs_of_a_gpu_are_no_companions() -> None:
    host = machine(vf(D, "0000:65:00.7", class_code=GPU), vf("0000:65:00.1", "0000:65:00.7", class_code=GPU, group=44))
    assert _codes(host) == []


def test_a_bus_reset_is_fine_when_all_of_the_bus_goes_along() -> None:
    pair = [function(D, reset_methods=("bus",)), function("0000:65:00.1", reset_methods=("bus",))]
    assert _codes(machine(*pair), D, "0000:65:00.1") == []
    assert _codes(machine(pair[0])) == []
    assert _codes(machine(pair[0], function("0000:66:00.0", group=44))) == []
    assert _codes(machine(pair[0], vf("0000:65:02.0", D, group=44))) == []


def test_what_is_not_known_is_told_and_never_offered() -> None:
    host = machine(function(D, driver="nvme", use=unproved("what sda holds is not to be seen")))
    assert _of(host, "host-use-unknown").severity is Severity.WARNING
    hint = _of(host, "not-bound-to-vfio").hint
    assert hint == (
        "it is not proved that the host can do without it (what sda holds is not to be seen): choose another device"
    )


def test_of_an_old_recording_a_new_one_is_asked_for() -> None:
    host = machine(function(D, driver="nvme", use=unproved("which nodes it has is not to be seen")), source="old.toml")
    assert _of(host, "host-use-unknown").hint.endswith("passgate node snapshot")


def test_what_was_not_looked_at_is_not_known() -> None:
    host = machine(function(D, driver="nvme", use=NOT_LOOKED_AT))
    assert _of(host, "host-use-unknown").message == "its use by the host was not looked at"
    assert _of(host, "not-bound-to-vfio").hint == f"on the node, `passgate node doctor {D}` tells what to do"
    assert not is_proved_unused(host, host.functions[at(D)])


def test_a_vfio_driver_keeps_a_device_from_the_host() -> None:
    host = machine(function(D, use=NOT_LOOKED_AT))
    assert _codes(host) == []
    assert is_proved_unused(host, host.functions[at(D)])


@pytest.mark.parametrize(
    "file", ["/sys/class/block", "/proc/net/route", "/run/udev/data/b8:0", f"/sys/bus/pci/devices/{D}/net"]
)
def test_where_a_layer_could_not_be_read_nothing_is_proved(file: str) -> None:
    host = machine(function(D, driver="nvme"), unread=((file, "Input/output error"),))
    assert _of(host, "host-use-unknown").message == f"{file} could not be read"
    assert not is_proved_unused(host, host.functions[at(D)])


def test_many_uses_are_counted() -> None:
    disks = [f"sd{letter} (swap)" for letter in "abcd"]
    three = _of(machine(function(D, driver="ahci", use=in_use(*disks[:3]))), "host-root-disk")
    assert three.message == "the host would lose sda (swap), sdb (swap), sdc (swap)"
    four = _of(machine(function(D, driver="ahci", use=in_use(*disks))), "host-root-disk")
    assert four.message == "the host would lose sda (swap), sdb (swap), sdc (swap) and 1 more"
    assert [(e.file, e.content) for e in four.evidence] == [("/proc/1/mountinfo", "a line")]


def test_disks_that_nobody_uses_are_no_loss() -> None:
    host = machine(function(D, class_code=NVME, driver="nvme", blocks=(BlockDevice("nvme0n1"),)))
    assert _codes(host) == ["not-bound-to-vfio"]


@pytest.mark.parametrize(
    ("driver", "severity"), [("i915", Severity.ERROR), ("vfio-pci", Severity.WARNING), (None, Severity.WARNING)]
)
def test_the_boot_display(driver: str | None, severity: Severity) -> None:
    host = machine(function(D, class_code=GPU, driver=driver, boot_vga=True))
    assert _of(host, "boot-display").severity is severity


def test_autoprobe_matters_only_while_a_driver_of_the_host_has_the_vf() -> None:
    parent = pf("0000:64:00.0", vf_autoprobe=True)
    assert _codes(machine(vf(D, "0000:64:00.0"), parent)) == []
    assert _codes(machine(vf(D, "0000:64:00.0", driver=None), parent)) == ["not-bound-to-vfio"]


def test_who_holds_it_is_told_of_each_device_of_the_group() -> None:
    host = machine(function(D), function("0000:65:00.1"), function("0000:66:00.0", group=44))
    wanted = [at(D), at("0000:66:00.0")]
    findings = [f for f in check(host, wanted, held={at("0000:65:00.1"): "pod a"}) if f.code == "device-in-use"]
    assert [f.subject for f in findings] == [D]


def test_a_missing_mdev_is_told_with_what_exists() -> None:
    uuid = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
    mdev = Mdev(uuid, "nvidia-222", at(D), 50)
    assert check(machine(mdevs={uuid: mdev}), [], mdevs=[uuid]) == ()
    (finding,) = check(machine(mdevs={uuid: mdev}), [], mdevs=["other"])
    assert (finding.subject, finding.message) == ("other", "no such mediated device, 1 others exist")
    (finding,) = check(machine(), [], mdevs=[uuid])
    assert finding.message == "no such mediated device, none exists"


def test_a_device_that_is_not_there_can_still_be_asked_for_twice() -> None:
    assert _codes(machine(), D, D) == ["duplicate-device", "device-missing"]
