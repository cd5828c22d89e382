"""The double's claims: what a driver is asked and when, what its answers become, and what is said of it."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from hooksidecar.claims.source import ClaimRef, DeviceHealth, PreparedDevice
from tests.apiserver.lifecycle import allocate, claim_of, reserve
from tests.apiserver.storage import Storage
from tests.hooksidecar.claims.drivers import DRIVER, serving
from tests.kubelet import drastate
from tests.kubelet.claimnodes import PREPARE, UNDO, KubeletNode, prepared, told, with_claim
from tests.kubelet.cluster import StoredCluster, claim_object
from tests.kubelet.devicehealth import HEALTHY, UNHEALTHY
from tests.kubelet.pods import ClaimUse, ExtendedClaim, Pod
from tests.kubelet.times import QUICK
from tests.kubelet.wire import ASKS
from tests.patience import PATIENCE

# A pod's life.


def test_a_pod_has_what_the_driver_prepared(node: KubeletNode) -> None:
    node.start()
    pod = node.run("vm", "c")

    (asked,) = [one for one in node.kubelet.wire if one.call == PREPARE and one.kind == ASKS]
    assert asked.deadline == QUICK.claims
    assert node.answers.prepared == [ClaimRef("default", "uid-c", "c")]
    assert pod.container().environment == {"PCI_RESOURCE_GPU": "0000:3d:00.0"}

    node.kubelet.crash(pod)
    node.wait(lambda: pod.container().starts == 2, "it starts again")
    assert node.asked(PREPARE) == 1, "a container alone is no new sandbox"

    node.kubelet.delete(pod)
    node.wait(lambda: pod not in node.kubelet.pods, "it is gone")
    assert node.answers.undone == [ClaimRef("default", "uid-c", "c")]
    assert drastate.read(node.directory) == []


def test_a_pod_waits_for_its_driver(node: KubeletNode) -> None:
    node.start(driver=False)
    pod = node.pod("vm", "c")
    node.wait(lambda: pod.events)
    assert (pod.events[0].reason, pod.events[0].message) == (
        "FailedPrepareDynamicResources",
        "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver units.lab.dev is not registered",
    )
    assert (pod.phase, pod.container().state.reason) == ("Pending", "ContainerCreating")

    node.serve()

    node.wait(lambda: pod.running, "it runs")


def test_what_the_driver_says_is_in_the_event(node: KubeletNode) -> None:
    node.start()
    node.answers.answers["c"] = lambda: "unit 0000:3d:00.0: group 35 not viable"
    pod = node.pod("vm", "c")
    node.wait(lambda: pod.events)

    told = "Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed for "
    assert pod.events[0].message == f"{told}ResourceClaim c: unit 0000:3d:00.0: group 35 not viable"
    del node.answers.answers["c"]
    node.wait(lambda: pod.running, "it runs")


def test_a_claim_is_undone_after_its_last_pod(node: KubeletNode) -> None:
    node.start()
    first, second = node.run("first", "c"), node.run("second", "c")

    node.kubelet.delete(first)
    node.wait(lambda: first not in node.kubelet.pods)
    assert node.asked(UNDO) == 0

    node.kubelet.finish(second)
    node.wait(lambda: not node.kubelet.claims.infos, "what has ended uses nothing")
    assert {*node.answers.undone} == {ClaimRef("default", "uid-c", "c")}


def test_what_cannot_be_undone_holds_the_pod(node: KubeletNode) -> None:
    node.start()
    pod = node.run("vm", "c")
    node.answers.errors["c"] = lambda: "device is busy"

    node.kubelet.delete(pod)
    node.wait(lambda: node.asked(UNDO) == 3, "kubelet tries again")
    assert pod in node.kubelet.pods
    node.kubelet.restart()
    del node.answers.errors["c"]

    node.wait(lambda: pod not in node.kubelet.pods, "a kubelet after that goes on")


def test_a_claim_of_a_pod_that_was_removed_by_force_is_undone_when_the_driver_is_back(node: KubeletNode) -> None:
    node.start(driver=False)
    end = node.serve()
    pod = node.run("vm", "c")
    end()
    node.kubelet.delete(pod, force=True)
    node.cluster.remove("c")
    assert pod not in node.kubelet.pods

    node.serve()

    node.wait(lambda: node.answers.undone == [ClaimRef("default", "uid-c", "c")], "it is undone")


def test_a_pod_that_the_claim_is_not_reserved_for_gets_nothing(node: KubeletNode) -> None:
    node.start()
    node.run("vm", "c")
    other = with_claim("other")
    node.kubelet.create(other, bound=True)

    node.wait(lambda: other.events)
    assert other.events[0].message.endswith(f"pod other ({other.uid}) is not allowed to use ResourceClaim c (uid-c)")


def test_a_claim_of_the_same_name_waits_for_the_end_of_the_one_before(node: KubeletNode) -> None:
    node.start()
    pod = node.run("vm", "c")
    node.answers.errors["c"] = lambda: "device is busy"
    node.kubelet.delete(pod, force=True)
    other = with_claim("other")
    node.cluster.add(claim_object("c", "uid-c2", {"other": other.uid}, "gpu=u0", driver=DRIVER))
    node.unit("c2", u0="0000:3d:00.0")
    node.kubelet.create(other, bound=True)

    node.wait(lambda: other.events)
    assert "old ResourceClaim with same name c and different UID uid-c still exists" in other.events[0].message
    del node.answers.errors["c"]
    node.wait(lambda: other.running, "it runs")


def test_an_extended_resource_is_served_by_a_claim(node: KubeletNode) -> None:
    node.start()
    pod = Pod("vm", {"units.lab.dev/gpu": 1})
    pod.extended = ExtendedClaim("c", (("compute", "units.lab.dev/gpu", "container-0-request-0"),))
    node.answers.answers["c"] = lambda: [prepared("container-0-request-0", "c", "u0")]
    claim = claim_object("c", "uid-c", {"vm": pod.uid}, "container-0-request-0=u0", driver=DRIVER)
    node.cluster.add(claim)
    node.kubelet.create(pod, bound=True)

    node.wait(lambda: pod.running, "it runs")
    assert pod.container().environment == {"PCI_RESOURCE_GPU": "0000:3d:00.0"}
    assert pod.container().status == {}, "nothing of it stands in the pod's status"


def test_a_container_gets_the_requests_that_it_names(node: KubeletNode) -> None:
    node.start()
    node.answers.answers["c"] = lambda: [prepared("a", "c", "u0"), prepared("b", "c", "u1")]
    pod = node.pod("vm", "c", "a=u0", "b=u1", uses=(ClaimUse("gpu", "b"),))

    node.wait(lambda: pod.running, "it runs")
    assert pod.container().environment == {"PCI_RESOURCE_GPU": "0000:3e:00.0"}
    assert pod.container().status.keys() == {"claim:gpu/b"}


def test_claims_and_slices_are_those_of_the_api_server() -> None:
    storage = Storage()
    for name, node, driver in (("a", "vm", DRIVER), ("b", "vm", "other.example.com"), ("c", "other", DRIVER)):
        pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
        spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": []}
        storage.create("resourceslices", {"metadata": {"name": name}, "spec": spec})
    claim = storage.create("resourceclaims", claim_of("c", "gpu", "units"), "default")
    claim = allocate(storage, claim, [{"request": "gpu", "driver": DRIVER, "pool": "vm", "device": "u0"}])
    cluster = StoredCluster(storage, "vm")
    pod = with_claim("vm", "c")
    reserve(storage, claim, pod.name, pod.uid)

    found = cluster.find_claim("default", "c")
    assert found
    assert found["status"]["reservedFor"][0]["uid"] == pod.uid
    assert cluster.find_claim("default", "d") is None
    cluster.wipe_slices(DRIVER)
    assert [one["metadata"]["name"] for one in storage.select("resourceslices")] == ["b", "c"]
    cluster.wipe_slices()
    assert [one["metadata"]["name"] for one in storage.select("resourceslices")] == ["c"]


# CDI.


def waiting(node: KubeletNode, pod: Pod) -> str:
    node.wait(lambda: pod.container().state.message)
    return pod.container().state.message


def test_what_no_file_names_cannot_be_injected(node: KubeletNode) -> None:
    node.start()
    node.answers.answers["c"] = lambda: [PreparedDevice(("gpu",), "node", "u0", ("units.lab.dev/claim=none",))]
    pod = node.pod("vm", "c")

    assert waiting(node, pod) == (
        "failed to create containerd container: CDI device injection failed: "
        "unresolvable CDI devices units.lab.dev/claim=none"
    )
    assert pod.container().state.reason == "CreateContainerError"


def test_edits_of_a_file_come_once_and_its_devices_add_to_them(node: KubeletNode) -> None:
    node.start()
    dev = node.directory / "root/dev"
    (dev / "metadata").touch()
    devices = [
        {
            "name": f"uid-c-{name}",
            "containerEdits": {
                "deviceNodes": [{"path": f"/dev/{name}"}],
                "mounts": [{"hostPath": "/dev/metadata", "containerPath": f"/run/{name}", "options": ["ro", "bind"]}],
            },
        }
        for name in ("u0", "u1")
    ]
    whole = {"env": ["PCI_RESOURCE_GPU=0000:3d:00.0,0000:3e:00.0"], "deviceNodes": [{"path": "/dev/vfio"}]}
    node.cdi("c", {"cdiVersion": "0.6.0", "kind": f"{DRIVER}/claim", "devices": devices, "containerEdits": whole})
    node.answers.answers["c"] = lambda: [prepared("gpu", "c", "u0", "u1")]
    pod = node.pod("vm", "c")

    assert 'failed to stat CDI host device "/dev/vfio": no such file or directory' in waiting(node, pod)
    for name in ("vfio", "u0", "u1"):
        (dev / name).touch()

    node.wait(lambda: pod.running, "it runs")
    container = pod.container()
    assert container.environment == {"PCI_RESOURCE_GPU": "0000:3d:00.0,0000:3e:00.0"}
    assert [one.container_path for one in container.devices] == ["/dev/vfio", "/dev/u0", "/dev/u1"]
    assert {*container.devices} == {(path, path, "rwm") for path in ("/dev/vfio", "/dev/u0", "/dev/u1")}
    assert container.mounts == (("/run/u0", "/dev/metadata"), ("/run/u1", "/dev/metadata"))


def test_a_mount_that_is_not_there_ends_the_start(node: KubeletNode) -> None:
    node.start()
    edits = {"mounts": [{"hostPath": "/absent.json", "containerPath": "/run/m.json"}]}
    device = {"name": "uid-c-u0", "containerEdits": edits}
    node.cdi("c", {"cdiVersion": "0.6.0", "kind": f"{DRIVER}/claim", "devices": [device]})
    pod = node.pod("vm", "c")

    assert waiting(node, pod).startswith('error mounting "/absent.json" to rootfs at "/run/m.json"')


def test_a_file_that_is_none_is_passed_over(node: KubeletNode) -> None:
    node.start()
    directory = node.directory / "root/var/run/cdi"
    (directory / "a.json").write_text("{")
    (directory / "b.json").write_text('{"cdiVersion": "0.6.0", "kind": "x/y", "devices": []}')

    node.run("vm", "c")


# Drivers.


def begin_prepare(node: KubeletNode) -> tuple[Pod, threading.Event]:
    """A pod whose claim the driver has begun to prepare, and what lets it go on."""
    begun, goes_on = threading.Event(), threading.Event()

    def answer() -> list[PreparedDevice]:
        begun.set()
        goes_on.wait(PATIENCE)
        return [prepared("gpu", "c", "u0")]

    node.answers.answers["c"] = answer
    pod = node.pod("vm", "c")
    assert begun.wait(PATIENCE)
    return pod, goes_on


def test_of_two_processes_the_latest_is_asked_and_the_end_of_the_other_loses_nothing(node: KubeletNode) -> None:
    node.start(driver=False)
    end = node.serve()
    node.await_driver()
    first = node.kubelet.claims.drivers.find(DRIVER)
    node.serve()
    node.wait(lambda: node.kubelet.claims.drivers.find(DRIVER) is not first, "the second one is used")
    pod, goes_on = begin_prepare(node)
    end()
    goes_on.set()

    node.wait(lambda: pod.running, "it runs")
    assert node.asked(PREPARE) == 1
    assert node.cluster.wiped == [""], "at kubelet's start, and not since"


def test_an_end_waits_for_the_claim_that_is_being_prepared(node: KubeletNode) -> None:
    node.start(driver=False)
    end = node.serve()
    pod, goes_on = begin_prepare(node)
    ending = threading.Thread(target=end)
    ending.start()
    goes_on.set()

    node.wait(lambda: pod.running, "it runs")
    ending.join(PATIENCE)
    assert len(pod.events) <= 1, "at most that the driver was not known at first"


def test_a_kubelet_that_was_restarted_finds_the_driver(node: KubeletNode) -> None:
    node.start()
    node.run("vm", "c")
    node.kubelet.restart()

    node.await_driver()
    assert node.asked(PREPARE) == 1


def test_a_driver_that_speaks_another_version_is_told_which(node: KubeletNode) -> None:
    drivers = node.start().claims.drivers
    with pytest.raises(Exception, match="already registered for DRA driver plugin"):
        drivers.register(DRIVER, peer_socket(node), ["v1.DRAPlugin"])
    with pytest.raises(Exception, match="none of services supported by the plugin") as refused:
        drivers.validate(DRIVER, "/x.sock", ["v9.DRAPlugin"])
    assert str(refused.value).endswith(
        'supported by the plugin (["v9.DRAPlugin"]) are supported by the kubelet (["v1.DRAPlugin" "v1beta1.DRAPlugin"])'
    )


def peer_socket(node: KubeletNode) -> str:
    peer = node.kubelet.claims.drivers.find(DRIVER)
    assert peer
    return peer.socket


# Health.


def test_health_reaches_the_status_of_the_pod(node: KubeletNode) -> None:
    node.answers.health = [DeviceHealth("node", "u0", True)]
    node.start()
    pod = node.run("vm", "c")
    cdi = f"{DRIVER}/claim=uid-c-u0"
    node.wait(lambda: told(pod) == {cdi: HEALTHY})
    with ExitStack() as stack:
        stack.enter_context(serving(node.directory, node.answers))
        node.answers.health = [DeviceHealth("node", "u0", False, "AER fatal, link down")]
        node.wait(lambda: told(pod) == {cdi: UNHEALTHY}, "a process that comes tells it")
        assert pod.container().notes[cdi] == "AER fatal, link down"
    # Its end clears what kubelet was told by the other, which tells it again.
    node.wait(lambda: node.kubelet.claims.health.of(DRIVER, "node", "u0").health == UNHEALTHY)
