"""The node agent as a process: from the rename of kubelet's record to the file in a pod: `python -m bench.agent`."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.table import MILLISECOND, Goal, goals, show
from tests.hooksidecar.agent.kubelet import FILE, SIDECAR, Kubelet, uid
from tests.hooksidecar.agent.process import AgentProcess

PODS = (1, 50, 500)
TURNS = 200
BURSTS = 5
MOST_SECONDS = 20.0
MOST_TIMES_ONE, MOST_BURST = 3.0, 0.5
ENVS = {"PCIDEVICE_INTEL_COM_SRIOV": "0000:3b:02.1", "PCIDEVICE_INTEL_COM_SRIOV_INFO": '{"0000:3b:02.1": {}}'}


def run() -> Iterator[str]:
    """All of it."""
    yield f"  {'one pod more on a node with':<28} {'n':>4} {'p50':>10} {'p99':>10} {'memory':>12}"
    medians = {}
    for pods in PODS:
        with _node(pods) as (kubelet, agent):
            seconds = [_one_more(kubelet, pods + turn) for turn in range(TURNS)]
            medians[pods] = statistics.median(seconds)
            yield _line(f"{pods} pods", seconds, f"{agent.resident()} KiB")
    times = medians[PODS[-1]] / medians[PODS[0]]
    promise = f"with {PODS[-1]} pods at most {MOST_TIMES_ONE:.0f} times what it takes with {PODS[0]}"
    yield goals([Goal(promise, f"{times:.1f}", times <= MOST_TIMES_ONE)])
    yield ""
    yield f"  {'as many pods at once':<28} {'n':>4} {'p50':>10} {'last file'}"
    for pods in PODS:
        seconds = [_burst(pods) for _ in range(BURSTS)]
        last = statistics.median(seconds)
        yield f"  {f'{pods} pods':<28} {BURSTS:>4} {last * MILLISECOND:>7.2f} ms"
    yield goals([Goal(f"{PODS[-1]} at once in {MOST_BURST} s", f"{last:.2f} s", last <= MOST_BURST)])


@contextmanager
def _node(pods: int) -> Iterator[tuple[Kubelet, AgentProcess]]:
    """A node on which every pod has its file already."""
    base = Path(tempfile.mkdtemp(prefix="kl-"))
    kubelet = Kubelet(base / "kubelet")
    files = [_admitted(kubelet, number) for number in range(pods)]
    kubelet.save()
    try:
        with AgentProcess(kubelet.directory, "--log-level", "warning") as agent:
            for file in files:
                _wait_for(file)
            yield kubelet, agent
    finally:
        shutil.rmtree(base)


def _admitted(kubelet: Kubelet, number: int) -> Path:
    pod = uid(number)
    kubelet.allocate(pod, ENVS, resource="intel.com/sriov")
    return kubelet.volume(pod, SIDECAR) / SIDECAR / FILE


def _one_more(kubelet: Kubelet, number: int) -> float:
    """One pod comes, and goes again."""
    file = _admitted(kubelet, number)
    seconds = _wait_for(file, kubelet.save())
    kubelet.free(uid(number))
    kubelet.save()
    while file.exists():
        time.sleep(0.0002)
    return seconds


def _burst(pods: int) -> float:
    """All pods come at once, on a node that had one."""
    with _node(1) as (kubelet, _):
        files = [_admitted(kubelet, number) for number in range(1, pods + 1)]
        begun = kubelet.save()
        return max(_wait_for(file, begun) for file in files)


def _wait_for(file: Path, begun: float = 0.0) -> float:
    end = time.perf_counter() + MOST_SECONDS
    while not file.exists():
        if time.perf_counter() > end:
            raise TimeoutError(file)
        time.sleep(0.0002)
    return time.perf_counter() - begun


def _line(name: str, seconds: list[float], more: str) -> str:
    p50, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
    return f"  {name:<28} {len(seconds):>4} {p50 * MILLISECOND:>7.2f} ms {p99 * MILLISECOND:>7.2f} ms {more:>12}"


if __name__ == "__main__":
    show(run())
