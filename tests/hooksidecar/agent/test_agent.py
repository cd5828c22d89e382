"""The agent's turns: what it says of itself, and of what it looks at aside."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pytest_mock import MockerFixture

from domxml.errors import HostUnreadable
from hooksidecar.agent import agent as loops
from hooksidecar.agent.agent import Loop
from hooksidecar.agent.hostwatch import Surroundings
from hooksidecar.agent.pods import Sweep
from hooksidecar.agent.watch import Watch
from hooksidecar.nodewatch.record import Record, current_grants, grants_of_present_pods
from hostdev.inventory.machine import Machine
from tests.hooksidecar.agent.envfile import ENVS
from tests.hooksidecar.agent.kubelet import Kubelet, uid
from tests.hooksidecar.agent.podresources import PodResources
from tests.hooksidecar.agent.process import NewNode
from tests.patience import PATIENCE, SOON

POD, GONE = uid(1), uid(2)


def surroundings(kubelet: Kubelet, look: Callable[[], Machine | None] = lambda: None) -> Surroundings:
    """What is looked at aside, on this node."""
    directory = str(kubelet.directory)
    return Surroundings(look, directory, Record(directory, ""))


def test_a_loop_that_does_not_turn_is_in_trouble(kubelet: Kubelet, node: NewNode, mocker: MockerFixture) -> None:
    told: list[Sweep] = []
    directory = str(kubelet.directory)
    watch, around = Watch(directory), Surroundings(lambda: None, directory, Record(directory, ""))
    loop = Loop(node(), watch, around, tell=told.append, ended=lambda: len(told) > 2)
    assert loop.trouble() == ""
    mocker.patch.object(loops, "STUCK", -1.0)

    assert loop.trouble() == "no sweep has ended for 0 s"
    mocker.stopall()
    loop.run()
    assert loop.trouble() == ""
    assert len(told) == 3


def test_a_host_that_cannot_be_read_keeps_its_last_picture(kubelet: Kubelet) -> None:
    pictures: list[Machine | HostUnreadable] = [
        Machine(),
        HostUnreadable("host-unreadable", "is away", subject="/host"),
    ]

    def look() -> Machine:
        found = pictures.pop(0)
        if isinstance(found, HostUnreadable):
            raise found
        return found

    around = surroundings(kubelet, look)
    first, second = around.look(), around.look()

    assert first.machine is second.machine
    assert "/host" in [finding.subject for finding in second.findings]
    assert "/host" not in [finding.subject for finding in first.findings]


def test_a_source_is_as_old_as_its_last_good_reading(kubelet: Kubelet) -> None:
    """What cannot be read, or hangs, grows old; what could not be read and can again is new."""
    pictures: list[Machine | HostUnreadable] = [HostUnreadable("host-unreadable", "is away"), Machine()]

    def look() -> Machine:
        found = pictures.pop(0)
        if isinstance(found, HostUnreadable):
            raise found
        return found

    around = surroundings(kubelet, look)
    begun = around.host_read_at
    around.look()
    assert around.host_read_at == around.podresources_read_at == begun
    with PodResources(kubelet.directory):
        around.look()
    assert begun < around.host_read_at < around.podresources_read_at


def test_a_record_grows_old_while_it_is_torn(kubelet: Kubelet) -> None:
    record = Record(str(kubelet.directory), "")
    kubelet.replace(b"torn")
    begun = record.read_at
    for _ in range(2):
        record.look()
        assert record.read_at == begun
    kubelet.save()
    record.look()
    first = record.read_at

    record.look()

    assert begun < first < record.read_at


def test_a_node_without_a_device_plugin_is_not_blind(kubelet: Kubelet) -> None:
    (kubelet.directory / "device-plugins/kubelet.sock").touch()
    record = Record(str(kubelet.directory), "")
    begun = record.read_at

    record.look()

    assert record.read_at > begun


def test_the_same_picture_stays_the_same_object(kubelet: Kubelet) -> None:
    around = surroundings(kubelet, Machine)

    assert around.look().machine is around.look().machine


def test_grants_of_pods_that_are_gone_do_not_live(kubelet: Kubelet) -> None:
    kubelet.allocate(GONE, ENVS)
    kubelet.served(POD, ENVS)
    record = Record(str(kubelet.directory), "")

    grants = current_grants(str(kubelet.directory), record)

    assert [grant.pod_uid for grant in grants] == [POD]
    assert len(record.grants) == 2
    assert grants_of_present_pods("/nowhere", record.grants) == record.grants


def test_no_answer_is_given_from_an_old_record(kubelet: Kubelet) -> None:
    kubelet.served(POD, ENVS)
    record = Record(str(kubelet.directory), "")
    current_grants(str(kubelet.directory), record)
    kubelet.replace(b"torn")

    with pytest.raises(HostUnreadable, match="is not what kubelet writes") as refused:
        current_grants(str(kubelet.directory), record)
    assert refused.value.code == "checkpoint-unreadable"
    kubelet.save()
    assert current_grants(str(kubelet.directory), record)


def test_a_wait_ends_when_it_is_told_to_also_before_it_began(kubelet: Kubelet) -> None:
    watch = Watch(str(kubelet.directory))
    watch.wait(0)
    watch.wake()
    begun = time.monotonic()

    watch.wait(PATIENCE)

    assert time.monotonic() - begun < SOON
