"""The metrics, read back with Prometheus' own parser; their names, their few labels, and nothing global."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import threading

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domxml.finding import Finding, Severity
from hooksidecar.agent.arrivals import Arrived
from hooksidecar.agent.metrics import Metrics
from hooksidecar.agent.pods import Sweep
from hooksidecar.monitoring.metrics import METRICS, SOURCES, SWEEPS, Kind
from hostdev.inventory.machine import Machine
from tests.hostdev.cli.running import MACHINES, ROOT, environment, machine
from tests.hostdev.holders.grants import grant

NOW = 1_800_000_000.0
POD = "0a1b2c3d-0000-4000-8000-123456789abc"
TWICE = Finding("granted-twice", Severity.ERROR, "0000:3b:02.1", f"is granted to pod {POD}")
EVERY_MACHINE = sorted(file.stem for file in MACHINES.glob("*.toml"))

TIMES = ("age", "duration", "timestamp")

Sample = tuple[str, frozenset[tuple[str, str]]]


def read(metrics: Metrics) -> dict[Sample, float]:
    """Every sample by name and labels; one that is there twice is a defect."""
    samples = [
        ((sample.name, frozenset(sample.labels.items())), sample.value)
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    ]
    assert len(samples) == len(dict(samples))
    return dict(samples)


def sample(name: str, **labels: str) -> Sample:
    return f"passgate_{name}", frozenset(labels.items())


def swept(*sweeps: Sweep) -> Metrics:
    metrics = Metrics(clock=lambda: NOW)
    for sweep in sweeps:
        metrics.swept(sweep)
    return metrics


def test_a_machine() -> None:
    told = read(swept(Sweep(machine=machine("two-socket-x710"))))

    assert told[sample("devices", role="vf", driver="vfio-pci")] == 12
    assert told[sample("devices", role="pf", driver="i40e")] == 4
    assert told[sample("devices", role="vf", driver="none")] == 2
    assert not any(("role", "bridge") in labels for _, labels in told)
    assert told[sample("iommu_groups", viable="yes")] == 14
    assert told[sample("iommu_groups", viable="no")] == 16
    assert told[sample("iommu_groups", viable="unknown")] == 0


def test_findings_are_those_of_the_sweep_and_no_others() -> None:
    """What is counted here is what the log has."""
    told = read(swept(Sweep(machine=machine("nvme-in-gpu-group"), findings=(TWICE, TWICE))))

    assert told[sample("findings", code="granted-twice", severity="error")] == 2
    assert len([name for name, _ in told if name == "passgate_findings"]) == 1


def test_a_finding_that_is_gone_is_gone() -> None:
    metrics = swept(Sweep(machine=machine("qat"), findings=(TWICE,)), Sweep(machine=machine("qat")))

    assert sample("findings", code="granted-twice", severity="error") not in read(metrics)


def test_counts_grow() -> None:
    sweep = Sweep(machine=Machine(), dropped=2, kept=5, removed=1, failed=0, seconds=0.02)
    told = read(swept(sweep, sweep, sweep._replace(failed=3, seconds=77.0)))

    counts = {outcome: told[sample("allocation_files_total", outcome=outcome)] for outcome in ("written", "kept")}
    assert counts == {"written": 6, "kept": 15}
    assert told[sample("allocation_files_total", outcome="removed")] == 3
    assert told[sample("allocation_files_total", outcome="failed")] == 3
    assert told[sample("sweep_duration_seconds_count")] == 3
    assert math.isclose(told[sample("sweep_duration_seconds_sum")], 77.04)
    assert told[sample("sweep_duration_seconds_bucket", le="0.01")] == 0
    assert told[sample("sweep_duration_seconds_bucket", le="0.025")] == 2
    assert told[sample("sweep_duration_seconds_bucket", le=str(SWEEPS.buckets[-1]))] == 2
    assert told[sample("sweep_duration_seconds_bucket", le="+Inf")] == 3


@pytest.mark.parametrize(
    ("sweep", "succeeded"),
    [(Sweep(machine=Machine()), True), (Sweep(), False), (Sweep(machine=Machine(), failed=1), False)],
)
def test_the_last_success(sweep: Sweep, succeeded: bool) -> None:  # noqa: FBT001
    told = read(swept(sweep))

    assert told.get(sample("sweep_last_success_timestamp_seconds")) == (NOW if succeeded else None)


def test_verdicts() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.answered("PreVMStart", "refused")
    metrics.answered("PreMigrationTarget", "passed")

    assert read(metrics)[sample("hook_verdicts_total", hook="PreVMStart", verdict="refused")] == 3
    assert read(metrics)[sample("hook_verdicts_total", hook="PreMigrationTarget", verdict="passed")] == 1


def test_what_runs_here() -> None:
    ((labels, value),) = [(dict(labels), value) for (name, labels), value in read(Metrics()).items() if "build" in name]

    assert value == 1
    assert labels["python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert labels["version"]


@pytest.mark.parametrize("name", EVERY_MACHINE)
def test_labels_are_few_and_name_nothing_of_a_host(name: str) -> None:
    """Addresses, pods and resources would be labels without end."""
    seen = machine(name)
    told = read(swept(Sweep(grants=(grant("0000:3b:02.1", pod=POD),), machine=seen, findings=(TWICE,))))
    values = {value for _, labels in told for _, value in labels}

    assert not [value for value in values if re.search(r"[0-9a-f]{2}:[0-9a-f]{2}|[0-9a-f]{8}-[0-9a-f]{4}", value)]
    assert len(told) < 80


def test_names_follow_the_conventions() -> None:
    metrics = swept(Sweep(machine=machine("qat"), findings=(TWICE,), seconds=1))
    metrics.answered("PreVMStart", "passed")
    for family in text_string_to_metric_families(metrics.text().decode()):
        assert re.fullmatch(r"passgate(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in {"gauge", "counter", "histogram"}
        # Of time Prometheus has seconds only, and what is counted says so.
        assert ("seconds" in family.name) is any(word in family.name for word in TIMES)
        assert {sample.name.endswith("_total") for sample in family.samples} == {family.type == "counter"}


def test_prometheus_own_linter_has_nothing_to_say() -> None:
    linter = shutil.which("promtool")
    if linter is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    metrics = swept(Sweep(machine=machine("qat"), findings=(TWICE,), seconds=1))
    metrics.answered("PreVMStart", "passed")
    said = subprocess.run([linter, "check", "metrics"], input=metrics.text(), capture_output=True, check=False)

    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_nothing_is_global() -> None:
    """A second one counts for itself, and the library's own registry does not know of either."""
    one, other = swept(Sweep(machine=Machine())), Metrics()
    one.answered("PreVMStart", "passed")

    assert b"hook_verdicts_total{" not in other.text()
    assert b"passgate" not in prometheus_client.generate_latest()


