"""H7: a call is bounded; late, cancelled and simultaneous calls leave no trace."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.conftest import Start
from tests.hooksidecar.cores import with_device

DOMAIN = load("q35-default")
STUCK = b"<domain>stuck</domain>"


def test_h7_a_call_that_is_late_says_what_it_was_doing(start: Start) -> None:
    sidecar = start("stuck", "--wait", "0")
    client = sidecar.ready()

    begun = time.monotonic()
    with pytest.raises(Failed) as failed:
        client.define(STUCK)
    took = time.monotonic() - begun

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed.value.details.startswith("deadline: no answer within 2.0 s: ")
    assert 2.0 <= took < 3.0
    assert ".stuck:" in sidecar.said("late")[0]["where"]


def test_h7_whoever_stands_in_line_hears_of_it_and_info_is_answered_all_the_while(start: Start) -> None:
    client = start("stuck", "--wait", "0").ready()

    with ThreadPoolExecutor(60) as pool:
        calls = [pool.submit(client.define, STUCK) for _ in range(60)]
        time.sleep(0.5)
        for _ in range(3):
            assert client.info()  # Within virt-launcher's second.
        failures = [call.exception() for call in calls]

    details = [failure.details for failure in failures if isinstance(failure, Failed)]
    assert len(details) == 60
    assert sum("waiting for an earlier call" in text for text in details) == 59


def test_the_wait_is_on_top_of_the_work(start: Start) -> None:
    client = start("stuck", "--wait", "1").ready()

    with pytest.raises(Failed, match=r"no answer within 3\.0 s"):
        client.define(STUCK)


def test_the_callers_own_deadline_is_kept(start: Start) -> None:
    sidecar = start("stuck")
    client = sidecar.ready()

    begun = time.monotonic()
    with pytest.raises(Failed) as failed:
        client.define(STUCK, timeout=0.3)

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 1.5


def test_a_cancelled_call_leaves_no_trace(start: Start) -> None:
    sidecar = start("slow")
    client = sidecar.ready()
    client.define(DOMAIN)
    before = (sidecar.status("Threads"), sidecar.files())

    with grpc.insecure_channel(f"unix:{sidecar.path}") as channel:
        call = channel.unary_unary("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", bytes, bytes)
        running = [call.future(b"") for _ in range(4)]
        time.sleep(0.2)
        for one in running:
            one.cancel()  # type: ignore[no-untyped-call]
    client.define(DOMAIN)

    # Of the four only the one that had begun was worked on; the last call found an idle server.
    assert [line["pass"] for line in sidecar.said("answered")] == [1, 3]
    assert len(sidecar.said("cancelled by the caller")) == 4
    _settle(sidecar, before)


def _settle(sidecar: object, before: tuple[int, int]) -> None:
    from tests.hooksidecar.sidecar import Sidecar  # noqa: PLC0415

    assert isinstance(sidecar, Sidecar)
    until = time.monotonic() + 5
    while sidecar.files() > before[1] and time.monotonic() < until:
        time.sleep(0.05)
    assert sidecar.files() <= before[1]
    assert sidecar.status("Threads") <= before[0] + 4  # A pool keeps the threads it made.


def test_fifty_calls_at_once_get_fifty_right_answers(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()
    domains = [DOMAIN.replace(b"</name>", b"-%d</name>" % number, 1) for number in range(50)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(client.define, domains))

    assert answers == [with_device(domain) for domain in domains]
    assert sorted(line["pass"] for line in sidecar.said("answered")) == list(range(1, 51))
