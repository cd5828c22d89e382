"""What the tests of allocations share: short ways to say what was given, and to ask what was understood."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from domxml.finding import Finding
from domxml.pciaddress import PciAddress
from domxml.source import Mdev
from hostdev.allocation.allocation import ENVIRONMENT, Allocation, Device, Gathered, Opaque, Usb
from hostdev.allocation.environment import from_environment

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
A, B, C = "0000:3d:02.1", "0000:3d:02.2", "0000:3d:02.3"


def pci(text: str) -> PciAddress:
    return PciAddress.parse(text)


def environment(variables: Mapping[str, str], resources: Mapping[str, int | None] | None = None) -> Gathered:
    return from_environment(variables, resources or {}, channel=ENVIRONMENT)


def devices(gathered: Gathered) -> list[str]:
    return [str(allocation.device) for allocation in gathered.allocations]


def codes(gathered: Gathered) -> set[str]:
    return {finding.code for finding in gathered.findings}


def the(gathered: Gathered, code: str) -> Finding:
    """The one finding of that code."""
    [found] = [finding for finding in gathered.findings if finding.code == code]
    return found


def only(gathered: Gathered) -> Allocation:
    """The one allocation."""
    [allocation] = gathered.allocations
    return allocation


addresses = st.builds(
    PciAddress, st.integers(0, 0xFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7)
)
any_device: st.SearchStrategy[Device] = st.one_of(
    addresses,
    st.builds(lambda uuid: Mdev(str(uuid)), st.uuids()),
    st.builds(Usb, st.integers(1, 99), st.integers(1, 127)),
    st.builds(Opaque, st.sampled_from(["mlx5_core.sf.2", "mlx5_core.sf.3"]), st.just("auxiliary device")),
)
resources = st.sampled_from(
    ["intel.com/sriov", "intel.com/sriov-net", "intel.com/sriov_net", "a.b/c", "a_b/c", "nvidia.com/TU104GL_Tesla_T4"]
)
words = st.one_of(
    st.sampled_from([A, B, C, A.upper(), "3d:02.1", UUID, "1:4", "mlx5_core.sf.2", "0000:3d:20.0", "", " "]),
    addresses.map(str),
    st.text(max_size=12),
)
variables = st.one_of(
    st.builds(
        lambda stem, resource, info: stem + resource.upper().replace("/", "_").replace(".", "_") + info,
        st.sampled_from(["PCIDEVICE_", "PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_"]),
        resources,
        st.sampled_from(["", "", "_INFO"]),
    ),
    st.integers(0, 12).map(lambda number: f"QAT{number}"),
    st.integers(0, 3).map(lambda number: f"VFIO_BDF{number}"),
    st.sampled_from(["SRIOVNETWORK_PCI_ADDRESSES", "SRIOVNETWORK_VF_DEVICE_x", "PCIDEVICE_", "QAT", "PATH"]),
    st.text(max_size=20),
)
values = st.one_of(
    st.lists(words, max_size=4).map(",".join),
    st.dictionaries(words, st.just({}), max_size=3).map(lambda found: str(found).replace("'", '"')),
    st.text(max_size=30),
)
environments = st.dictionaries(variables, values, max_size=8)
requested = st.dictionaries(
    st.one_of(resources, st.sampled_from(["qat.intel.com/generic", "qat.intel.com/cy", "dsa.intel.com/vfio"])),
    st.one_of(st.none(), st.integers(0, 4)),
    max_size=5,
)
