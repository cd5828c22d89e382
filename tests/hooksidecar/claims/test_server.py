"""A driver's two sockets and what kubelet calls there: each claim is answered, and health is told in time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from domxml.errors import BadInput, PassgateError, Refused
from hooksidecar import log
from hooksidecar.claims.calls import EARLY, MOST, TEXT_LIMIT, shorten
from hooksidecar.claims.server import EVERY, EXPIRY, DraServer, health_message
from hooksidecar.claims.source import DeviceHealth
from hooksidecar.registration import State
from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as health
from hostdev.kubelet.stubs.pluginregistration_v1_pb2 import RegistrationStatus
from hostdev.socketpath import LARGEST
from tests.hooksidecar.claims.drivers import DRIVER, Answers, Client, endpoints, registrations, serving
from tests.patience import PATIENCE, until


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(kubelet_dir: Path, answers: Answers) -> Iterator[DraServer]:
    with serving(kubelet_dir, answers) as server:
        yield server


@pytest.fixture
def client(kubelet_dir: Path, server: DraServer) -> Iterator[Client]:
    del server
    with Client(*endpoints(kubelet_dir)) as found:
        yield found


# Who is there.


def test_kubelet_is_told_of_the_endpoint_and_the_version(kubelet_dir: Path, server: DraServer) -> None:
    (found,), (endpoint,) = registrations(kubelet_dir), endpoints(kubelet_dir)
    states = [server.standing.state]
    with Client(found) as client:
        info = client.info()
        assert (info.type, info.name, info.endpoint) == ("DRAPlugin", DRIVER, str(endpoint))
        assert list(info.supported_versions) == ["v1.DRAPlugin"]

        assert client.note(b"\x08\x01") == b""

    assert [*states, server.standing.state] == [State.UNREGISTERED, State.REGISTERED]
    assert [*server.findings()] == []


def test_only_root_may_connect(kubelet_dir: Path, server: DraServer) -> None:
    del server
    for path in (*registrations(kubelet_dir), *endpoints(kubelet_dir)):
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_kubelet_says_is_wrong_is_a_finding_and_logged_once(
    kubelet_dir: Path, server: DraServer, capfd: pytest.CaptureFixture[str]
) -> None:
    log.start("info", "test")
    why = f'none of services supported by the plugin (["v1.DRAPlugin"]) are supported by the kubelet ({["v9"]})'
    with Client(*registrations(kubelet_dir)) as client:
        for _ in range(3):
            client.note(RegistrationStatus(error=why).SerializeToString())

        (finding,) = server.findings()
        assert (finding.code, finding.subject) == ("claims-unregistered", DRIVER)
        assert finding.message.startswith("kubelet found it, and says: none of services")
        client.note(b"\x08\x01")

    assert [*server.findings()] == []
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert sum(line["msg"] == "refused" for line in lines) == 1
    assert sum(line["msg"] == "unregistered" for line in lines) == 1


# Two calls about claims.


def test_each_claim_of_a_call_has_its_own_answer(client: Client, answers: Answers) -> None:
    def refuse() -> str:
        raise Refused("unit-gone", "it fell off the bus", subject="0000:3d:00.0")

    def fail() -> str:
        raise ValueError("secret")

    answers.answers |= {"sentence": lambda: "not ready", "refused": refuse, "defect": fail}
    answers.answers["empty"] = list

    told = client.prepare("well", "sentence", "refused", "defect", "empty")

    assert [*told["well"].devices[0].cdi_device_ids] == [f"{DRIVER}/claim=well-u0"]
    assert {name: one.error for name, one in told.items()} == {
        "well": "",
        "sentence": "not ready",
        "refused": "unit-gone: 0000:3d:00.0: it fell off the bus",
        "defect": "a defect of passgate: ValueError; see the log of passgate-claims",
        "empty": "nothing was prepared, and no reason given: see the log of passgate-claims",
    }
    assert all(45.0 - 2 * EARLY < within <= 45.0 - EARLY for within in answers.within)


def test_what_cannot_be_undone_is_told_of_that_claim(client: Client, answers: Answers) -> None:
    answers.errors["busy"] = lambda: "device is busy"

    assert client.unprepare("well", "busy") == {"well": "", "busy": "device is busy"}


def test_a_defect_is_logged_with_its_claim_and_without_its_text(
    client: Client, answers: Answers, capfd: pytest.CaptureFixture[str]
) -> None:
    log.start("info", "test")

    def fail() -> str:
        raise ValueError("secret")

    answers.answers["broken"] = fail
    client.prepare("broken")

    (line,) = [json.loads(one) for one in capfd.readouterr().err.splitlines() if '"defect"' in one]
    assert (line["exception"], line["claim"], line["call"]) == ("ValueError", "default/broken", "prepare")
    assert "secret" not in str(line)


def test_what_hangs_is_answered_in_time_and_delays_no_other(client: Client, answers: Answers) -> None:
    answers.answers["hangs"] = answers.hang
    begun = time.monotonic()

    told = client.prepare("hangs", "well", timeout=EARLY + 1.5)

    assert time.monotonic() - begun > 1.0
    assert told["hangs"].error.startswith("deadline: no answer in kubelet's time: ")
    assert told["hangs"].error.endswith("kubelet will ask again")
    assert told["well"].devices
    assert client.unprepare("well") == {"well": ""}


def test_what_hangs_for_good_fills_no_more_than_its_room(client: Client, answers: Answers) -> None:
    names = [f"c{number}" for number in range(MOST + 3)]
    answers.answers |= dict.fromkeys(names, answers.hang)

    told = client.prepare(*names, timeout=EARLY + 0.5)

    assert sum(one.error.startswith("busy: ") for one in told.values()) == 3
    assert client.unprepare("c0") == {"c0": ""}, "what is undone has room of its own"
    answers.released.set()
    until(lambda: client.prepare("other")["other"].devices)


def test_where_no_thread_can_be_started_each_claim_is_told(client: Client, mocker: MockerFixture) -> None:
    assert client.prepare("well")["well"].devices
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "prepare":
            raise RuntimeError("can't start new thread")
        start(thread)

    mocker.patch.object(threading.Thread, "start", autospec=True, side_effect=refuse)

    told = client.prepare("a", "b")

    assert {name: one.error.partition(",")[0] for name, one in told.items()} == dict.fromkeys(
        ("a", "b"), "busy: no thread can be started"
    )
    mocker.stopall()
    assert client.prepare(*(f"c{number}" for number in range(MOST)))["c0"].devices, "no room was lost"


def test_two_calls_for_one_claim_go_on_beside_each_other(client: Client, answers: Answers) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def meet() -> str:
        both.wait()
        return "met"

    answers.answers["shared"] = meet
    with ThreadPoolExecutor(2) as threads:
        told = [*threads.map(client.prepare, ["shared", "shared"])]

    assert [one["shared"].error for one in told] == ["met", "met"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["NodePrepareResources", "NodeUnprepareResources"]), request=st.binary(max_size=200))
def test_no_request_is_answered_with_a_defect(client: Client, method: str, request: bytes) -> None:
    try:
        client.call(method, request)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017


@given(st.text(max_size=30), st.integers(1, 60))
def test_a_sentence_fits_whatever_is_in_it(part: str, times: int) -> None:
    text = part * times
    short = shorten(text)

    assert len(short.encode()) <= TEXT_LIMIT
    assert short.isprintable()
    assert short == text or not text.isprintable() or len(text.encode()) > TEXT_LIMIT


# Health.


def test_health_is_told_at_once_and_when_it_changes(client: Client, server: DraServer, answers: Answers) -> None:
    answers.health = [DeviceHealth("node", "u0", True)]
    server.health_changed()
    watched = client.watch()
    while (first := next(watched)).keys() != {"u0"}:
        pass
    assert (first["u0"].health, first["u0"].device.pool_name) == (health.HEALTHY, "node")
    assert first["u0"].health_check_timeout_seconds == EXPIRY
    assert abs(first["u0"].last_updated_time - time.time()) < PATIENCE

    answers.health = [DeviceHealth("node", "u0", False, "AER fatal, link down"), DeviceHealth("node", "u1", None)]
    server.health_changed()

    while (told := next(watched)).keys() != {"u0", "u1"}:
        pass
    assert (told["u0"].health, told["u0"].message) == (health.UNHEALTHY, "AER fatal, link down")
    assert told["u1"].health == health.UNKNOWN


def test_health_is_told_more_often_than_it_expires() -> None:
    assert EVERY < 20
    assert 3 * EVERY < EXPIRY


def test_a_message_of_health_is_never_longer_than_is_taken() -> None:
    devices = [DeviceHealth("node", f"{number:060d}", number % 3 > 0, "x" * 300) for number in range(20_000)]

    message = health.NodeWatchResourcesResponse.FromString(health_message(devices, 0.0))

    assert message.ByteSize() <= LARGEST
    sick = sum(not device.healthy for device in devices)
    assert [one.health for one in message.devices[:sick]] == [health.UNHEALTHY] * sick


def test_a_kubelet_that_goes_is_noticed(kubelet_dir: Path, server: DraServer) -> None:
    with Client(*endpoints(kubelet_dir)) as client:
        next(client.watch())
        assert server.standing.state is State.REGISTERED
    until(lambda: server.standing.state is State.UNREGISTERED)

    assert server.standing.why == "kubelet has ended its connection"


# Sockets.


def test_a_socket_that_was_removed_is_made_anew(kubelet_dir: Path, server: DraServer) -> None:
    del server
    found, endpoint = (*registrations(kubelet_dir), *endpoints(kubelet_dir))
    endpoint.unlink()

    def are_new() -> bool:
        there = {*registrations(kubelet_dir), *endpoints(kubelet_dir)}
        return len(there) == 2 and not there & {found, endpoint}

    until(are_new)
    (found,), (endpoint,) = registrations(kubelet_dir), endpoints(kubelet_dir)
    with Client(found) as client, Client(endpoint) as driver:
        assert client.info().endpoint == str(endpoint)
        assert driver.prepare("well")["well"].devices


def test_two_processes_have_two_endpoints_and_each_takes_its_own_away(kubelet_dir: Path, answers: Answers) -> None:
    with serving(kubelet_dir, answers):
        first = {*registrations(kubelet_dir), *endpoints(kubelet_dir)}
        with serving(kubelet_dir, answers):
            assert len(registrations(kubelet_dir)) == len(endpoints(kubelet_dir)) == 2
        assert {*registrations(kubelet_dir), *endpoints(kubelet_dir)} == first
    assert registrations(kubelet_dir) == endpoints(kubelet_dir) == []


def test_what_a_killed_process_left_is_cleared_and_nothing_else(kubelet_dir: Path, server: DraServer) -> None:
    (mine,), (endpoint,) = registrations(kubelet_dir), endpoints(kubelet_dir)
    left = [mine.with_name(f"{mine.name[:-13]}00000000.sock"), endpoint.with_name("dra-00000000.sock")]
    foreign = mine.with_name("foreign.sock")
    for path in (*left, foreign):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))

    server.health_changed()

    until(lambda: not any(path.exists() for path in left))
    assert registrations(kubelet_dir) == sorted([mine, foreign])


def test_the_end_waits_for_what_is_being_answered(kubelet_dir: Path, answers: Answers) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        goes_on.wait(PATIENCE)
        return "done"

    answers.answers["slow"] = slow
    with ThreadPoolExecutor(2) as threads, serving(kubelet_dir, answers) as server:
        (found,) = registrations(kubelet_dir)
        with Client(*endpoints(kubelet_dir)) as client:
            told = threads.submit(client.prepare, "slow")
            assert begun.wait(PATIENCE)
            ended = threads.submit(server.close)
            assert found.exists(), "kubelet closes its connection when that is gone"
            goes_on.set()
            assert told.result(PATIENCE)["slow"].error == "done"
        ended.result(PATIENCE)
        assert not found.exists()


def test_where_no_socket_can_be_made_a_sentence_says_so(kubelet_dir: Path, answers: Answers) -> None:
    deep = kubelet_dir / ("d" * 60) / ("e" * 60)
    (deep / "plugins_registry").mkdir(parents=True)
    with pytest.raises(BadInput, match="a unix socket has room for 107"):
        DraServer(str(deep), DRIVER, answers, answers).start()

    with pytest.raises(PassgateError) as refused:
        DraServer("/proc/none", DRIVER, answers, answers).start()
    assert "plugins_registry" in refused.value.hint
