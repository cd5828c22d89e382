"""What kubelet knows of a plugin: through its restarts, another plugin's end, and an agent that takes over from one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hooksidecar import log
from hooksidecar.deviceplugin.handover import FADING
from hooksidecar.deviceplugin.kubeletsocket import KubeletSocket
from hooksidecar.deviceplugin.plugins import Plugins
from hooksidecar.deviceplugin.registrar import Registrar
from hooksidecar.deviceplugin.server import PluginServer
from hooksidecar.deviceplugin.source import Listed
from hooksidecar.registration import State
from tests import patience
from tests.hooksidecar.deviceplugin.devices import (
    PROGRAM,
    RESOURCE,
    VARIABLE,
    Devices,
    counts,
    offering,
    settle,
    sockets,
    vm,
)
from tests.hooksidecar.sidecar import environment
from tests.kubelet.kubelet import Kubelet
from tests.kubelet.manager import HEALTHY, UNHEALTHY
from tests.kubelet.plain import Plain
from tests.kubelet.player import Answer
from tests.kubelet.times import START
from tests.patience import SOON

# gRPC's own thread, which looks whether a channel is ready, may find it closed.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

THERE, GONE = (3, 2), (3, 0)


@pytest.fixture
def kubelet(kubelet_dir: Path) -> Iterator[Kubelet]:
    with Kubelet(kubelet_dir, root=str(kubelet_dir / "root")) as kubelet:
        yield kubelet


@pytest.fixture
def devices() -> Devices:
    return Devices()


@pytest.fixture
def plugins(kubelet: Kubelet, devices: Devices) -> Iterator[Plugins]:
    with offering(kubelet.directory, devices) as plugins:
        settle(kubelet, plugins)
        kubelet.wait(lambda: counts(kubelet) == THERE)
        yield plugins


def state(plugins: Plugins) -> dict[str, int]:
    return dict(plugins.states())


def until(plugins: Plugins, wanted: State) -> None:
    """What the registrar's own thread does, kubelet is not told of."""
    patience.until(lambda: state(plugins) == {str(wanted): 1})


def test_a_vm_gets_what_it_asks_for(kubelet: Kubelet, plugins: Plugins, devices: Devices) -> None:
    kubelet.beat()
    pod = kubelet.create(vm("vm1", 2))
    kubelet.wait(lambda: pod.phase == "Running")

    assert pod.container("compute").environment[VARIABLE] == "u0,u1"
    assert devices.given == [("u0", "u1")]
    assert state(plugins) == {"registered": 1}


def test_a_change_reaches_kubelet_at_once(kubelet: Kubelet, plugins: Plugins, devices: Devices) -> None:
    devices.devices = (Listed("u0", healthy=False), *devices.devices[1:])
    begun = time.monotonic()
    plugins.update([RESOURCE])
    kubelet.wait(lambda: counts(kubelet) == (3, 1))

    assert time.monotonic() - begun < SOON


def test_what_cannot_be_started_now_is_when_it_can(kubelet: Kubelet, plugins: Plugins, devices: Devices) -> None:
    devices.against["u0"] = "its group is not viable"
    kubelet.beat()
    pod = kubelet.create(vm("vm1", 2))
    kubelet.wait(lambda: "its group is not viable" in pod.container("compute").state.message)
    assert pod.phase == "Pending"

    devices.against.clear()

    kubelet.wait(lambda: pod.phase == "Running")
    assert state(plugins) == {"registered": 1}


def test_kubelet_restarts_and_a_pod_that_waits_for_it_lives(kubelet: Kubelet, plugins: Plugins) -> None:
    kubelet.times = START
    for turn in range(2):
        kubelet.stop()
        pod = vm(f"vm{turn}")
        kubelet.start()
        kubelet.create(pod, bound=True)
        kubelet.wait(lambda pod=pod: pod.phase in {"Running", "Failed"})  # type: ignore[misc]
        assert pod.phase == "Running", pod.message
        kubelet.delete(pod)
    assert plugins.outcomes()["ended"] >= 2