def test_a_scrape_during_sweeps_is_of_one_moment() -> None:
    """Where the gate's findings are cleared and counted anew, nobody sees them missing."""
    metrics = swept(Sweep(machine=machine("nvme-in-gpu-group")))
    ended = threading.Event()

    def sweep() -> None:
        machines = [machine("nvme-in-gpu-group"), machine("qat")]
        for _ in range(200):
            for one in machines:
                metrics.swept(Sweep(machine=one, dropped=1))
        ended.set()

    thread = threading.Thread(target=sweep)
    thread.start()
    scrapes = 0
    while not ended.is_set():
        told = read(metrics)
        groups = sum(value for (name, _), value in told.items() if name == "passgate_iommu_groups")
        assert groups in {len(machine("nvme-in-gpu-group").groups), len(machine("qat").groups)}
        assert sample("devices", role="vf", driver="vfio-pci") in told or groups != len(machine("qat").groups)
        scrapes += 1
    thread.join()

    assert scrapes


def test_the_sidecar_goes_without() -> None:
    """The library is the agent's alone."""
    code = "import hooksidecar.main, hooksidecar.server, sys; print('prometheus_client' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(), check=True, capture_output=True, text=True
    )

    assert said.stdout == "False\n"


def test_what_is_served_is_what_the_table_says() -> None:
    """The page, the alerts and the dashboard are made of it."""
    metrics = Metrics(ages=lambda: dict.fromkeys(SOURCES, 1.0))
    metrics.swept(Sweep(machine=machine("qat"), findings=(TWICE,), pods={"there": 1}))
    metrics.managed({}, {})
    metrics.offered({}, {}, {})
    metrics.arrived({"arrived": 1}, Arrived({5.0: 1}, 4.0))
    metrics.answered("PreVMStart", "passed")
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}

    for row in METRICS:
        family = families.pop(row.family if row.kind is Kind.INFO else row.name)
        assert (family.documentation, family.type) == (row.help, "gauge" if row.kind is Kind.INFO else row.kind)
        for label in row.labels:
            values = {sample.labels[label.name] for sample in family.samples}
            assert values <= {*label.values} if label.values else values
        assert {*row.label_names} == {name for sample in family.samples for name in sample.labels} - {"le"}
    assert not families


def test_pods_are_counted_where_files_are_written() -> None:
    assert not any(name == "passgate_pods" for name, _ in read(swept(Sweep())))

    told = read(swept(Sweep(pods={"failed": 2})))

    assert told[sample("pods", file="failed")] == 2
    assert told[sample("pods", file="there")] == 0


def test_the_offer_is_counted_where_there_is_one() -> None:
    metrics = swept(Sweep())
    assert not any(name.startswith("passgate_offer") for name, _ in read(metrics))

    metrics.offered({"free": 3, "given-unhealthy": 1}, {"registered": 2}, {"taken": 2, "ended": 1})
    found = read(metrics)

    assert found[sample("offer_units", state="free")] == 3
    assert found[sample("offer_units", state="unhealthy")] == 0
    assert found[sample("offer_resources", state="foreign")] == 0
    assert found[sample("offer_registrations_total", outcome="ended")] == 1


def test_node_state_is_counted_where_it_is_managed() -> None:
    metrics = swept(Sweep())
    assert not any(name.startswith("passgate_node_state") for name, _ in read(metrics))

    metrics.managed({"held": 3, "drifted": 1}, {"done": 2})
    found = read(metrics)

    assert found[sample("node_state", state="held")] == 3
    assert found[sample("node_state", state="waiting")] == 0
    assert found[sample("node_state_changes_total", outcome="done")] == 2
