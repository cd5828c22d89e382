"""Resource claims that the scheduler made of a pod's limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostdev.kubelet.podresources import PodClaim, served_by_claims
from tests.hostdev.kubelet.recorded import CLAIMS

DEVICES = ("units.lab.dev/vm/unit-0000-3d-00-0",)


def claim(name: str, pod: str = "virt-launcher-crypto-x2b4q", container: str = "compute") -> PodClaim:
    return PodClaim("vms", pod, container, name, DEVICES)


def test_a_resource_that_dra_serves_is_told_with_its_device() -> None:
    (finding,) = served_by_claims(CLAIMS["dra-extended"].claims)

    assert (finding.code, finding.subject) == ("dra-serves-resource", "pod default/ext")
    assert finding.message == (
        "claim ext-extended-resources-h8xzc serves what stands in its limits: units.lab.dev/vm/unit-0000-3d-00-0"
    )
    assert "resourceClaims" in finding.hint


@pytest.mark.parametrize("recorded", sorted(set(CLAIMS) - {"dra-extended"}))
def test_claims_that_the_author_wrote_are_not(recorded: str) -> None:
    assert served_by_claims(CLAIMS[recorded].claims) == ()


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (claim("virt-launcher-crypto-x2b4q-extended-resources-abcde"), True),
        (claim("virt-launcher-crypto-x2b4q-extended-resources-abcde", container="istio-proxy"), False),
        (claim("virt-launcher-crypto-x2b4q-gpu-abcde"), False),
        (claim("another-extended-resources-abcde"), False),
        (claim(""), False),
    ],
)
def test_which_are(one: PodClaim, told: bool) -> None:  # noqa: FBT001
    assert bool(served_by_claims([one])) == told


@given(st.integers(1, 80), st.sampled_from(["extended-resources", "gpu", "extended", "e"]))
def test_of_a_name_that_was_cut_nothing_is_claimed(length: int, claimed: str) -> None:
    """The API server keeps 58 letters of what it makes a name of."""
    pod = "p" * length
    told = served_by_claims([claim(f"{pod}-{claimed}-"[:58] + "abcde", pod)])

    certain = [finding for finding in told if " serves " in finding.message]
    assert not certain or claimed == "extended-resources"
    assert told or claimed != "extended-resources"
    assert bool(certain) == (claimed == "extended-resources" and length <= 47)
