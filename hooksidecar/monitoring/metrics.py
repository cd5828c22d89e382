"""The metrics that the agent serves, one row each; its output, docs/agent.md, the alerts and the dashboard follow."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The types of Prometheus that are used."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


SUFFIXES = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
"""What Prometheus' client writes behind the name."""


TARGET_LABELS = frozenset({"namespace", "node", "pod"})
"""What Prometheus adds to each series, by the component `podmonitor`."""


class Label(NamedTuple):
    """A label, and the values it may have: few, and none that names a device or a pod."""

    name: str
    values: tuple[str, ...] = ()
    """All of them; empty where they are not known beforehand."""


class Metric(NamedTuple):
    """A metric; of a histogram the buckets are in seconds."""

    name: str
    kind: Kind
    title: str
    """Over its panel in the dashboard."""
    help: str
    meaning: str
    """In docs/agent.md, as Markdown."""
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    of_vms: bool = False
    """Whether it tells of VMs rather than of the node."""
    query: str = ""
    """How a panel asks for it, with SERIES in it, where that is not by its kind."""
    unit: str = "none"
    """Of the panel, in Grafana's words."""

    @property
    def family(self) -> str:
        """The name as the agent serves it and documents have it."""
        return self.name + SUFFIXES.get(self.kind, "")

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def bucket(self, value: float) -> float:
        """The limit of the bucket that a value is in."""
        return next((limit for limit in self.buckets if value <= limit), float("inf"))

    def select(self, series: str = "", **patterns: str) -> str:
        """A selector for Prometheus of the series whose labels fit."""
        if unknown := patterns.keys() - {*self.label_names, *TARGET_LABELS}:
            raise ValueError(f"{self.name} has no label {min(unknown)}")
        name = self.name + (series or SUFFIXES.get(self.kind, ""))
        fits = (f'{label}{"=~" if set(pattern) & set("|$") else "="}"{pattern}"' for label, pattern in patterns.items())
        return f"{name}{{{','.join(fits)}}}" if patterns else name


BY_CODE = (Label("code"), Label("severity", ("info", "warning", "error")))
BY_UNIT_STATE = (Label("state", ("free", "given", "unhealthy", "given-unhealthy")),)
SOURCES = ("host", "record", "podresources", "node-state")