def test_a_kubelet_that_comes_late_is_found(kubelet_dir: Path, devices: Devices) -> None:
    with offering(kubelet_dir, devices) as plugins:
        time.sleep(0.2)
        assert state(plugins) == {"unregistered": 1}
        with Kubelet(kubelet_dir) as kubelet:
            kubelet.wait(lambda: counts(kubelet) == THERE)
            until(plugins, State.REGISTERED)


def test_the_end_of_an_earlier_plugin_of_the_name_cuts_ours_and_it_is_back(kubelet: Kubelet, devices: Devices) -> None:
    other = registered_by_another(kubelet, devices)
    with offering(kubelet.directory, devices) as plugins:
        settle(kubelet, plugins)

        begun = time.monotonic()
        other.stop()

        kubelet.wait(lambda: plugins.outcomes()["ended"])
        kubelet.wait(lambda: counts(kubelet) == THERE)
        assert time.monotonic() - begun < SOON


def test_a_later_plugin_of_the_name_goes_and_ours_is_back_when_it_is_missed(
    kubelet: Kubelet, plugins: Plugins, devices: Devices
) -> None:
    """Kubelet ends no stream of ours then, and knows it no longer."""
    registered_by_another(kubelet, devices).stop()
    kubelet.wait(lambda: counts(kubelet) == GONE)

    plugins.look_at_names(settled=0.0)

    kubelet.wait(lambda: counts(kubelet) == THERE)


def registered_by_another(kubelet: Kubelet, devices: Devices) -> Plain:
    """Another plugin of the same resource, in kubelet's usual directory."""
    other = Plain(kubelet, RESOURCE, {one.id: HEALTHY if one.healthy else UNHEALTHY for one in devices.devices})
    assert other.register() == Answer()
    return other


def test_a_socket_that_is_removed_is_no_end(kubelet: Kubelet, plugins: Plugins) -> None:
    (before,) = sockets(kubelet.directory)
    before.unlink()

    kubelet.wait(lambda: len(sockets(kubelet.directory)) == 1 and counts(kubelet) == THERE)
    until(plugins, State.REGISTERED)


def test_a_name_that_kubelet_refuses_is_told_once_in_its_words(
    kubelet: Kubelet, devices: Devices, capfd: pytest.CaptureFixture[str]
) -> None:
    log.start("info", "test")
    with offering(kubelet.directory, devices, "nodomain") as plugins:
        kubelet.wait(lambda: plugins.outcomes()["refused"] > 2)
        (finding,) = plugins.findings()

    assert (finding.code, finding.subject) == ("offer-unregistered", "nodomain")
    assert finding.message == 'kubelet refuses it: the ResourceName "nodomain" is invalid'
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert sum(line.get("why", "").startswith("kubelet refuses it") for line in lines) == 1
    assert sum(line.get("why", "").startswith("kubelet found it") for line in lines) == 1


def test_kubelet_alone_finds_it_where_it_cannot_be_told(kubelet: Kubelet, devices: Devices) -> None:
    server = PluginServer(str(kubelet.directory), RESOURCE, devices)
    server.calls.update(devices.devices)
    registrar = Registrar(KubeletSocket("/nowhere"), server)
    server.publish()
    registrar.start()

    kubelet.wait(lambda: counts(kubelet) == THERE and server.was_found)
    patience.until(lambda: registrar.standing.state is State.REGISTERED)
    registrar.close()
    server.close()


# Another plugin has the name.


