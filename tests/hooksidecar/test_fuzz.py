"""Whatever arrives, the server answers or refuses in words, and lives."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.domxml.domains import FOLDER, load
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.sidecar import Sidecar
from tests.hooksidecar.wirebytes import only

EXPECTED = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}
DOMAIN = load("q35-default")
READBACKS = [path.read_bytes() for path in sorted((FOLDER / "passes").glob("*.call1.readback.xml"))]
ODD = [
    "",
    "0",
    "-1",
    "pci",
    "none",
    "0xffffffff",
    "99999999999999999999",
    "ua-passgate-qat",
    "\u00e9",
    "&amp;",
    "x" * 300,
]
BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One sidecar for all examples, none of which may end it; each is a first call, with a device to inject."""
    with tempfile.TemporaryDirectory(prefix="hk-") as base:
        mount = Path(base, "mount")
        mount.mkdir()
        with Sidecar(mount, "fresh", "--wait", "0") as sidecar:
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


@st.composite
def altered(draw: st.DrawFn, document: bytes) -> bytes:
    """A good document with a few values that are none; it can still be parsed, and what is meant by it cannot."""
    pieces = re.split(rb'("[^"]*")', document)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(pieces) // 2 - 1)) * 2 + 1
        pieces[at] = b'"' + draw(st.sampled_from(ODD) | st.text("0123456789abcdefx:.-_ ", max_size=12)).encode() + b'"'
    return b"".join(pieces)


VMI = b'{"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": "[]"}}, "spec": {}, "status": {}}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@BOUNDED
@given(domain=st.one_of(st.binary(max_size=300), damaged(DOMAIN)), vmi=st.just(VMI))
def test_any_bytes_as_domain(client: Client, domain: bytes, vmi: bytes) -> None:
    _survives(lambda: client.define(domain, vmi))


@BOUNDED
@given(domain=st.sampled_from(READBACKS).flatmap(altered))
def test_any_values_in_a_domain(client: Client, domain: bytes) -> None:
    _survives(lambda: client.define(domain, VMI))


@BOUNDED
@given(vmi=st.one_of(st.binary(max_size=300), damaged(VMI)))
def test_any_bytes_as_vmi(client: Client, vmi: bytes) -> None:
    _survives(lambda: client.define(DOMAIN, vmi))


@BOUNDED
@given(annotation=JSON)
def test_any_json_as_annotation(client: Client, annotation: object) -> None:
    vmi = {"metadata": {"name": "vm", "annotations": {"passgate.dev/devices": json.dumps(annotation)}}}
    _survives(lambda: client.define(DOMAIN, json.dumps(vmi).encode()))


@BOUNDED
@given(request=st.binary(max_size=300))
def test_any_bytes_as_message(client: Client, request: bytes) -> None:
    _survives(lambda: only(client.call("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", request), 1))


def _survives(call: Callable[[], bytes]) -> None:
    try:
        etree.fromstring(call())
    except Failed as failed:
        assert failed.code in EXPECTED, failed  # noqa: PT017
        assert len(failed.details) < 300  # noqa: PT017