BUILD = Metric(
    "passgate_build",
    Kind.INFO,
    title="Agents by version",
    help="The passgate that runs here.",
    meaning="what runs here; always 1",
    labels=(Label("version"), Label("python_version")),
    query="count by (version) (SERIES)",
)
DEVICES = Metric(
    "passgate_devices",
    Kind.GAUGE,
    title="PCI functions by driver",
    help="PCI functions other than bridges.",
    meaning="PCI functions other than bridges; the role is `endpoint`, `pf` or `vf`, the driver may be `none`",
    labels=(Label("role", ("endpoint", "pf", "vf")), Label("driver")),
)
GROUPS = Metric(
    "passgate_iommu_groups",
    Kind.GAUGE,
    title="IOMMU groups that a VM can have",
    help="IOMMU groups by whether a VM can have them.",
    meaning=(
        "IOMMU groups by whether a VM can have them: `yes`, `no` (also where there is nothing in them for a VM), "
        "`unknown`"
    ),
    labels=(Label("viable", ("yes", "no", "unknown")),),
)
FINDINGS = Metric(
    "passgate_findings",
    Kind.GAUGE,
    title="Findings",
    help="Findings about the host, its devices on vfio drivers, and what kubelet granted.",
    meaning="findings about the host, about its devices on vfio drivers, and about what kubelet granted",
    labels=BY_CODE,
)
SOURCE_AGE = Metric(
    "passgate_source_age_seconds",
    Kind.GAUGE,
    title="Age of what the agent goes by",
    help="Seconds since a source was last read whole, or since the agent began if it never was.",
    meaning=(
        "seconds since a source was last read whole, or since the agent began if it never was: `host` (/sys, with "
        "`--host=none` left out), `record` (kubelet's checkpoint), `podresources` (kubelet's API), and with `--manage` "
        "`node-state` (the file)"
    ),
    labels=(Label("source", SOURCES),),
    query="max by (source) (SERIES)",
    unit="s",
)
PODS = Metric(
    "passgate_pods",
    Kind.GAUGE,
    title="Pods with devices, by their allocation file",
    help="Pods with devices of a VM, by what became of their allocation file.",
    meaning=(
        "pods with devices of a VM, by what became of their allocation file: `there`, `partial` (not all fits in), "
        "`awaited` (not looked at yet, or its folder is still to come), `no-volume` (no sidecar, or kubelet has not "
        "made its volume yet), `failed`, `unread` (what kubelet wrote down of the pod cannot be read whole); with "
        "`--observe` left out"
    ),
    labels=(Label("file", ("there", "partial", "awaited", "no-volume", "failed", "unread")),),
    of_vms=True,
)
FILES = Metric(
    "passgate_allocation_files",
    Kind.COUNTER,
    title="Allocation files",
    help="Allocation files of pods by what a sweep did with them.",
    meaning="allocation files of pods by what a sweep did with them: `written`, `kept`, `removed`, `failed`",
    labels=(Label("outcome", ("written", "kept", "removed", "failed")),),
    of_vms=True,
)
VERDICTS = Metric(
    "passgate_hook_verdicts",
    Kind.COUNTER,
    title="Answers to KubeVirt's node hooks",
    help="Answers to KubeVirt's node hooks.",
    meaning="answers to KubeVirt's node hooks",
    labels=(Label("hook"), Label("verdict")),
    of_vms=True,
)
VITALS = Metric(
    "passgate_device_vitals",
    Kind.GAUGE,
    title="Devices of VMs, by whether they arrived",
    help="Devices that kubelet gave to VMs, by what the host sees of them in their guests.",
    meaning=(
        "devices that kubelet gave to VMs, by what the host sees of them ([docs/vitals.md](vitals.md)): `arrived`, "
        "`not-yet`, `no-sign`, `trouble`, `not-held` (no VM has it open, yet or any more), `unknown`"
    ),
    labels=(Label("state", ("arrived", "not-yet", "no-sign", "trouble", "not-held", "unknown")),),
    of_vms=True,
)
ARRIVAL = Metric(
    "passgate_device_arrival_seconds",
    Kind.HISTOGRAM,
    title="From the start of a VM to a driver in its guest",
    help="How long it took until a driver in the guest had set up interrupts of a device.",
    meaning="from the moment that a VM has a device open until a driver in the guest has set up its interrupts",
    buckets=(1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0),
    of_vms=True,
    unit="s",
)
NODE_STATE = Metric(
    "passgate_node_state",
    Kind.GAUGE,
    title="Declared node state",
    help="Entries of the declared node state, by how they stand.",
    meaning=(
        "with `--manage`: entries of the node state by how they stand, `held`, `drifted`, `waiting`, `refused`, "
        "`unknown`"
    ),
    labels=(Label("state", ("held", "drifted", "waiting", "refused", "unknown")),),
)
CHANGES = Metric(
    "passgate_node_state_changes",
    Kind.COUNTER,
    title="Changes made for the node state",
    help="Changes made for the declared node state, by how they ended.",
    meaning="with `--manage`: changes made for it: `done`, `refused`, `undone`, `stuck`, `pending`",
    labels=(Label("outcome", ("done", "refused", "undone", "stuck", "pending")),),
)
OFFER_UNITS = Metric(
    "passgate_offer_units",
    Kind.GAUGE,
    title="Units that are offered",
    help="Units that are offered to kubelet, by whether they can be given and whether a pod has them.",
    meaning=(
        "with `--offer`: units that are offered to kubelet: `free`, `given` (a pod has it), `unhealthy` (it cannot be "
        "given as it is now), `given-unhealthy` (a pod has it, and could not be given it again)"
    ),
    labels=BY_UNIT_STATE,
)
OFFER_RESOURCES = Metric(
    "passgate_offer_resources",
    Kind.GAUGE,
    title="Resources that are offered",
    help="Resources that are offered to kubelet, by whether it has taken them.",
    meaning=(
        "with `--offer`: resources of the node state, by whether kubelet has taken them: `registered`, `unregistered`, "
        "`foreign` (another plugin has the name)"
    ),
    labels=(Label("state", ("registered", "unregistered", "foreign")),),
)
OFFER_REGISTRATIONS = Metric(
    "passgate_offer_registrations",
    Kind.COUNTER,
    title="Registrations with kubelet",
    help="Registrations of device plugins with kubelet, by how they ended.",
    meaning=(
        "with `--offer`: registrations with kubelet: `taken`, `refused`, `ended` (kubelet ended one that was taken: it "
        "was restarted, or another plugin came)"
    ),
    labels=(Label("outcome", ("taken", "refused", "ended")),),
)
SWEEPS = Metric(
    "passgate_sweep_duration_seconds",
    Kind.HISTOGRAM,
    title="Duration of sweeps",
    help="How long sweeps took.",
    meaning="how long sweeps took",
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    unit="s",
)
LAST_SUCCESS = Metric(
    "passgate_sweep_last_success_timestamp_seconds",
    Kind.GAUGE,
    title="Time since a sweep left nothing undone",
    help="When a sweep last saw the host and left no file undone.",
    meaning="when a sweep last saw the host and left no file undone",
    query="time() - min(SERIES)",
    unit="s",
)

METRICS = (
    *(BUILD, DEVICES, GROUPS, FINDINGS, SOURCE_AGE, PODS, FILES, VERDICTS, VITALS, ARRIVAL, NODE_STATE, CHANGES),
    *(OFFER_UNITS, OFFER_RESOURCES, OFFER_REGISTRATIONS, SWEEPS, LAST_SUCCESS),
)
"""Every metric, in the order in which they are served."""
