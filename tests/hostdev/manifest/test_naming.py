"""Resource names: kubelet takes them, and what KubeVirt makes of them is read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from domxml.pciaddress import PciAddress
from hostdev.allocation.allocation import ENVIRONMENT
from hostdev.allocation.dialects import resource_suffix
from hostdev.allocation.environment import from_environment
from hostdev.inventory.machine import MdevType, PciFunction
from hostdev.inventory.pciids import Name
from hostdev.manifest import naming
from hostdev.vmi.annotations import read_devices
from tests.hostdev.allocation.given import addresses, only
from tests.hostdev.manifest.making import made

ADDRESS = "0000:3d:02.2"
WORDS = st.text(max_size=60) | st.text("Ab9 -_./[]", min_size=20, max_size=120)
NAMES = st.builds(Name, st.none() | WORDS, st.none() | WORDS)
FUNCTIONS = st.builds(
    PciFunction, addresses, vendor=st.integers(0, 0xFFFF), device=st.integers(0, 0xFFFF), class_code=st.just(0x030200)
)
TYPES = st.builds(MdevType, WORDS, WORDS, st.just(1))


def back(variable: str, value: str, resource: str) -> None:
    gathered = from_environment({variable: value}, {resource: 1}, channel=ENVIRONMENT)

    assert (only(gathered).resource, str(only(gathered).device), gathered.findings) == (resource, value, ())


@given(FUNCTIONS, NAMES)
def test_a_derived_name_comes_back_from_the_environment(function: PciFunction, name: Name) -> None:
    resource = naming.check(naming.resource_name(function, name), kubevirt=True)

    back(f"PCI_RESOURCE_{resource_suffix(resource)}", ADDRESS, resource)
    second = naming.check(naming.numbered_name(resource, function), kubevirt=True)
    back(f"PCI_RESOURCE_{resource_suffix(second)}", ADDRESS, second)
    assert read_devices(f'[{{"resource": "{resource}"}}]').errors == ()


@given(TYPES, NAMES)
def test_so_does_that_of_a_type(mdev: MdevType, name: Name) -> None:
    resource = naming.check(naming.derived_of_type(mdev, name), kubevirt=True)

    back(f"MDEV_PCI_RESOURCE_{resource_suffix(resource)}", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", resource)


@given(st.text(max_size=100) | st.from_regex(r"[a-z.-]{1,20}/[A-Za-z0-9_.-]{1,70}", fullmatch=True))
def test_any_name_is_taken_or_refused(text: str) -> None:
    resource = refusal = None
    try:
        resource = naming.check(text)
    except BadInput as error:
        refusal = error
    if refusal is not None:
        assert (refusal.code, bool(refusal.hint)) == ("bad-resource", True)
    if resource is not None:
        back(f"PCI_RESOURCE_{resource_suffix(resource)}", ADDRESS, resource)


@pytest.mark.parametrize(
    ("vendor", "device", "resource"),
    [
        ("NVIDIA Corporation", "TU104GL [Tesla T4]", "nvidia.com/TU104GL_TESLA_T4"),
        ("NVIDIA Corporation", "GP106 [GeForce GTX 1060 3GB]", "nvidia.com/GP106_GEFORCE_GTX_1060_3GB"),
        ("Advanced Micro Devices, Inc. [AMD/ATI]", "Aldebaran/MI200", "amd.com/ALDEBARAN_MI200"),
        ("Intel Corporation", "Ethernet Virtual Function 700 Series", "intel.com/ETHERNET_VF_700_SERIES"),
        ("Intel Corporation", None, "intel.com/1EB8"),
        (None, None, "passgate.dev/10DE_1EB8"),
        ("愛", "愛", "passgate.dev/10DE_1EB8"),
    ],
)
def test_names_are_those_that_plugins_give(vendor: str | None, device: str | None, resource: str) -> None:
    function = PciFunction(PciAddress.parse(ADDRESS), 0x10DE, 0x1EB8, 0x030200)

    assert naming.resource_name(function, Name(vendor, device)) == resource


@pytest.mark.parametrize(
    ("host", "said", "shown"),
    [
        ("qat", "crypto", "co-processor"),
        ("qat", "qat", "co-processor"),
        ("hgx-h100", "gpu", "3d"),
        ("hgx-h100", "GPU", "3d"),
    ],
)
def test_classes_are_selected_by_the_words_people_say(host: str, said: str, shown: str) -> None:
    assert made(host, said).parts == made(host, shown).parts
