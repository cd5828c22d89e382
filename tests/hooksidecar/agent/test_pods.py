"""What a sweep does for each pod: files dropped, kept, removed, and everything that is told."""

from __future__ import annotations

import base64
import os
import stat
import time

import pytest

from hooksidecar.agent.pods import LATEST
from hostdev.allocation.env_file import parse_env_file
from tests.hooksidecar.agent.envfile import BOOT, ENVS, variables
from tests.hooksidecar.agent.kubelet import FILE, PLUGINS, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import NewNode

POD = uid(1)
OTHER_BOOT = "11111111-6e0c-4f8e-9d2c-6f9a3c1d7e11"


def test_a_grant_becomes_a_file_that_only_the_vms_user_can_read(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)

    swept = node().sweep(whole=True)

    assert (swept.dropped, swept.kept, swept.removed, swept.failed) == (1, 0, 0, 0)
    assert variables(path) == ENVS
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o400
    assert status.st_uid == status.st_gid == path.parents[3].stat().st_gid
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o770
    assert path.parent.stat().st_uid == status.st_uid
    assert [name.name for name in path.parent.iterdir()] == ["allocation.env"]


def test_what_is_as_it_should_be_is_not_written_again(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    first = node()
    first.sweep(whole=True)
    before = path.stat()

    again, other = first.sweep(whole=True), node().sweep(whole=True)

    assert (again.dropped, again.kept) == (other.dropped, other.kept) == (0, 1)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_pod_without_a_change_is_not_visited_again(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.served(POD, ENVS)
    state = node()
    state.sweep(whole=True)

    swept = state.sweep()

    assert (swept.dropped, swept.kept) == (0, 0)
    assert state.next() == float("inf")


def test_all_grants_of_compute_and_no_others(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.allocate(POD, {"QAT0": "0000:3d:02.2"})
    kubelet.allocate(POD, {"PCI_RESOURCE_NVIDIA_COM_T4": "0000:da:00.0"}, resource="nvidia.com/T4")
    kubelet.allocate(POD, {"SECRET": "of somebody else"}, container="istio-proxy")
    path = kubelet.served(uid(2), {"OTHER": "pod"})
    mine = kubelet.volume(POD, SIDECAR) / SIDECAR / FILE

    node().sweep(whole=True)

    assert variables(mine) == {"QAT0": "0000:3d:02.2", "PCI_RESOURCE_NVIDIA_COM_T4": "0000:da:00.0"}
    assert variables(path) == {"OTHER": "pod"}


def test_a_value_of_several_lines_arrives_whole(kubelet: Kubelet, node: NewNode) -> None:
    envs = {"PCIDEVICE_A_INFO": '{\n "0000:3d:02.2": {}\n}', "QAT0": "0000:3d:02.2"}
    path = kubelet.served(POD, envs)

    node().sweep(whole=True)

    assert variables(path) == envs


def test_a_name_that_no_environment_holds_is_told_and_left_out(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, {"A=B\nQAT9": "0000:00:00.0", "QAT0": "0000:3d:02.2", "NUL": "a\0QAT8=0000:00:00.0"})

    swept = node().sweep(whole=True)

    assert variables(path) == {"QAT0": "0000:3d:02.2"}
    assert [(finding.code, finding.message) for finding in swept.findings] == [
        ("checkpoint-entry-unreadable", "not in the file: A=B\\nQAT9, NUL")
    ]


def test_two_resources_that_both_begin_at_zero_both_arrive(kubelet: Kubelet, node: NewNode) -> None:
    """Of the container's own variables kubelet keeps one at random."""
    kubelet.allocate(POD, {"QAT0": "0000:3d:02.1", "QAT1": "0000:3d:02.2"}, resource="qat.intel.com/sym")
    path = kubelet.served(POD, {"QAT0": "0000:3f:02.1", "QAT1": "0000:3d:02.2"})

    swept = node().sweep(whole=True)

    assert swept.findings == ()
    assert sorted(variables(path).values()) == ["0000:3d:02.1", "0000:3d:02.2", "0000:3f:02.1"]


def test_the_file_says_whose_each_variable_is_and_what_was_granted(kubelet: Kubelet, node: NewNode) -> None:
    """Of two resources of a family nothing else tells which is which: a number says nothing."""
    kubelet.allocate(POD, {"QAT0": "0000:3f:02.1"}, resource="qat.intel.com/sym")
    kubelet.allocate(POD, {}, ids=("a", "b"), resource="example.com/license")
    kubelet.allocate(POD, {}, resource="devices.kubevirt.io/kvm")
    path = kubelet.served(POD, {"QAT0": "0000:3d:02.1", "QAT1": "0000:3d:02.2"})

    node().sweep(whole=True)

    file = parse_env_file(path.read_bytes())
    whose = {value: file.resources[name] for name, value in file.variables.items()}
    generic = ("qat.intel.com/generic",)
    assert whose == {"0000:3d:02.1": generic, "0000:3d:02.2": generic, "0000:3f:02.1": ("qat.intel.com/sym",)}
    assert file.grants == {"example.com/license": 2, "qat.intel.com/generic": 1, "qat.intel.com/sym": 1}


def test_a_plugin_that_tells_nothing_is_told_of(kubelet: Kubelet, node: NewNode) -> None:
    """Without a file a sidecar could not know that kubelet did give the devices."""
    path = kubelet.served(POD, {})
    kubelet.allocate(uid(2), {}, resource="devices.kubevirt.io/kvm")
    kubelet.save()
    other = kubelet.volume(uid(2), SIDECAR)

    node().sweep(whole=True)

    file = parse_env_file(path.read_bytes())
    assert (file.variables, file.grants) == ({}, {"qat.intel.com/generic": 1})
    assert list((other / SIDECAR).iterdir()) == []


def test_one_variable_of_two_resources_with_two_values_is_told(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.allocate(POD, {"PCI_RESOURCE_A_B_C": "0000:3d:02.1"}, resource="a.b/c")
    path = kubelet.served(POD, {"PCI_RESOURCE_A_B_C": "0000:3d:02.2"})

    swept = node().sweep(whole=True)

    assert variables(path) == {"PCI_RESOURCE_A_B_C": "0000:3d:02.1"}
    assert [finding.code for finding in swept.findings] == ["checkpoint-entry-unreadable"]


def test_the_file_goes_with_the_grant_and_nothing_else_does(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    beside = path.parent / "of-somebody-else"
    state = node()
    state.sweep(whole=True)
    beside.touch()
    kubelet.free(POD)
    kubelet.save()

    swept = state.sweep()

    assert (swept.removed, swept.findings) == (1, ())
    assert list(path.parent.iterdir()) == [beside]


def test_a_file_left_by_an_earlier_process_is_removed(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    node().sweep(whole=True)
    kubelet.free(POD)
    kubelet.save()

    assert node().sweep(whole=True).removed == 1
    assert not path.exists()


def test_a_file_that_others_wrote_stays_and_a_grant_replaces_it(kubelet: Kubelet, node: NewNode) -> None:
    """The admission policy writes the same file, also for what kubelet does not record."""
    kubelet.save()
    path = kubelet.volume(POD, SIDECAR) / SIDECAR / FILE
    path.parent.mkdir(parents=True)
    path.write_text("SRIOVNETWORK_VF_DEVICE_X=0000:3b:02.1\n")
    state = node()

    assert state.sweep(whole=True).removed == 0
    assert path.exists()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    assert state.sweep().dropped == 1
    assert variables(path) == ENVS


def test_a_record_of_another_boot_gives_nothing_and_takes_back(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.boot_id = BOOT
    path = kubelet.served(POD, ENVS)
    assert node(BOOT).sweep(whole=True).dropped == 1

    swept = node(OTHER_BOOT).sweep(whole=True)

    assert (swept.grants, swept.dropped, swept.removed) == ((), 0, 1)
    assert [finding.code for finding in swept.findings] == ["record-of-earlier-boot"]
    assert not path.exists()


@pytest.mark.parametrize("written", [BOOT.upper(), f" {BOOT}\n", ""])
def test_a_boot_that_is_ours_or_not_told_is_no_reason_to_doubt(kubelet: Kubelet, node: NewNode, written: str) -> None:
    kubelet.boot_id = written
    kubelet.served(POD, ENVS)

    assert node(BOOT).sweep(whole=True).dropped == 1


def test_an_unreadable_record_takes_nothing_away(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    state = node()
    state.sweep(whole=True)

    for data in (b"", b'{"Data":{"PodDeviceEnt', b"{}", b'{"Data":{}}', b"\xff\xfe", b"[" * 100_000):
        kubelet.replace(data)
        for one in (state, node()):
            swept = one.sweep(whole=True)
            assert [finding.code for finding in swept.findings] == ["checkpoint-unreadable"], data[:20]
            assert swept.removed == 0
        assert variables(path) == ENVS
    kubelet.checkpoint.unlink()
    assert "No such file" in state.sweep(whole=True).findings[0].message
    assert variables(path) == ENVS
    kubelet.free(POD)
    kubelet.save()
    assert (state.sweep().removed, state.sweep().findings) == (1, ())


def test_half_of_an_allocation_is_none(kubelet: Kubelet, node: NewNode) -> None:
    """An entry that cannot be decoded leaves its pod as it is, and no other."""
    kubelet.allocate(POD, ENVS, resource="a/b")
    kubelet.entries[-1]["AllocResp"] = base64.b64encode(b"\x0a\xff").decode()
    path = kubelet.served(POD, ENVS)
    other = kubelet.served(uid(2), ENVS)
    state = node()

    swept = state.sweep(whole=True)

    assert not path.exists()
    assert other.exists()
    assert [(finding.code, finding.subject) for finding in swept.findings] == [
        ("checkpoint-entry-unreadable", f"pod {POD}")
    ]
    assert state.next() == float("inf")


def test_a_pod_that_touches_its_volume_all_the_time_is_visited_in_measure(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.served(POD, ENVS)
    state = node()
    state.sweep(whole=True)
    visits = 0
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        visits += state.sweep(look=False, touched=[POD]).kept

    assert 1 <= visits <= 4
    time.sleep(LATEST)
    assert state.sweep(touched=[POD]).kept == 1


def test_things_among_the_pods_that_are_none(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    pods = kubelet.directory / "pods"
    (pods / "a-file").touch()
    (pods / "a-link").symlink_to(POD)
    (pods / "empty").mkdir()
    (pods / "strange \udcff name").mkdir()

    swept = node().sweep(whole=True)

    assert (swept.dropped, swept.failed, swept.findings) == (1, 0, ())
    assert variables(path) == ENVS


def test_an_observer_writes_nothing(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    state = node(writes=False)

    swept = state.sweep(whole=True)

    assert (len(swept.grants), swept.dropped, state.next()) == (1, 0, float("inf"))
    assert not path.parents[1].exists()


def test_a_pod_that_vanishes_is_no_failure(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.served(POD, ENVS)
    state = node()
    state.sweep(whole=True)
    path = kubelet.directory / "pods" / POD
    path.rename(path.with_name("elsewhere"))

    assert state.sweep(whole=True).failed == 0


def test_no_pods_directory_is_told_and_waited_for(kubelet: Kubelet, node: NewNode) -> None:
    (kubelet.directory / "pods").rmdir()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    state = node()

    swept = state.sweep(whole=True)

    assert [finding.code for finding in swept.findings] == ["drop-failed"]
    assert 0.2 < state.next() - time.monotonic() < 1.0
    kubelet.volume(POD, SIDECAR)
    state._pods[POD].again = 0.0  # The clock.
    assert state.sweep().dropped == 1


def test_a_directory_that_was_not_handed_over_before_a_kill_is_repaired(kubelet: Kubelet, node: NewNode) -> None:
    path = kubelet.served(POD, ENVS)
    os.mkdir(path.parents[1], 0o700)  # noqa: PTH102
    (path.parents[1]).chmod(0o700)

    node().sweep(whole=True)

    assert stat.S_IMODE(path.parents[1].stat().st_mode) == 0o770
    assert path.parents[1].stat().st_uid == path.stat().st_uid


def test_what_became_of_the_files_is_counted(kubelet: Kubelet, node: NewNode) -> None:
    """One pod of each kind; of pods that are gone kubelet keeps the grants, and they want nothing."""
    kubelet.served(uid(1), ENVS)
    for number in range(2, 7):
        kubelet.allocate(uid(number), ENVS)
    kubelet.pod(uid(2))
    kubelet.volume(uid(3), name=PLUGINS)
    (kubelet.volume(uid(4), SIDECAR) / SIDECAR / "userdata").symlink_to("/etc")
    kubelet.pod(uid(5))
    kubelet.entries[4]["AllocResp"] = "!"
    kubelet.save()
    state = node()

    swept = state.sweep(whole=True)

    assert swept.pods == {"there": 1, "no-volume": 1, "awaited": 1, "failed": 1, "unread": 1}
    kubelet.volume(uid(6), SIDECAR)
    assert state.sweep(whole=True).pods == {"there": 2, "no-volume": 1, "awaited": 1, "failed": 1, "unread": 1}


def test_no_file_is_there_where_the_pods_cannot_be_looked_at(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    (kubelet.directory / "pods").rmdir()

    assert node().sweep(whole=True).pods == {"failed": 1}


def test_an_observer_counts_no_files(kubelet: Kubelet, node: NewNode) -> None:
    kubelet.served(POD, ENVS)

    assert node(writes=False).sweep(whole=True).pods is None
