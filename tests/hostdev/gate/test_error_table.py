"""What QEMU and libvirt say at start, predicted from a machine: the text, the finding, the remedy.

The texts are those of libvirt 11.3 and QEMU 7.2 to 10.0, as they were met.
"""

from __future__ import annotations

import pytest

from domxml.finding import Severity
from hostdev.inventory.machine import Vfio
from tests.hostdev.gate.build import MODULES, at, bridge, function, machine, pf, vf
from tests.hostdev.gate.cases import CASES, UUID, Case, D
from tests.hostdev.gate.predicted import predict_texts
from tests.hostdev.texts import match_codes

NOT_VIABLE = f"vfio {D}: group 43 is not viable"
UNMANAGED = f"Unmanaged PCI device {D} must be manually detached from the host"
NO_GROUP = f"vfio {D}: no iommu_group found: No such file or directory"
NO_NODE = f"vfio {D}: Could not open '/dev/vfio/43': No such file or directory"
NO_NODE_72 = f"vfio {D}: failed to open /dev/vfio/43: No such file or directory"
NO_PASSTHROUGH = "host doesn't support passthrough of host PCI devices"
BUSY = f"vfio {D}: Could not open '/dev/vfio/43': Device or resource busy"
NOT_SET = (
    f"vfio {D}: failed to setup container for group 43: Failed to set iommu for container: Operation not permitted"
)


def _on(driver: str | None, **changes: object) -> Case:
    return Case(machine(function(D, driver=driver, **changes)), "", "passgate node bind")


def _neighbour(address: str, driver: str | None) -> Case:
    return Case(machine(function(D), function(address, driver=driver)), "", address)


ROWS: tuple[tuple[str, str, Case], ...] = (
    (NO_PASSTHROUGH, "no-iommu", CASES["no-iommu"]),
    ("Mediated host device assignment requires VFIO support", "no-iommu", CASES["no-iommu"]),
    (
        NO_PASSTHROUGH,
        "vfio-node-missing",
        Case(machine(function(D), vfio=Vfio(MODULES, ("43",))), "/dev/vfio/vfio is not there", "modprobe"),
    ),
    (f"device not found: mediated device '{UUID}' not found", "mdev-missing", CASES["mdev-missing"]),
    (UNMANAGED, "not-bound-to-vfio", _on(None)),
    (UNMANAGED, "not-bound-to-vfio", _on("iavf")),
    (UNMANAGED, "not-bound-to-vfio", _on("uio_pci_generic")),
    (UNMANAGED, "not-bound-to-vfio", _on("pci-stub")),
    (UNMANAGED, "not-bound-to-vfio", _on("mlx5_vfio_pci")),
    (NO_NODE, "not-bound-to-vfio", _on("iavf")),
    (f"vfio {D}: error getting device from group 43: No such device", "not-bound-to-vfio", _on("pci-stub")),
    ("Non-endpoint PCI devices cannot be assigned to guests", "not-an-endpoint", Case(machine(bridge(D)), "", "below")),
    (f"PCI device {D} is in use", "device-in-use", CASES["device-in-use"]),
    (
        BUSY,
        "device-in-use",
        Case(
            machine(function(D), function("0000:65:00.1")),
            "its group 43 is held by default/other-vm, which has 0000:65:00.1",
            "another group",
            options={"held": {at("0000:65:00.1"): "default/other-vm"}},
        ),
    ),
    (
        f"Unable to reset PCI device {D}: no FLR, PM reset or bus reset available",
        "no-reset-method",
        CASES["no-reset-method"],
    ),
    (
        f"Device {D} not found: could not access /sys/bus/pci/devices/{D}/config: No such file or directory",
        "device-missing",
        CASES["device-missing"],
    ),
    (
        f"vfio /sys/bus/pci/devices/{D}: no such host device: No such file or directory",
        "device-missing",
        Case(
            machine(pf("0000:65:01.0", total_vfs=8, num_vfs=0)),
            "0000:65:01.0 on its bus could have 8 VFs and has none",
            "create its VFs again",
        ),
    ),
    (NO_GROUP, "no-iommu-group", CASES["no-iommu-group"]),
    (NO_GROUP, "vf-without-group", CASES["vf-without-group"]),
    (NO_NODE, "vfio-node-missing", CASES["vfio-node-missing"]),
    (NO_NODE_72, "vfio-node-missing", CASES["vfio-node-missing"]),
    (NO_NODE, "noiommu-group", CASES["noiommu-group"]),
    (NOT_VIABLE, "group-not-viable", _neighbour("0000:65:00.1", "snd_hda_intel")),
    (NOT_VIABLE, "group-not-viable", _neighbour("0000:66:00.0", "nvme")),
    (
        "Please ensure all devices within the iommu_group are bound to their vfio bus driver.",
        "group-not-viable",
        CASES["group-not-viable"],
    ),
    (NOT_SET, "reserved-region", CASES["reserved-region"]),
    (
        f"vfio {D}: failed to setup container for group 43: Failed to set group container: Invalid argument",
        "reserved-region",
        CASES["reserved-region"],
    ),
    (
        f"vfio {D}: error getting device from group 43: Permission denied",
        "vf-token-needed",
        CASES["vf-token-needed"],
    ),
    (f"vfio {D}: device is already attached", "duplicate-device", CASES["duplicate-device"]),
    ("Hostdev already exists in the domain configuration", "duplicate-device", CASES["duplicate-device"]),
    (f"vfio {D}: group 43 used in multiple address spaces", "group-split", CASES["group-split"]),
    ("lstat /dev/vfio/devices/vfio0: no such file or directory", "vfio-cdev-missing", CASES["vfio-cdev-missing"]),
)