def test_a_name_that_another_plugin_has_is_left_to_it(kubelet: Kubelet, devices: Devices) -> None:
    theirs = Devices(Listed("17", healthy=True))
    other = registered_by_another(kubelet, theirs)
    kubelet.wait(lambda: counts(kubelet) == (1, 1))

    with offering(kubelet.directory, devices) as plugins:
        until(plugins, State.FOREIGN)
        (finding,) = plugins.findings()
        assert finding.code == "offer-name-taken"
        assert finding.message.startswith("kubelet lists 17, which is not offered here")
        plugins.update([RESOURCE])
        time.sleep(0.3)
        assert counts(kubelet) == (1, 1)
        assert state(plugins) == {"foreign": 1}

        other.stop()
        kubelet.wait(lambda: counts(kubelet)[1] == 0)
        plugins.look_at_names()

        kubelet.wait(lambda: counts(kubelet) == THERE)
        until(plugins, State.REGISTERED)
        assert [*plugins.findings()] == []


def test_a_plugin_that_takes_the_name_is_not_fought(kubelet: Kubelet, plugins: Plugins, devices: Devices) -> None:
    other = registered_by_another(kubelet, Devices(Listed("17", healthy=True)))
    kubelet.wait(lambda: counts(kubelet) == (1, 1))
    taken = plugins.outcomes()["taken"]

    plugins.look_at_names()
    until(plugins, State.FOREIGN)
    devices.devices = devices.devices[:1]
    plugins.update([RESOURCE])
    time.sleep(0.3)

    assert counts(kubelet) == (1, 1), "no list of ours under the name of the other"
    assert plugins.outcomes()["taken"] == taken
    other.stop()


# An agent takes over from another.


@contextmanager
def arrivals(kubelet: Kubelet) -> Iterator[list[str]]:
    """A pod after the other, as fast as they start; the messages of those that failed."""
    failed: list[str] = []
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            pod = vm(f"arrival{number}")
            kubelet.create(pod, bound=True)
            kubelet.wait(lambda pod=pod: pod.phase in {"Running", "Failed"})  # type: ignore[misc]
            if pod.phase == "Failed":
                failed.append(pod.message)
            kubelet.delete(pod)

    thread = threading.Thread(target=run)
    thread.start()
    yield failed
    ended.set()
    thread.join()


def test_an_update_that_starts_the_new_agent_first_ends_no_pod(kubelet: Kubelet, devices: Devices) -> None:
    with ExitStack() as running:
        old = running.enter_context(offering(kubelet.directory, devices))
        settle(kubelet, old)
        with arrivals(kubelet) as failed:
            new = running.enter_context(offering(kubelet.directory, devices))
            kubelet.wait(lambda: len(sockets(kubelet.directory)) == 2)
            until(new, State.REGISTERED)
            # It is ready, and the old one is told to end a moment later.
            time.sleep(0.6)
            old.close()
            time.sleep(FADING + 0.5)
        assert failed == []
        assert len(sockets(kubelet.directory)) == 1
        assert counts(kubelet) == THERE
    # Kubelet knows the new one again: its end is noticed.
    kubelet.wait(lambda: counts(kubelet) == GONE)


def test_an_agent_after_one_that_was_killed_ends_no_pod(kubelet: Kubelet, devices: Devices) -> None:
    """What it left is taken out of kubelet's sight, which takes the name out of kubelet's mind."""
    agent = subprocess.Popen([sys.executable, "-m", PROGRAM, str(kubelet.directory)], env=environment())
    kubelet.wait(lambda: counts(kubelet) == THERE)
    # One that ends while kubelet registers it leaves kubelet blind: no plugin can do anything about that.
    settle(kubelet)
    agent.kill()
    agent.wait()
    kubelet.wait(lambda: counts(kubelet) == GONE)
    (left,) = sockets(kubelet.directory)

    with offering(kubelet.directory, devices) as plugins:
        kubelet.wait(lambda: counts(kubelet) == THERE)
        with arrivals(kubelet) as failed:
            kubelet.wait(lambda: not left.exists())
            time.sleep(FADING + 0.5)
        assert failed == []
        assert state(plugins) == {"registered": 1}
