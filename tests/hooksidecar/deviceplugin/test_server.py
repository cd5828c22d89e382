"""A plugin's socket and its five calls: also for those who call wrongly, too often, or do not read."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domxml.errors import BadInput
from hooksidecar.broadcast import STREAMS
from hooksidecar.deviceplugin.server import PluginServer
from hooksidecar.deviceplugin.source import Listed, list_message
from hostdev.kubelet.stubs import deviceplugin_v1beta1_pb2 as wire
from hostdev.socketpath import LARGEST
from tests.hooksidecar.deviceplugin.devices import RESOURCE, VARIABLE, Client, Devices, sockets
from tests.patience import PATIENCE, SOON

METHODS = ("GetDevicePluginOptions", "GetPreferredAllocation", "Allocate", "PreStartContainer")


@pytest.fixture
def devices() -> Devices:
    return Devices()


@pytest.fixture
def server(kubelet_dir: Path, devices: Devices) -> Iterator[PluginServer]:
    server = PluginServer(str(kubelet_dir), RESOURCE, devices)
    server.calls.update(devices.devices)
    server.publish()
    yield server
    server.close()


@pytest.fixture
def client(kubelet_dir: Path, server: PluginServer) -> Iterator[Client]:
    del server
    with Client(*sockets(kubelet_dir)) as found:
        yield found


def test_the_first_list_comes_at_once_and_then_only_what_changed(
    client: Client, server: PluginServer, devices: Devices
) -> None:
    watched = client.watch()
    assert next(watched) == {"u0": "Healthy", "u1": "Healthy", "u2": "Unhealthy"}

    assert not server.calls.update(devices.devices), "nothing has changed"
    devices.devices = (Listed("u0", healthy=False, numa_node=0), *devices.devices[1:])
    begun = time.monotonic()
    assert server.calls.update(devices.devices)

    assert next(watched)["u0"] == "Unhealthy"
    assert time.monotonic() - begun < SOON


def test_topology_is_told_where_it_is_known(client: Client) -> None:
    answer = next(iter(client.channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch", bytes, bytes)(b"")))
    u0, u1, _ = wire.ListAndWatchResponse.FromString(answer).devices

    assert u0.HasField("topology")
    assert [node.ID for node in u0.topology.nodes] == [0]
    assert not u1.HasField("topology")


def test_what_is_given_is_sorted_and_may_be_used(client: Client) -> None:
    (given,) = client.allocate("u1", "u0").container_responses

    assert dict(given.envs) == {VARIABLE: "u0,u1"}


def test_a_refusal_is_a_sentence(client: Client, devices: Devices) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.allocate("u9")
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert refused.value.details() == "unit-unknown: example.com/gpu: u9 is not offered"

    devices.against["u0"] = "it answers nothing"
    with pytest.raises(grpc.RpcError) as refused:
        client.call("PreStartContainer", wire.PreStartContainerRequest(devices_ids=["u0"]).SerializeToString())
    assert refused.value.details() == "device-dead: example.com/gpu: it answers nothing"


def test_a_defect_tells_nothing_of_its_text(client: Client, devices: Devices) -> None:
    devices.against = cast("dict[str, str]", None)
    with pytest.raises(grpc.RpcError) as refused:
        client.call("PreStartContainer", wire.PreStartContainerRequest(devices_ids=["u0"]).SerializeToString())

    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert refused.value.details() == "a defect of passgate: TypeError; see the agent's log"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), request=st.binary(max_size=200))
def test_no_request_is_answered_with_a_defect(client: Client, method: str, request: bytes) -> None:
    try:
        client.call(method, request)
    except grpc.RpcError as error:
        assert error.code() in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION}  # noqa: PT017


def test_a_call_that_is_none_is_refused(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        client.call("/v1beta1.Registration/Register")

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_only_root_may_connect(kubelet_dir: Path, server: PluginServer) -> None:
    (path,) = sockets(kubelet_dir)

    assert path.stat().st_mode & 0o777 == 0o600
    assert server.endpoint == f"../plugins_registry/{path.name}"


def test_a_list_that_nobody_reads_takes_no_memory(client: Client, server: PluginServer, devices: Devices) -> None:
    unread = client.channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch", bytes, bytes)(b"")
    names = [f"{number:06d}-{'x' * 50}" for number in range(20_000)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(40):
        devices.devices = tuple(Listed(name, healthy=(number + turn) % 2 == 0) for number, name in enumerate(names))
        server.calls.update(devices.devices)
        assert client.allocate("000001-" + "x" * 50).container_responses

    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 60, f"{grown:.0f} MiB for lists of 1.4 MB"
    unread.cancel()  # type: ignore[no-untyped-call]


def test_streams_beyond_reason_are_refused_and_calls_go_on(client: Client) -> None:
    streams = [client.watch() for _ in range(STREAMS)]
    assert all(next(stream) for stream in streams)

    with pytest.raises(grpc.RpcError) as refused:
        next(client.watch())
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    begun = time.monotonic()
    client.allocate("u0")
    assert time.monotonic() - begun < SOON


def test_a_thousand_connections_hold_nothing_up(kubelet_dir: Path, client: Client) -> None:
    (path,) = sockets(kubelet_dir)
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) for _ in range(400)]
    for one in idle:
        one.connect_ex(str(path))
    try:
        begun = time.monotonic()
        client.allocate("u0")
        assert time.monotonic() - begun < SOON
    finally:
        for one in idle:
            one.close()


def test_a_list_is_never_longer_than_kubelet_takes() -> None:
    units = [Listed(f"{number:060d}", healthy=number % 3 > 0, numa_node=0) for number in range(80_000)]

    message, left_out = list_message(units)

    told = wire.ListAndWatchResponse.FromString(message).devices
    assert len(message) <= LARGEST
    assert len(told) + left_out == len(units)
    assert sum(one.health == "Healthy" for one in told) == sum(unit.healthy for unit in units)


def test_the_socket_of_another_is_never_taken_away(kubelet_dir: Path, devices: Devices) -> None:
    first, second = (PluginServer(str(kubelet_dir), RESOURCE, devices) for _ in range(2))
    first.publish()
    second.publish()
    assert len(sockets(kubelet_dir)) == 2

    first.close()

    (left,) = sockets(kubelet_dir)
    with Client(left) as client:
        assert client.call("GetDevicePluginOptions")
    second.close()
    assert sockets(kubelet_dir) == []


def test_what_a_killed_agent_left_is_cleared_and_nothing_else(kubelet_dir: Path, server: PluginServer) -> None:
    (mine,) = sockets(kubelet_dir)
    prefix = mine.name[:-13]
    dead, foreign = (kubelet_dir / "plugins_registry" / name for name in (f"{prefix}00000000.sock", "foreign.sock"))
    for path in (dead, foreign):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    (kubelet_dir / "plugins_registry" / f"{prefix}file.sock").touch()

    server.socket.clear_leftovers()

    assert sockets(kubelet_dir) == sorted([mine, foreign])


def test_a_socket_that_was_removed_is_made_anew(kubelet_dir: Path, server: PluginServer) -> None:
    (path,) = sockets(kubelet_dir)
    path.unlink()

    server.publish()

    (again,) = sockets(kubelet_dir)
    assert again != path
    with Client(again) as client:
        assert client.call("GetDevicePluginOptions")


def test_where_no_socket_can_be_made_a_sentence_says_so(kubelet_dir: Path, devices: Devices) -> None:
    deep = kubelet_dir / ("d" * 60) / ("e" * 60)
    (deep / "plugins_registry").mkdir(parents=True)
    with pytest.raises(BadInput, match="a unix socket has room for 107"):
        PluginServer(str(deep), RESOURCE, devices).publish()

    with pytest.raises(BadInput) as refused:
        PluginServer(str(kubelet_dir / "absent"), RESOURCE, devices).publish()
    assert "plugins_registry" in refused.value.hint


def test_kubelet_asks_who_is_there(client: Client) -> None:
    info = client.call("/pluginregistration.Registration/GetInfo")

    assert info.hex().startswith("0a0c446576696365506c7567696e"), "type DevicePlugin, as recorded"
    assert info.endswith(b"\x22\x07v1beta1")
    assert client.call("/pluginregistration.Registration/NotifyRegistrationStatus", b"\x08\x01") == b""


def test_the_end_of_a_server_ends_its_streams(kubelet_dir: Path, client: Client, server: PluginServer) -> None:
    watched = client.watch()
    next(watched)
    ended = threading.Event()
    server.calls.lists.on_end = ended.set

    server.close()

    assert ended.wait(PATIENCE)
    assert not [*(kubelet_dir / "plugins_registry").iterdir()]
