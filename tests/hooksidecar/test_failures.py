"""Every failure is a status with one sentence, and none is the end of the server."""

from __future__ import annotations

import grpc
import pytest

from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.domainhooks import SECRET
from tests.hooksidecar.sidecar import Start

DOMAIN = load("q35-default")
DEFINE = "/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("core", "code", "begins"),
    [
        ("refuse", grpc.StatusCode.FAILED_PRECONDITION, "no-such-device: 0000:3d:02.2: there is no such device"),
        ("unreadable", grpc.StatusCode.FAILED_PRECONDITION, "host-unreadable: /host: holds no sys/ directory"),
        ("blame", grpc.StatusCode.INVALID_ARGUMENT, "malformed-xml: the domain XML cannot be parsed: mend it"),
        ("broken", grpc.StatusCode.INTERNAL, "internal-error: a defect of passgate: KeyError in "),
        ("grow", grpc.StatusCode.INVALID_ARGUMENT, "answer-too-large: the domain has 5242888 bytes now"),
    ],
)
def test_h5_a_failure_is_a_status_with_a_sentence(start: Start, core: str, code: grpc.StatusCode, begins: str) -> None:
    sidecar = start(core)
    client = sidecar.ready()

    for _ in range(2):  # The server outlives it.
        with pytest.raises(Failed) as failed:
            client.define(DOMAIN)
        assert failed.value.code is code
        assert failed.value.details.startswith(begins)
        assert len(failed.value.details) < 300
        assert "\n" not in failed.value.details

    assert client.info()
    assert SECRET not in failed.value.details + sidecar.log_text()
    assert "Traceback" not in sidecar.log_text()


@pytest.mark.parametrize("size", [4 * MIB + 1, 8 * MIB - 64])
def test_a_message_over_4_mib_is_refused_in_our_words(start: Start, size: int) -> None:
    client = start().ready()

    with pytest.raises(Failed) as failed:
        client.define(b" " * size)

    assert failed.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.details.startswith("message-too-large: domain and VMI have ")


def test_a_message_of_any_size_is_refused(start: Start) -> None:
    client = start().ready()

    with pytest.raises(Failed) as failed:
        client.define(bytes(20 * MIB))

    assert failed.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.define(DOMAIN) == DOMAIN


def test_a_message_just_below_the_limit_is_answered(start: Start) -> None:
    domain = b"x" * (4 * MIB - 2048)

    assert start().ready().define(domain) == domain


@pytest.mark.parametrize("request_", [b"\xff", b"\x0a\x05ab", b"\x08", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])
def test_bytes_that_are_no_message_are_refused_in_our_words(start: Start, request_: bytes) -> None:
    client = start().ready()

    with pytest.raises(Failed) as failed:
        client.call(DEFINE, request_)

    assert failed.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failed.value.details.startswith("bad-message: ")


def test_h1_the_same_bytes_come_back_where_nothing_is_wanted(start: Start) -> None:
    sidecar = start("")

    assert sidecar.ready().define(DOMAIN, load_vmi()) == DOMAIN
    assert sidecar.said("answered")[0]["changed"] is False


def load_vmi() -> bytes:
    return b'{"metadata": {"name": "vm", "namespace": "default"}, "spec": {"domain": {"devices": {}}}}'
