"""H7: a call is bounded; late, cancelled and simultaneous calls leave no trace."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import grpc
import pytest
from pytest_mock import MockerFixture

from hooksidecar import deadline
from hooksidecar.deadline import Bounded
from hooksidecar.domainhook import Calls
from hooksidecar.server import WAITING
from tests.domxml.domains import load
from tests.hooksidecar.client import Failed
from tests.hooksidecar.domainhooks import Simple, with_device
from tests.hooksidecar.procfs import cpu_seconds
from tests.hooksidecar.sidecar import Sidecar, Start
from tests.patience import SOON, until

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
    assert 2.0 <= took < SOON
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


@pytest.mark.parametrize("core", ["stuck", "busy"])
def test_h15_a_worker_that_does_not_come_back_is_replaced(start: Start, core: str) -> None:
    sidecar = start(core, "--wait", "0")
    client = sidecar.ready()
    assert client.define(DOMAIN) == DOMAIN
    for hangs in (1, 2):
        with pytest.raises(Failed, match="deadline: no answer within 2"):
            client.define(STUCK)
        with pytest.raises(Failed, match="waiting for an earlier call, which was working") as failed:
            client.define(DOMAIN, timeout=1.3)
        assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert client.define(DOMAIN) == DOMAIN, "while it waits, the one in its way is overdue"
        assert client.define(DOMAIN) == DOMAIN, "and nothing hangs any more"
        told = sidecar.said("given up")
        assert len(told) == hangs
        assert told[-1]["doing"] == "working"
        assert f".{core}:" in told[-1]["where"]

    assert [line["pass"] for line in sidecar.said("answered")] == [1, 2, 3, 4, 5]
    if core == "busy":  # What runs in Python is ended; what hangs in the kernel stays.
        assert told[-1]["hanging"] == 1
        assert _processor_time(sidecar, 0.5) < 0.2
    assert sidecar.end()[0] == 0


def _processor_time(sidecar: Sidecar, seconds: float) -> float:
    before = cpu_seconds(sidecar.process.pid)
    time.sleep(seconds)
    return cpu_seconds(sidecar.process.pid) - before


class Context:
    """A caller that waits as long as it takes."""

    def time_remaining(self) -> float:
        return 1000.0

    def add_callback(self, _callback: object) -> bool:
        return True


def test_h15_however_many_hang_each_call_ends_and_those_that_come_back_make_room(mocker: MockerFixture) -> None:
    mocker.patch.object(deadline, "OVERDUE", 0.01)
    before = _workers()
    bounded, context = Bounded(), cast("grpc.ServicerContext", Context())
    never = threading.Event()
    sentences = []
    for _ in range(deadline.MOST_GIVEN_UP + 3):
        with pytest.raises(deadline.Failed) as failed:
            bounded.run(lambda _deadline: never.wait(), 0.05, context, {})
        sentences.append(failed.value.sentence)
    with pytest.raises(deadline.Failed, match="waiting for an earlier call"):
        bounded.run(lambda _deadline: 1, 0.05, context, {})
    hanging = _workers() - before
    never.set()

    assert all(sentence.startswith("deadline: no answer within 0.1 s: ") for sentence in sentences)
    assert hanging == deadline.MOST_GIVEN_UP + 1
    assert bounded.run(lambda _deadline: 1, 20, context, {}) == 1


def _workers() -> int:
    return sum(thread.name == "work" for thread in threading.enumerate())


def test_h15_nothing_is_given_up_that_is_only_slow() -> None:
    bounded, context = Bounded(), cast("grpc.ServicerContext", Context())
    with pytest.raises(deadline.Failed):
        bounded.run(lambda _deadline: time.sleep(0.4), 0.2, context, {})

    threads = [thread for thread in threading.enumerate() if thread.name == "work"]
    assert bounded.run(lambda _deadline: threading.current_thread(), 5, context, {}) in threads


def test_h15_an_import_is_waited_for_however_long_it_takes(tmp_path: Path, mocker: MockerFixture) -> None:
    """Cut off it would leave halves of modules behind, and the next worker would fail for want of the rest."""
    mocker.patch.object(deadline, "OVERDUE", 0.0)
    mocker.patch.object(deadline, "WORK", 0.05)
    mocker.patch.object(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "slowly_loaded.py").write_text(
        "import time\nfor _ in range(100):\n    time.sleep(0.01)\nwhole = True\n"
    )
    bounded, context = Bounded(), cast("grpc.ServicerContext", Context())

    bounded.begin(lambda: importlib.import_module("slowly_loaded"))
    time.sleep(0.2)
    with pytest.raises(deadline.Failed, match="which was loading its modules"):
        bounded.run(lambda _deadline: "early", 0.2, context, {})

    assert bounded.run(lambda _deadline: importlib.import_module("slowly_loaded").whole, 20, context, {}) is True


def test_h15_a_core_that_came_late_does_not_forget_what_was_settled() -> None:
    """Two threads make a core each when the first hangs while it does so."""
    first, go = Simple(lambda domain: domain), threading.Event()
    hanging = threading.Event()

    def make_core() -> Simple:
        if hanging.is_set():
            return first
        hanging.set()
        go.wait()
        return Simple(lambda _domain: b"late")

    calls = Calls(make_core, wait=0)
    hangs = threading.Thread(target=calls._core)
    hangs.start()
    hanging.wait()
    assert calls._core() is first
    go.set()
    hangs.join()

    assert calls._core() is first


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

    with pytest.raises(Failed) as failed:
        client.define(STUCK, timeout=1.0)

    assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert failed.value.details.startswith("deadline: no answer within 0.9 s: ")


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
    until(lambda: sidecar.files() <= before[1])
    assert sidecar.status("Threads") <= before[0] + 4  # A pool keeps the threads it made.


def test_fifty_calls_at_once_get_fifty_right_answers(start: Start) -> None:
    sidecar = start("device")
    client = sidecar.ready()
    domains = [DOMAIN.replace(b"</name>", b"-%d</name>" % number, 1) for number in range(50)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(client.define, domains))

    assert answers == [with_device(domain) for domain in domains]
    assert sorted(line["pass"] for line in sidecar.said("answered")) == list(range(1, 51))
