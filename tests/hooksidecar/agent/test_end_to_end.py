"""From kubelet's record to a domain with the device in it: the real agent, the real sidecar, nothing in between."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.domxml.domains import load
from tests.hooksidecar.agent.kubelet import FILE, PLUGINS, RESOURCE, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import StartAgent
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.sidecar import Sidecar
from tests.otheruser import skip_unless_readable

POD = uid(1)
ENVS = {"QAT0": "0000:3d:02.2"}
USER = 107
ASKED = json.dumps([{"resource": RESOURCE, "name": "qat"}])
VMI = json.dumps(
    {
        "kind": "VirtualMachineInstance",
        "metadata": {"name": "crypto", "namespace": "vms", "annotations": {"passgate.dev/devices": ASKED}},
        "spec": {"domain": {"resources": {"limits": {RESOURCE: "1"}}}},
    }
).encode()


@contextmanager
def sidecar(mount: Path, place: Path, *flags: str) -> Iterator[Sidecar]:
    """As in its container: the folder is mounted at a short path, and the process is the VM's user."""
    place.symlink_to(mount)
    running = Sidecar(place, "", "--host", "none", *flags)
    if os.geteuid() == 0:
        skip_unless_readable()
        running.command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *running.command]
    with running:
        yield running


def folder(kubelet: Kubelet, name: str, volume: Path) -> Path:
    """As kubelet makes it when the container is about to start."""
    path = volume / name
    path.mkdir()
    path.chmod(0o2777)
    kubelet.directory.parent.chmod(0o755)
    return path


def test_a_sidecar_of_its_own_user_injects_what_kubelet_gave(kubelet: Kubelet, start: StartAgent) -> None:
    start()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    mount = folder(kubelet, SIDECAR, kubelet.volume(POD))

    with sidecar(mount, kubelet.directory.parent / "m") as running:
        answer = running.ready().define(load("q35-default"), VMI)

    assert b"ua-passgate-qat" in answer
    assert b'bus="0x3d" slot="0x02" function="0x2"' in answer.replace(b"'", b'"')


@pytest.mark.parametrize(("wanted", "function"), [("sym", "1"), ("dc", "2")])
def test_of_two_resources_of_a_family_each_gets_its_own(
    kubelet: Kubelet, start: StartAgent, wanted: str, function: str
) -> None:
    """Both plugins say QAT0, and kubelet keeps one of them."""
    start()
    kubelet.allocate(POD, {"QAT0": "0000:3d:02.1"}, resource="qat.intel.com/sym")
    kubelet.allocate(POD, {"QAT0": "0000:3d:02.2"}, resource="qat.intel.com/dc")
    kubelet.save()
    mount = folder(kubelet, SIDECAR, kubelet.volume(POD))
    vmi = json.loads(VMI)
    vmi["metadata"]["annotations"]["passgate.dev/devices"] = json.dumps([{"resource": f"qat.intel.com/{wanted}"}])
    vmi["spec"]["domain"]["resources"]["limits"] = {"qat.intel.com/sym": "1", "qat.intel.com/dc": "1"}

    with sidecar(mount, kubelet.directory.parent / "m") as running:
        answer = running.ready().define(load("q35-default"), json.dumps(vmi).encode()).replace(b"'", b'"')

    assert answer.count(b"ua-passgate-") == 1
    assert f'bus="0x3d" slot="0x02" function="0x{function}"'.encode() in answer


def test_before_kubevirt_1_6(kubelet: Kubelet, start: StartAgent) -> None:
    start()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    volume = kubelet.volume(POD)
    kubelet.directory.parent.chmod(0o755)

    with sidecar(volume, kubelet.directory.parent / "m") as running:
        assert b"ua-passgate-qat" in running.ready().define(load("q35-default"), VMI)


def test_a_sidecar_of_a_plugin(kubelet: Kubelet, start: StartAgent) -> None:
    start()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    mount = folder(kubelet, "passgate", kubelet.volume(POD, name=PLUGINS))
    place = kubelet.directory.parent / "m"

    with sidecar(mount, place, "--mode", "plugin", "--plugin-socket", f"{place}/domain.sock") as running:
        running.path = place / "domain.sock"
        running.ready()
        answer = Client(str(running.path)).mutate(load("q35-default"), vmi=VMI)

    assert b"ua-passgate-qat" in answer


def test_an_allocation_that_comes_after_the_first_call(kubelet: Kubelet, start: StartAgent) -> None:
    """KubeVirt asks again; a call that may wait is answered at once."""
    start()
    mount = folder(kubelet, SIDECAR, kubelet.volume(POD))
    with sidecar(mount, kubelet.directory.parent / "m", "--wait", "1") as running:
        client = running.ready()
        with pytest.raises(Failed, match="allocation-missing"):
            client.define(load("q35-default"), VMI)
        kubelet.allocate(POD, ENVS)
        kubelet.save()
        assert b"ua-passgate-qat" in client.define(load("q35-default"), VMI)


def test_nobody_else_can_read_it(kubelet: Kubelet, start: StartAgent) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to become another user")
    agent = start()
    kubelet.allocate(POD, ENVS)
    kubelet.save()
    path = folder(kubelet, SIDECAR, kubelet.volume(POD)) / FILE
    agent.until(path.exists)

    def read(user: int, group: int) -> int:
        words = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "cat", str(path)]
        return subprocess.run(words, capture_output=True, check=False).returncode

    assert read(USER, USER) == 0
    assert read(1000, 1000) != 0
    assert read(1000, USER) != 0
