"""The metrics that the driver of resource claims serves, one row each."""

from __future__ import annotations

from hooksidecar.monitoring.metrics import BY_CODE, BY_UNIT_STATE, Kind, Label, Metric

FINDINGS = Metric(
    "passgate_claims_findings",
    Kind.GAUGE,
    title="Findings of the driver",
    help="Findings about what is offered, published and kept.",
    meaning="findings about what is offered, published and kept; the log has them in words",
    labels=BY_CODE,
)
UNITS = Metric(
    "passgate_claims_units",
    Kind.GAUGE,
    title="Units that are offered by claim",
    help="Units that are offered by claim, by whether they can be given and whether a claim holds them.",
    meaning=(
        "units that are offered by claim: `free`, `given` (a claim holds it), `unhealthy` (it cannot be given as it is "
        "now, and is in no slice), `given-unhealthy` (a claim holds it, and could not be given it again)"
    ),
    labels=BY_UNIT_STATE,
)
PREPARED = Metric(
    "passgate_claims_prepared",
    Kind.GAUGE,
    title="Claims that are prepared",
    help="Claims whose devices are prepared for pods.",
    meaning="claims whose devices are prepared for pods",
)
SLICES = Metric(
    "passgate_claims_slices",
    Kind.GAUGE,
    title="ResourceSlices",
    help="ResourceSlices of this driver and node, as the API server last told.",
    meaning="ResourceSlices of this driver and node, as the API server last told",
)
GENERATION = Metric(
    "passgate_claims_pool_generation",
    Kind.GAUGE,
    title="Generation of the pool",
    help="The generation of the pool that was published last.",
    meaning="the generation of the pool that was published last; it grows when more than one slice changes",
)
BEHIND = Metric(
    "passgate_claims_publish_behind_seconds",
    Kind.GAUGE,
    title="Slices behind what is offered",
    help="Seconds since the slices are not what is offered; 0 where they are.",
    meaning="seconds since the slices are not what is offered; 0 where they are",
    query="max(SERIES)",
    unit="s",
)
REGISTERED = Metric(
    "passgate_claims_registered",
    Kind.GAUGE,
    title="Drivers that kubelet knows",
    help="Whether kubelet knows the driver.",
    meaning="1 where kubelet knows the driver, 0 where it does not: pods with claims of it wait",
)
HOST_AGE = Metric(
    "passgate_claims_host_age_seconds",
    Kind.GAUGE,
    title="Age of what the driver knows of the host",
    help="Seconds since the host was last read whole.",
    meaning="seconds since the host was last read whole: a minute at most where all is well",
    query="max(SERIES)",
    unit="s",
)
CALLS = Metric(
    "passgate_claims_calls",
    Kind.COUNTER,
    title="Kubelet's calls about claims",
    help="Claims in kubelet's calls, by the call and how it ended.",
    meaning="claims in kubelet's calls `prepare` and `unprepare`, by how that ended: `done`, `refused` (see the log)",
    labels=(Label("call", ("prepare", "unprepare")), Label("outcome", ("done", "refused"))),
    of_vms=True,
)
API_ERRORS = Metric(
    "passgate_claims_api_errors",
    Kind.COUNTER,
    title="Publishing that the API server kept back",
    help="How often publishing came to nothing: the API server gave no usable answer, or refused.",
    meaning="how often publishing came to nothing: the API server gave no usable answer, or refused (the log says why)",
    query="sum(increase(SERIES[1h]))",
)
PREPARE_DURATION = Metric(
    "passgate_claims_prepare_duration_seconds",
    Kind.HISTOGRAM,
    title="Duration of prepares",
    help="How long it took to prepare a claim, or to refuse it.",
    meaning="how long it took to prepare a claim, or to refuse it; kubelet waits for 45 s",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 45.0),
    of_vms=True,
    unit="s",
)

CLAIM_METRICS = (
    *(FINDINGS, UNITS, PREPARED, SLICES, GENERATION, BEHIND, REGISTERED, HOST_AGE),
    *(CALLS, API_ERRORS, PREPARE_DURATION),
)
"""Every one, in the order in which they are served."""
