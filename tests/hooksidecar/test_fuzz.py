"""Whatever arrives, the server answers or refuses in words, and lives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.domxml.domains import load
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.sidecar import Sidecar

EXPECTED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
DOMAIN = load("q35-default")
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """The real sidecar with the real core, one for all examples: none of them may end it."""
    with tempfile.TemporaryDirectory(prefix="hk-") as base:
        mount = Path(base, "mount")
        mount.mkdir()
        with Sidecar(mount, "", "--host", "none", "--wait", "0") as sidecar:
            yield sidecar.ready()
            assert sidecar.process.poll() is None
            assert sidecar.said("defect") == []


@st.composite
def damaged(draw: st.DrawFn, document: bytes) -> bytes:
    """A good document with a few bytes replaced, cut or doubled."""
    data = bytearray(document)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(0, 40))
        data[at : at + length] = draw(st.one_of(st.binary(max_size=20), st.just(bytes(data[at : at + length]) * 2)))
    return bytes(data)


VMI = b'{"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": "[]"}}, "spec": {}, "status": {}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@BOUNDED
@given(domain=st.one_of(st.binary(max_size=300), damaged(DOMAIN)), vmi=st.just(VMI))
def test_any_bytes_as_domain(client: Client, domain: bytes, vmi: bytes) -> None:
    _survives(client, domain, vmi)


@BOUNDED
@given(vmi=st.one_of(st.binary(max_size=300), damaged(VMI)))
def test_any_bytes_as_vmi(client: Client, vmi: bytes) -> None:
    _survives(client, DOMAIN, vmi)


@BOUNDED
@given(annotation=JSON)
def test_any_json_as_annotation(client: Client, annotation: object) -> None:
    import json  # noqa: PLC0415

    vmi = {"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": json.dumps(annotation)}}}
    _survives(client, DOMAIN, json.dumps(vmi).encode())


@BOUNDED
@given(request=st.binary(max_size=300))
def test_any_bytes_as_message(client: Client, request: bytes) -> None:
    try:
        client.call("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", request)
    except Failed as failed:
        assert failed.code in EXPECTED, failed  # noqa: PT017


def _survives(client: Client, domain: bytes, vmi: bytes) -> None:
    try:
        client.define(domain, vmi)
    except Failed as failed:
        assert failed.code in EXPECTED, failed  # noqa: PT017
        assert len(failed.details) < 300  # noqa: PT017
