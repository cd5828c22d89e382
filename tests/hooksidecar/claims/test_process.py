"""The driver as a process, beside doubles of the API server and of kubelet: what pods get whatever happens to it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hooksidecar.monitoring.claimmetrics import CLAIM_METRICS
from tests.apiserver.access import User
from tests.hooksidecar.agent.process import AgentProcess
from tests.hooksidecar.claims.cluster import DRIVER, NODE, RESOURCE, UNITS, VARIABLE, ClaimNode, claim_node
from tests.hooksidecar.httpclient import ask
from tests.kubelet.pods import Pod
from tests.kubelet.times import QUICK, REAL

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def node(kubelet_dir: Path) -> Iterator[ClaimNode]:
    with claim_node(kubelet_dir) as node:
        yield node


def run(node: ClaimNode, name: str) -> Pod:
    """A pod with the first device that no claim has."""
    taken = {path.read_text() for path in node.kubelet_dir.glob(f"plugins/{DRIVER}/claims/*.json")}
    device = next(one for one in node.devices() if not any(f'"{one}"' in text for text in taken))
    pod = node.pod(name, device)
    node.wait(lambda: pod.running, f"{name} runs")
    return pod


def page(process: AgentProcess, path: str) -> tuple[int, str]:
    (line,) = process.said("serving metrics")
    response, body = ask(line["port"], path)
    return response.status, body.decode()


def test_a_pods_life(node: ClaimNode) -> None:
    process = node.serve()
    node.await_driver()
    assert {one["spec"]["nodeName"] for one in node.slices()} == {NODE}

    pod = run(node, "vm1")

    assert pod.container().environment[VARIABLE].startswith("0000:3d:0")
    (record,) = (node.kubelet_dir / "plugins" / DRIVER / "claims").glob("*.json")
    assert json.loads(record.read_text())["units"][0]["resource"] == RESOURCE
    assert len(node.files()) == 3, "a record, a CDI file, and what the request's metadata are"
    process.until(lambda: 'passgate_claims_units{state="given"} 1.0' in page(process, "/metrics")[1])
    assert len(node.devices()) == UNITS, "what is held stays in the slices"

    node.end_pod(pod)

    assert node.files() == set()
    process.until(lambda: 'passgate_claims_units{state="given"} 0.0' in page(process, "/metrics")[1])
    text = page(process, "/metrics")[1]
    assert [one.name for one in CLAIM_METRICS if f"\n{one.family}" not in text] == []
    assert 'passgate_claims_calls_total{call="unprepare",outcome="done"} 1.0' in text
    assert page(process, "/readyz") == (200, "ok\n")


def test_an_api_server_that_is_away(node: ClaimNode) -> None:
    """At the start, and later: what is prepared is kept, and what is asked gets a sentence."""
    node.api.stop()
    process = node.serve()
    node.wait(lambda: node.kubelet.claims.drivers.is_connected(DRIVER))
    assert page(process, "/healthz") == (200, "ok\n"), "an end would mend nothing"
    # Kubelet knows the driver a moment before the driver hears of it.
    node.wait(lambda: "kubelet does not know the driver" not in page(process, "/readyz")[1])
    status, why = page(process, "/readyz")
    assert status == 503
    assert why.startswith("the slices are not published: ")

    node.api.start()
    node.await_driver()
    pod = run(node, "vm1")
    late = node.devices()[-1]
    node.api.always = None
    node.api.stop()
    node.kubelet.kill_sandbox(pod)
    node.wait(lambda: pod.container().starts == 2, "its sandbox is made again without the API server")
    node.api.start()
    other = node.pod("vm2", late)
    node.wait(lambda: other.running, "the next one has its device")


def test_a_token_that_is_replaced(node: ClaimNode) -> None:
    process = node.serve()
    node.await_driver()
    node.api.users = {"another-token": User("admin")}
    (node.account / "token").write_text("another-token")

    pod = run(node, "vm1")

    assert pod.running
    assert process.process.poll() is None


def test_what_kubelet_wipes_is_published_again(node: ClaimNode) -> None:
    node.serve()
    node.await_driver()
    before = {one["metadata"]["uid"] for one in node.slices()}

    node.kubelet.cluster.wipe_slices(DRIVER)

    node.wait(lambda: len(node.devices()) == UNITS, "it is published again")
    assert before.isdisjoint(one["metadata"]["uid"] for one in node.slices())


def test_a_file_that_changes_changes_the_slices(node: ClaimNode) -> None:
    """It is read every ten seconds."""
    node.serve()
    node.await_driver()

    node.state.write_text(node.state.read_text().replace("by: claim", "by: claim\n    limit: 3"))

    node.wait(lambda: len(node.devices()) == 3, "the limit is published")


def test_a_rollout(node: ClaimNode) -> None:
    """The new process comes before the old one ends: no pod waits, and no slice goes."""
    old = node.serve()
    node.await_driver()
    pod = run(node, "vm1")
    slices = {one["metadata"]["uid"] for one in node.slices()}
    new = node.serve()
    new.until(lambda: new.said("registered"))

    assert old.end()[0] == 0

    run(node, "vm2")
    node.end_pod(pod)
    node.wait(lambda: len(node.devices()) == UNITS)
    assert {one["metadata"]["uid"] for one in node.slices()} == slices
    assert new.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_its_end_takes_nothing_from_pods(kubelet_dir: Path, number: signal.Signals) -> None:
    with claim_node(kubelet_dir, QUICK._replace(wipe=REAL.wipe)) as node:
        _end_and_go_on(node, number)


def _end_and_go_on(node: ClaimNode, number: signal.Signals) -> None:
    process = node.serve()
    node.await_driver()
    pod = run(node, "vm1")
    kept = node.files()

    code, seconds = process.end(number)

    assert code == (0 if number is signal.SIGTERM else -number)
    assert seconds < 20.0
    assert pod.running
    assert node.files() == kept
    assert node.api.storage.select("resourceslices"), "kubelet takes them away, if no process comes"

    node.kubelet.delete(pod)
    node.serve()
    node.wait(lambda: pod not in node.kubelet.pods, "the next process undoes what the first one did")
    assert node.files() == set()
    node.await_driver()


def test_a_pod_that_waits_for_the_driver_gets_its_device(node: ClaimNode) -> None:
    process = node.serve()
    node.await_driver()
    device = node.devices()[0]
    process.end(signal.SIGKILL)
    pod = node.pod("vm1", device)
    node.wait(lambda: any("not registered" in event.message or "dra" in event.message for event in pod.events))

    begun = time.monotonic()
    node.serve()

    node.wait(lambda: pod.running, f"it runs, after {time.monotonic() - begun:.0f} s")
