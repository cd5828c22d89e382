"""Kubelet's record of claims: as it writes it, and whatever else may lie there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput, PassgateError
from hostdev.kubelet.drastate import FILE, HeldClaim, parse_claims, read_claims
from tests.hostdev.claims.recorded import FIXTURES
from tests.hostdev.kubelet.claims import kubelet_state

RECORDED = (FIXTURES / FILE).with_suffix(".json").read_bytes()
HELD = HeldClaim("666df36f-1313-498d-8f47-9c7d59942ba3", "default", "dr0-gpu-f27z2", ("units.lab.dev",))


def test_the_recorded_claim() -> None:
    assert parse_claims(RECORDED) == (HELD,)


def test_a_claim_is_written_down_before_a_driver_has_answered() -> None:
    state: dict[str, Any] = {
        "ClaimUID": "u",
        "ClaimName": "c",
        "Namespace": "n",
        "PodUIDs": {"p": {}},
        "DriverState": None,
    }

    assert parse_claims(kubelet_state(state)) == (HeldClaim("u", "n", "c", ()),)


def test_kubelet_writes_null_where_there_are_none() -> None:
    assert parse_claims(kubelet_state(ClaimInfoStateList=None)) == ()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (RECORDED.replace(b"2276935967", b"2276935968"), "is damaged: its sum is another"),
        (RECORDED.replace(b"dr0-gpu", b"dr1-gpu"), "is damaged: its sum is another"),
        (RECORDED[:-9], "is not JSON"),
        (b"{}", "has no Data"),
        (kubelet_state(kind="Other"), 'is "checkpoint.dra.kubelet.k8s.io/v1" "Other", and no DRACheckpoint'),
        (kubelet_state(apiVersion="example.com/v1"), 'is "example.com/v1" "DRACheckpoint", and no DRACheckpoint'),
        (kubelet_state(ClaimInfoStateList="absent"), "and no DRACheckpoint"),
        (kubelet_state({"ClaimName": "c"}), "a claim without UID or name"),
    ],
)
def test_from_what_is_not_kubelets_nothing_is_concluded(data: bytes, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_claims(data)

    assert told in caught.value.what


@given(st.binary(max_size=200) | st.integers(0, len(RECORDED)).map(lambda end: RECORDED[:end]))
def test_whatever_lies_there_nothing_but_an_error_of_ours_comes(data: bytes) -> None:
    try:
        found = parse_claims(data)
    except PassgateError:
        return
    assert found == (HELD,)


def test_the_file_is_in_kubelets_directory(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(RECORDED)

    assert read_claims(str(tmp_path)) == (HELD,)
    with pytest.raises(FileNotFoundError):
        read_claims(str(tmp_path / "elsewhere"))