@pytest.mark.parametrize(("text", "code", "case"), ROWS)
def test_the_text_is_predicted_with_its_remedy(text: str, code: str, case: Case) -> None:
    findings = [finding for finding in case.findings() if finding.code == code and case.message in finding.message]
    assert findings
    assert case.hint in findings[0].hint
    assert text in predict_texts(case.host, findings[0])


@pytest.mark.parametrize(("text", "code", "case"), ROWS)
def test_the_text_leads_back_to_the_finding(text: str, code: str, case: Case) -> None:
    assert case
    assert code in match_codes(text)


NOT_PREDICTED = (
    ("No available IOMMU models", "vfio-module-missing"),
    ('No interrupt remapping support.  Use the module param "allow_unsafe_interrupts"', "no-interrupt-remapping"),
    ("cannot limit locked memory of process 16493 to 1140850688: Operation not permitted", "memlock-refused"),
    ("vfio_container_dma_map(0x5, 0x0, 0x40000000, 0x7f) = -12 (Cannot allocate memory)", "memlock-not-raised"),
    ("vfio_container_dma_map(0x5, 0x0, 0x40000000, 0x7f) = -22 (Invalid argument)", "reserved-region"),
    (f"vfio: Cannot reset device {D}, depends on group 7 which is not owned.", "shared-reset"),
    ("assignment of PCIe type 0x4 devices is not currently supported", "not-an-endpoint"),
    ("Failed to unbind PCI device '0000:01:10.0' from iavf", "not-bound-to-vfio"),
    (
        "vfio-pci 0000:3d:01.0: 8086:37c9 exists in vfio-pci device denylist, driver probing disallowed.",
        "denylisted-device",
    ),
)


@pytest.mark.parametrize(("text", "code"), NOT_PREDICTED)
def test_other_texts_lead_to_the_finding_that_the_machine_makes(text: str, code: str) -> None:
    assert code in match_codes(text)


@pytest.mark.parametrize("other", ["vfio-pci", "pci-stub", None])
def test_a_neighbour_on_no_driver_of_the_host_is_fine(other: str | None) -> None:
    assert "group-not-viable" not in {finding.code for finding in _neighbour("0000:65:00.1", other).findings()}


def test_a_root_port_in_the_group_is_fine() -> None:
    host = machine(function(D), bridge("0000:64:00.0"))
    assert not [f for f in Case(host, "").findings() if f.severity is not Severity.INFO]


def test_a_pf_with_vfs_is_refused_although_libvirt_accepts_it() -> None:
    host = machine(pf(D, driver="vfio-pci", num_vfs=2), vf("0000:65:02.0", D, group=44))
    finding = next(f for f in Case(host, "").findings() if f.code == "pf-with-vfs")
    assert finding.severity is Severity.ERROR
    assert predict_texts(host, finding) == ()


def test_a_device_without_a_group_number_has_no_text_with_one() -> None:
    host = machine(function(D, driver="ice", group=None), function("0000:66:00.0"))
    texts = [text for finding in Case(host, "").findings() for text in predict_texts(host, finding)]
    assert UNMANAGED in texts
    assert not any("group None" in text or "{" in text for text in texts)


def test_the_group_is_named_by_its_number_also_when_it_is_zero() -> None:
    host = machine(function(D, group=0), function("0000:65:00.1", group=0, driver="snd_hda_intel"))
    finding = next(f for f in Case(host, "").findings() if f.code == "group-not-viable")
    assert f"vfio {D}: group 0 is not viable" in predict_texts(host, finding)


CDEV_ONLY = ("vfio", "devices/vfio0")


@pytest.mark.parametrize(
    ("nodes", "iommufd", "code", "severity", "message"),
    [
        (CDEV_ONLY, True, "vfio-node-missing", Severity.WARNING, "43 is not there, only /dev/vfio/devices/vfio0"),
        (CDEV_ONLY, False, "vfio-node-missing", Severity.ERROR, "43 is not there, only /dev/vfio/devices/vfio0"),
        (("vfio",), True, "vfio-node-missing", Severity.ERROR, "/dev/vfio/43 is not there"),
        ((), True, "vfio-node-missing", Severity.ERROR, "/dev/vfio/43 is not there"),
        (("vfio", "43"), True, "vfio-cdev-missing", Severity.WARNING, "the /dev/iommu of this host needs it"),
        (("vfio", "43"), False, "vfio-cdev-missing", Severity.INFO, "/dev/vfio/devices/vfio0 is not there"),
    ],
)
def test_nodes_of_groups_and_of_devices(
    nodes: tuple[str, ...], *, iommufd: bool, code: str, severity: Severity, message: str
) -> None:
    host = machine(function(D, vfio_dev="vfio0"), vfio=Vfio(MODULES, nodes, iommufd=iommufd))
    finding = next(f for f in Case(host, "").findings() if f.code == code and f.subject == D)
    assert finding.message.endswith(message)
    assert finding.severity is severity
    assert finding.evidence[0].content == (" ".join(sorted(nodes)) or "(empty)")
