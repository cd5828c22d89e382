"""Names of resources: as a kubelet 1.36 took and refused them when it was asked, each in a Register call."""

from __future__ import annotations

import pytest

from hostdev.kubelet.resourcename import name_flaw, variable_name

REFUSED = {
    "gpu": "has no domain before it",
    "kubernetes.io/x": "Kubernetes keeps to itself",
    "foo.kubernetes.io/x": "Kubernetes keeps to itself",
    "requests.example.com/x": "Kubernetes keeps to itself",
    "Example.com/x": "a domain that is not of lower-case letters",
    "exa_mple.com/x": "a domain that is not of lower-case letters",
    "example.com/x/y": "no name of letters",
    "example.com/": "no name of letters",
    "example.com/-a": "no name of letters",
    "example.com/a-": "no name of letters",
    "/x": "a domain that is not of lower-case letters",
    "example..com/x": "a domain that is not of lower-case letters",
    f"example.com/{'x' * 64}": "64 characters after its domain, and 63 are the most",
    f"{'a' * 252}/x": "a domain of 252 characters",
    "exämple.com/x": "a domain that is not of lower-case letters",
    "example.com/gpü": "no name of letters",
    "example.com/gpu\n": "no name of letters",
    "": "has no domain before it",
}
TAKEN = ("example.com/GPU_x.y-z", f"example.com/{'x' * 63}", f"{'a' * 243}/x", "a/b", "units.lab.dev/gpu")


@pytest.mark.parametrize("name", REFUSED)
def test_what_kubelet_refuses_is_refused_with_a_reason(name: str) -> None:
    assert REFUSED[name] in name_flaw(name)


@pytest.mark.parametrize("name", TAKEN)
def test_what_kubelet_takes_is_taken(name: str) -> None:
    assert name_flaw(name) == ""


def test_a_variable_keeps_dashes_as_kubevirt_does() -> None:
    assert variable_name("intel.com/sriov-gpu.x") == "PCI_RESOURCE_INTEL_COM_SRIOV-GPU_X"
