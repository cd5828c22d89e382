"""The agent as a process: from kubelet's record to a file, through everything that happens to kubelet's directory."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from pathlib import Path

import grpc
import pytest

from tests.hooksidecar.agent.envfile import BOOT, ENVS, variables
from tests.hooksidecar.agent.kubelet import FILE, RESOURCE, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.podresources import PodResources, pod
from tests.hooksidecar.agent.process import AgentProcess, StartAgent, run
from tests.hooksidecar.sidecar import ROOT
from tests.hostdev.cli.running import MACHINES
from tests.hostdev.kubelet.recorded import ANSWERS
from tests.patience import PATIENCE, SOON

POD = uid(1)
QAT = str(ROOT / "tests" / "fixtures" / "machines" / "qat.toml")


SECRET = "correct-horse-battery-staple"  # noqa: S105  it must not be in the log


def test_a_pod_that_is_admitted_gets_its_file_and_loses_it(kubelet: Kubelet, start: StartAgent) -> None:
    kubelet.save()
    agent = start()
    # Kubelet's order: the record, the pod's directory, the volume, and each sidecar's folder when its turn comes.
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    time.sleep(0.1)
    kubelet.pod(POD)
    time.sleep(0.1)
    volume = kubelet.volume(POD)
    (volume / SIDECAR).mkdir()
    path = volume / SIDECAR / FILE
    agent.until(path.exists)
    assert variables(path) == ENVS
    assert not (volume / FILE).exists()

    kubelet.free(POD)
    kubelet.save()
    agent.until(lambda: not path.exists() and not (volume / FILE).exists())


def test_a_sidecar_that_comes_late_is_noticed(kubelet: Kubelet, start: StartAgent) -> None:
    kubelet.served(POD, ENVS)
    agent = start()
    volume = kubelet.directory / "pods" / POD / "volumes" / "kubernetes.io~empty-dir" / "hook-sidecar-sockets"
    for number in range(1, 6):
        (volume / f"hook-sidecar-{number}").mkdir()
        begun = time.monotonic()
        agent.until((volume / f"hook-sidecar-{number}" / FILE).exists)
        assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("replace", ["rename", "write", "passgate", "userdata"])
def test_the_agents_file_wins_at_once(kubelet: Kubelet, start: StartAgent, replace: str) -> None:
    """The admission policy's hook renames a file of its own into place, whenever its turn comes."""
    agent = start()
    path = kubelet.served(POD, ENVS)
    agent.until(path.exists)
    whole = path.read_bytes()
    for turn in range(5):
        time.sleep(0.05 * turn)
        if replace == "rename":
            (path.parent / "new").write_text("QAT0=0000:3d:02.7\n")
            (path.parent / "new").rename(path)
        elif replace == "write":
            path.unlink()
            path.write_text("QAT0=0000:3d:02.7\n")
        else:
            directory = next(parent for parent in path.parents if parent.name == replace)
            directory.rename(directory.with_name(f"old-{turn}"))
            path.parent.mkdir(parents=True)
            path.write_text("QAT0=0000:3d:02.7\n")
        begun = time.monotonic()
        agent.until(lambda: path.exists() and path.read_bytes() == whole)
        assert time.monotonic() - begun < SOON


@pytest.mark.parametrize("what", ["device-plugins", "pods", "."])
def test_kubelets_directories_are_made_anew(kubelet: Kubelet, start: StartAgent, what: str) -> None:
    agent = start()
    for turn in range(3):
        path = kubelet.directory / what
        path.rename(kubelet.directory.parent / f"old-{turn}")
        time.sleep(0.05 * turn)
        kubelet.start()
        kubelet.entries.clear()
        agent.until(kubelet.served(uid(turn + 10), ENVS).exists)


def test_a_record_that_comes_torn_and_then_whole(kubelet: Kubelet, start: StartAgent) -> None:
    agent = start()
    path = kubelet.served(POD, ENVS)
    agent.until(path.exists)
    kubelet.allocate(uid(2), ENVS)
    data = json.dumps(kubelet.document()).encode()
    other = kubelet.volume(uid(2), SIDECAR) / SIDECAR / FILE
    with kubelet.checkpoint.open("wb") as file:
        for at in range(0, len(data), 100):
            file.write(data[at : at + 100])
            file.flush()
            time.sleep(0.02)
    agent.until(other.exists)
    kubelet.replace(b"garbage")
    agent.until(lambda: agent.found("checkpoint-unreadable"))
    time.sleep(2.5)

    assert path.exists()
    assert len([line for line in agent.found("checkpoint-unreadable") if "garbage" in line["what"]]) == 0
    told = [line for line in agent.found("checkpoint-unreadable") if "line 1, column 1)" in line["what"]]
    assert len(told) == 1
    kubelet.save()
    agent.until(lambda: agent.said("finding gone"))


