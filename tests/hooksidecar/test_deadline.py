"""H7: a call is bounded; late, cancelled and simultaneous calls leave no trace."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from hooksidecar.server import WAITING
from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.domainhooks import with_device
from tests.hooksidecar.sidecar import Sidecar, Start

DOMAIN = load("q35-default")
STUCK = b"<domain>stuck</domain>"
MANY = 200


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

    with ThreadPoolExecutor(MANY) as pool:
        calls = [pool.submit(client.define, STUCK) for _ in range(MANY)]
        for _ in range(20):
            time.sleep(0.05)
            assert client.info()  # Within virt-launcher's second.
        failures = [call.exception() for call in calls]

    said = Counter((failure.code, _gist(failure)) for failure in failures if isinstance(failure, Failed))
    assert said == {
        (grpc.StatusCode.DEADLINE_EXCEEDED, "working"): 1,
        (grpc.StatusCode.DEADLINE_EXCEEDED, "waiting for an earlier call, which was working"): WAITING - 1,
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "ask again later"): MANY - WAITING,
    }


def test_h7_calls_whose_message_never_comes_keep_nobody_else_waiting(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()
    before = client.define(DOMAIN)
    never = threading.Event()

    with grpc.insecure_channel(f"unix:{sidecar.path}") as channel:
        begin = channel.stream_unary("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", bytes, bytes)
        calls = [begin.future(_nothing(never)) for _ in range(MANY)]
        for _ in range(20):
            time.sleep(0.05)
            assert client.info()
        for call in calls:
            call.cancel()  # type: ignore[no-untyped-call]
    never.set()

    said = Counter(call.code() for call in calls)
    assert said == {grpc.StatusCode.CANCELLED: WAITING, grpc.StatusCode.RESOURCE_EXHAUSTED: MANY - WAITING}
    assert client.define(DOMAIN) == before  # There is room again.


def test_a_call_without_a_message_is_refused_in_our_words(start: Start) -> None:
    sidecar = start()
    sidecar.ready()

    with grpc.insecure_channel(f"unix:{sidecar.path}") as channel, pytest.raises(grpc.RpcError, match="bad-message: "):
        channel.stream_unary("/kubevirt.hooks.v1alpha3.Callbacks/OnDefineDomain", bytes, bytes)(iter(()), timeout=5)


def _nothing(never: threading.Event) -> Iterator[bytes]:
    never.wait()
    yield from ()


def _gist(failure: Failed) -> str:
    return failure.details.removesuffix(": KubeVirt will ask again").rpartition(": ")[2]


def test_the_wait_is_on_top_of_the_work(start: Start) -> None:
    client = start("stuck", "--wait", "1").ready()

    with pytest.raises(Failed, match=r"no answer within 3\.0 s"):
        client.define(STUCK)


def test_the_callers_own_deadline_is_kept(start: Start) -> None:
    sidecar = start("stuck")
    client = sidecar.ready()

    begun = time.monotonic()
    with pytest.raises(Failed) as failed:
        client.define(STUCK, timeout=1.0)

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed.value.details.startswith("deadline: no answer within 0.9 s: ")
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

    # Of the four only the one that had begun was worked on, and it counts for nothing.
    assert [line["pass"] for line in sidecar.said("answered")] == [1, 2]
    assert len(sidecar.said("cancelled by the caller")) == 4
    _settle(sidecar, before)


def _settle(sidecar: Sidecar, before: tuple[int, int]) -> None:
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
