"""What of a claim is ours: the recorded ones, and those that this driver cannot serve."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import PassgateError, Refused
from hostdev.claims.claim import AllocatedClaim, Result, is_allocated, read_claim
from tests.hostdev.claims.recorded import DRIVER, claim


def results(*found: dict[str, Any], name: str = "allocated-reserved") -> dict[str, Any]:
    one = claim(name)
    (result,) = one["status"]["allocation"]["devices"]["results"]
    one["status"]["allocation"]["devices"]["results"] = [{**result, **changes} for changes in found]
    return one


def refusal(value: object) -> Refused:
    with pytest.raises(Refused) as caught:
        read_claim(value, DRIVER)
    return caught.value


def test_a_claim_that_a_template_made() -> None:
    assert read_claim(claim(), DRIVER) == AllocatedClaim(
        "666df36f-1313-498d-8f47-9c7d59942ba3",
        "default",
        "dr0-gpu-f27z2",
        "gpu",
        (("dr0", "eac6e833-d4d7-4585-8c9c-db0286f4c6a2"),),
        (Result("gpu", "vm", "unit-0000-3d-00-0"),),
    )


def test_a_claim_that_two_pods_share() -> None:
    found = read_claim(claim("shared-by-two"), DRIVER)

    assert (found.pod_claim, [name for name, _ in found.pods]) == (None, ["sh1", "sh2"])


def test_a_claim_with_two_requests() -> None:
    assert read_claim(claim("two-requests"), DRIVER).results == (
        Result("a", "vm", "unit-0000-3d-00-0"),
        Result("b", "vm", "unit-0000-3e-00-0"),
    )


def test_the_claim_that_the_scheduler_made_of_an_extended_resource() -> None:
    found = read_claim(claim("extended-resource"), DRIVER)

    assert (found.pod_claim, found.results[0].request) == (None, "container-0-request-0")


def test_two_devices_of_one_request_and_an_alternative_of_a_list() -> None:
    found = read_claim(results({}, {"device": "unit-0000-3e-00-0"}, {"device": "u", "request": "any/large"}), DRIVER)

    assert [one.request for one in found.results] == ["gpu", "gpu", "any/large"]


def test_devices_of_other_drivers_are_not_ours() -> None:
    found = read_claim(results({}, {"driver": "gpu.example.com", "adminAccess": True, "device": "G.0"}), DRIVER)

    assert [one.device for one in found.results] == ["unit-0000-3d-00-0"]
    assert is_allocated(claim(), DRIVER)
    assert not is_allocated(claim(), "gpu.example.com")
    assert is_allocated({"status": 1}, DRIVER)


@pytest.mark.parametrize(
    ("value", "code", "told"),
    [
        (results({"driver": "gpu.example.com"}), "claim-not-allocated", f"no device of {DRIVER} is allocated for it"),
        ({**claim(), "status": {}}, "claim-not-allocated", "nothing is allocated for it"),
        ({**claim(), "status": None}, "claim-not-allocated", "nothing is allocated for it"),
        (results({"adminAccess": True}), "claim-unsupported", "request gpu asks for admin access"),
        (results({"shareID": "1b2a"}), "claim-unsupported", "request gpu is a share of a device"),
        (results({"consumedCapacity": {"x": "1"}}), "claim-unsupported", "request gpu consumes a part of a device"),
        (results({}, {}), "claim-unsupported", "device unit-0000-3d-00-0 is allocated for it twice"),
        (
            claim(parameters=True),
            "claim-unsupported",
            f"its DeviceClass has parameters for {DRIVER} (apiVersion, env, kind), and the driver knows none",
        ),
        ({}, "claim-unreadable", "metadata.uid: must be what Kubernetes has there, is null"),
        ([], "claim-unreadable", "must be an object, is a list"),
        (
            results({"request": "../x"}),
            "claim-unreadable",
            'results[0].request: must be what Kubernetes has there, is "',
        ),
        (results({"pool": None}), "claim-unreadable", "results[0].pool: must be what Kubernetes has there, is null"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_sentence(value: object, code: str, told: str) -> None:
    error = refusal(value)

    assert error.code == code
    assert told in error.what
    assert error.hint


def test_parameters_that_are_empty_or_of_another_driver_say_nothing() -> None:
    one = claim()
    one["status"]["allocation"]["devices"]["config"] = [
        {"source": "FromClaim", "opaque": {"driver": DRIVER, "parameters": {}}},
        {"source": "FromClaim", "opaque": {"driver": "gpu.example.com", "parameters": {"x": 1}}},
    ]

    assert read_claim(one, DRIVER).results


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["metadata", "status", "spec"]), _JSON)
def test_whatever_the_api_server_says_nothing_but_a_sentence_comes(key: str, value: object) -> None:
    try:
        found = read_claim({**claim(), key: value}, DRIVER)
    except PassgateError:
        return
    assert found == read_claim(claim(), DRIVER)