def test_a_record_of_an_earlier_boot(kubelet: Kubelet, start: StartAgent) -> None:
    kubelet.boot_id = BOOT
    path = kubelet.served(POD, ENVS)
    agent = start(host="/")
    agent.until(lambda: agent.found("record-of-earlier-boot"))
    assert not path.exists()

    kubelet.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kubelet.save()
    agent.until(path.exists)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_in_0_within_a_second(kubelet: Kubelet, start: StartAgent, number: signal.Signals) -> None:
    kubelet.served(POD, ENVS)
    agent = start()

    code, took = agent.end(number)

    assert code == 0
    assert took < SOON
    assert agent.said("stopped")


def test_a_signal_at_any_moment_of_its_start(kubelet: Kubelet) -> None:
    for moment in range(0, 400, 25):
        with AgentProcess(kubelet.directory) as agent:
            with pytest.raises(subprocess.TimeoutExpired):
                agent.process.wait(moment / 1000)
            code, took = agent.end()
            # Before Python runs a line of ours, a signal does what it does to any process.
            assert code in {0, -signal.SIGTERM}
            assert took < SOON


def test_without_inotify_it_looks_again_and_again(kubelet: Kubelet) -> None:
    code = (
        "import errno, sys; from hooksidecar.agent import main, watch\n"
        "from hostdev.printing.output import end_process\n"
        "def no(*_): raise OSError(errno.EMFILE, 'Too many open files')\n"
        "watch.Inotify.__init__ = no\n"
        "end_process(main.main(sys.argv[1:]))"
    )
    with AgentProcess(kubelet.directory, program=("-c", code)) as agent:
        agent.ready()
        path = kubelet.served(POD, ENVS)
        agent.until(path.exists)
        late = path.parents[3] / "hook-sidecar-1"
        late.mkdir()
        agent.until((late / FILE).exists)
        assert agent.said("no inotify: looking every second instead")


def test_what_it_writes_is_in_its_log_and_no_value_is(kubelet: Kubelet, start: StartAgent) -> None:
    agent = start("--log-level", "debug")
    path = kubelet.served(POD, {**ENVS, "TOKEN": SECRET})
    kubelet.allocate(uid(2), {"TOKEN": f"{SECRET}\0"})
    kubelet.save()
    agent.until(lambda: agent.found("checkpoint-entry-unreadable"))
    agent.until(lambda: agent.said("allocation written"))

    assert SECRET in path.read_text()
    assert [line["pod"] for line in agent.said("allocation written")] == [POD]
    assert SECRET not in agent.log_text()
    assert {line["component"] for line in agent.said("allocation written")} == {"passgate-agent"}


def test_podresources_is_asked_and_what_differs_is_told(kubelet: Kubelet, start: StartAgent) -> None:
    path = kubelet.served(POD, ENVS)
    with PodResources(kubelet.directory) as api:
        api.has(pod("vm-a", RESOURCE, "0000:3d:02.7"))
        agent = start()
        agent.until(path.exists)
        agent.until(lambda: agent.found("kubelet-disagrees"))
        assert not agent.found("podresources-unreachable")
        assert [line["subject"] for line in agent.found("kubelet-disagrees")] == ["pod vms/vm-a"]
        api.has(pod("vm-a", RESOURCE, "0000:3d:02.2"))
        kubelet.allocate(uid(9), {}, resource="x/y", ids=[])
        kubelet.save()
        agent.until(lambda: agent.said("finding gone"))


def test_a_start_beside_vms_that_run_is_no_disagreement(kubelet: Kubelet, start: StartAgent) -> None:
    with PodResources(kubelet.directory) as api:
        for number in range(20):
            kubelet.allocate(uid(number), ENVS, ids=[f"0000:3d:02.{number}"])
            kubelet.volume(uid(number), SIDECAR)
        kubelet.save()
        api.has(*(pod(f"vm-{number}", RESOURCE, f"0000:3d:02.{number}") for number in range(20)))
        agent = start()
        agent.until(lambda: api.asked >= 2)
        time.sleep(1.5)

    assert agent.found("kubelet-disagrees") == []


def test_vms_that_start_and_end_are_no_disagreement(kubelet: Kubelet, start: StartAgent) -> None:
    """Kubelet's order: the record, PodResources, the directory; at the end PodResources first, and the record last."""
    with PodResources(kubelet.directory) as api:
        agent = start()
        listed: list[bytes] = []
        for number in range(12):
            kubelet.allocate(uid(number), ENVS, ids=[f"0000:3d:02.{number}"])
            listed.append(pod(f"vm-{number}", RESOURCE, f"0000:3d:02.{number}"))
            api.has(*listed)
            time.sleep(0.05 * (number % 3))
            kubelet.save()
            time.sleep(0.1)
            kubelet.volume(uid(number), SIDECAR)
        # Completed pods keep their directory, deleted ones do not; kubelet keeps the record of both.
        api.has(*listed[:3])
        for number in range(6, 12):
            (kubelet.directory / "pods" / uid(number)).rename(kubelet.directory.parent / f"gone-{number}")
        time.sleep(3.0)
        # Away, and back with the same.
        api.status = grpc.StatusCode.UNAVAILABLE
        kubelet.allocate(uid(20), {}, ids=["x"], resource="x/y", container="other")
        kubelet.save()
        agent.until(lambda: agent.found("podresources-unreachable"))
        api.status = None
        kubelet.save()
        time.sleep(2.0)

    assert agent.found("kubelet-disagrees") == []


def test_what_dra_serves_is_told(kubelet: Kubelet, start: StartAgent) -> None:
    with PodResources(kubelet.directory) as api:
        api.answer = ANSWERS["dra-extended"]
        agent = start()
        (line, *_) = agent.until(lambda: agent.found("dra-serves-resource"))

    assert line["subject"] == "pod default/ext"
    assert "unit-0000-3d-00-0" in line["what"]


def test_what_the_metric_raises_is_in_the_log_with_the_device(start: StartAgent) -> None:
    agent = start("--listen", "127.0.0.1:0", host=str(MACHINES / "nvme-in-gpu-group.toml"))
    port = agent.said("serving metrics")[0]["port"]

    def counted() -> Counter[tuple[str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        found = re.findall(r'passgate_findings\{code="(.*)",severity="(.*)"\} (.*)', text)
        return Counter({(code, severity): int(float(count)) for code, severity, count in found})

    agent.until(lambda: counted()[("group-not-viable", "error")])
    logged = Counter((line["code"], line["level"]) for line in agent.said("finding"))
    assert logged == counted()
    assert {line["subject"] for line in agent.found("group-not-viable")} == {"0000:01:00.0", "0000:01:00.1"}


def test_a_node_without_an_iommu_can_be_told_to_be_one(start: StartAgent) -> None:
    machine = str(MACHINES / "no-iommu.toml")
    plain, told = start(host=machine), start("--expect", "no-iommu,vfio-module-missing", host=machine)
    plain.until(lambda: plain.found("no-iommu"))
    told.until(lambda: told.found("no-iommu"))

    assert {line["level"] for line in plain.found("no-iommu")} == {"error"}
    assert [line for line in told.said("finding") if line["level"] == "error"] == []


def test_a_node_where_no_device_plugin_ever_registered_is_a_state(kubelet: Kubelet, start: StartAgent) -> None:
    (kubelet.directory / "device-plugins" / "kubelet.sock").touch()
    agent = start()
    kubelet.save()
    agent.until(kubelet.served(POD, ENVS).exists)

    assert agent.found("checkpoint-unreadable") == []
    # That it was lost is none: kubelet gives the same devices away again.
    kubelet.checkpoint.unlink()
    agent.until(lambda: agent.found("checkpoint-unreadable"))


def test_no_podresources_is_told_once(kubelet: Kubelet, start: StartAgent) -> None:
    agent = start()
    for number in range(3):
        agent.until(kubelet.served(uid(number), ENVS).exists)
        time.sleep(0.2)

    assert len(agent.found("podresources-unreachable")) == 1


def test_its_faces(kubelet: Kubelet, start: StartAgent, tmp_path: Path) -> None:
    path = kubelet.served(POD, ENVS)
    socket = kubelet.directory.parent / "node.sock"
    faces = ("--listen", "127.0.0.1:0", "--node-hook-socket", str(socket), "--features-dir", str(tmp_path))
    agent = start(*faces, host=QAT)
    agent.until(path.exists)
    port = agent.said("serving metrics")[0]["port"]

    def page(name: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    assert page("healthz") == "ok\n"
    agent.until(lambda: 'passgate_allocation_files_total{outcome="written"} 1.0' in page("metrics"))
    agent.until(lambda: "passgate_devices{" in page("metrics"))
    agent.until(lambda: any(tmp_path.iterdir()))
    assert socket.is_socket()
    code, took = agent.end()
    assert (code, socket.exists()) == (0, False)
    assert took < SOON


def test_once(kubelet: Kubelet) -> None:
    path = kubelet.served(POD, ENVS)

    said = run("--once", "--host", "none", "--kubelet-dir", str(kubelet.directory))

    assert said.returncode == 0
    assert variables(path) == ENVS


def test_once_with_something_in_the_way(kubelet: Kubelet) -> None:
    path = kubelet.served(POD, ENVS)
    path.mkdir(parents=True)

    said = run("--once", "--host", "none", "--kubelet-dir", str(kubelet.directory))

    assert said.returncode == 1
    assert "drop-obstructed" in said.stderr


def test_once_without_a_record(kubelet: Kubelet) -> None:
    said = run("--once", "--host", "none", "--kubelet-dir", str(kubelet.directory))

    assert said.returncode == 4
    assert "checkpoint-unreadable" in said.stderr


def test_no_host(kubelet: Kubelet) -> None:
    said = run("--once", "--host", "/nowhere", "--kubelet-dir", str(kubelet.directory))

    assert said.returncode == 4
    assert "cannot open the directory" in said.stderr


def test_an_observer_writes_nothing(kubelet: Kubelet, start: StartAgent) -> None:
    path = kubelet.served(POD, ENVS)
    agent = start("--observe")
    kubelet.save()
    time.sleep(0.5)

    assert not path.parents[1].exists()
    assert agent.end()[0] == 0
