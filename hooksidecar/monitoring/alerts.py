"""Alerts for Prometheus, one row each, and the PrometheusRule that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from domxml.finding import FindingKind, Severity
from hooksidecar.monitoring.claimmetrics import BEHIND, REGISTERED
from hooksidecar.monitoring.metrics import (
    FINDINGS,
    OFFER_RESOURCES,
    OFFER_UNITS,
    PODS,
    SOURCE_AGE,
    TARGET_LABELS,
    VITALS,
)
from hostdev.findings.claims import SLICES_BEHIND
from hostdev.findings.device import DEVICE_OFF_BUS, DEVICE_POWER_STUCK
from hostdev.findings.driver import REMOVAL_PENDING
from hostdev.findings.holders import (
    CHECKPOINT_ENTRY_UNREADABLE,
    CHECKPOINT_UNREADABLE,
    DROP_FAILED,
    DROP_OBSTRUCTED,
    GRANTED_TWICE,
    KUBELET_DISAGREES,
    PODRESOURCES_UNREACHABLE,
)
from hostdev.findings.nodestate import BAD_NODE_STATE, NODE_STATE_CONTESTED, NODE_STATE_DRIFTED
from hostdev.findings.offer import CLAIMS_UNREGISTERED
from hostdev.findings.platform import HOST_UNREADABLE
from hostdev.findings.vitals import KINDS as VITALS_KINDS

GROUP = "passgate"
JOB = 'job=~"(.+/)?passgate-agent"'
"""What the component `podmonitor` has Prometheus call the agents: with the namespace before it."""
PAGE = "docs/agent.md#alerts"
"""For what is no finding, because there is no agent to find it."""
OFFER_PAGE = "docs/offer.md#alerts"
OLD = 300
"""Seconds after which a source is old: each is read every 30 s, and a kubelet that starts anew takes less."""
BEHIND_LATELY = 60
"""Seconds that the slices may be behind: an API server restarts."""
LATELY = "1h"
"""How long units that are gone are missed; one that was taken out by intention, too."""
BOOT = "20m"
"""Longer than a server takes to boot, and a node to pull the image."""
STATE_FILE = "/etc/passgate/node-state.yaml"
"""Where the overlay `agent-manage` has the node state."""

EXPLAIN = "passgate explain"

TROUBLES = (
    *(DEVICE_OFF_BUS, DEVICE_POWER_STUCK, REMOVAL_PENDING),
    *(kind for kind in VITALS_KINDS if kind.severity is Severity.ERROR),
)
IN_TROUBLE = f"{VITALS.select(state='trouble')} > 0"

_ALL_UNITS = f"sum without (state) ({OFFER_UNITS.select()})"
_POD = "{{ $labels.pod }}"
_IN_NAMESPACE = "kubectl -n {{ $labels.namespace }}"
_NODE = "{{ $labels.node }}"
_LOG = f"{_IN_NAMESPACE} logs {_POD} | {EXPLAIN}"


class Alert(NamedTuple):
    """A rule; its series bring the labels `node`, `namespace` and `pod`, and of findings `code`."""

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    means: str
    commands: tuple[str, ...]
    """What to type, the first thing first."""
    page: str = "docs/findings/{{ $labels.code }}.md"
    labels: Mapping[str, str] = {}
    """What tells rules of one name apart."""


def select(*kinds: FindingKind) -> str:
    """The series of these findings, but for those that are as they should be on the node."""
    # What --expect names is told as info.
    return FINDINGS.select(code="|".join(kind.code for kind in kinds), severity="warning|error")


def _blind(source: str, kind: FindingKind, severity: str, what: str, *, in_part: bool = False) -> Alert:
    """A source that is old; with `in_part` also one that was read, but not all of it."""
    expr = f"{SOURCE_AGE.select(source=source)} > {OLD}"
    if in_part:
        expr = f"max by ({', '.join(sorted(TARGET_LABELS))}) ({expr} or {select(kind)} > 0)"
    return Alert(
        name="PassgateAgentBlind",
        expr=expr,
        wait="5m",
        severity=severity,
        summary=f"The agent of node {_NODE} cannot read {what}",
        means="It has been so for minutes, and what the agent tells of that is old. Its log says why.",
        commands=(_LOG,),
        page=f"docs/findings/{kind.code}.md",
        labels={"source": source},
    )


ALERTS = (
    Alert(
        name="PassgateDeviceDrifted",
        expr=f"{select(NODE_STATE_DRIFTED, NODE_STATE_CONTESTED)} > 0",
        wait="5m",
        severity="warning",
        summary=f"A device of node {_NODE} is not as its NodeState says",
        means="The agent could not bring it back, or something else changes it again.",
        commands=(f"{_IN_NAMESPACE} exec {_POD} -- passgate node state status {STATE_FILE} --node {_NODE}", _LOG),
    ),
    Alert(
        name="PassgateVmDeviceTrouble",
        # The finding beside the count says which page it is; where there is none that is known here, the count alone.
        expr=(
            f"{select(*TROUBLES)} > 0 and ignoring (code, severity, state) {IN_TROUBLE} "
            f"or ignoring (code, severity, state) {IN_TROUBLE}"
        ),
        wait="1m",
        severity="critical",
        summary=f"Something is wrong with a device that a VM on node {_NODE} has",
        means="It was seen twice, and is no matter of the guest alone. The VM has not been touched.",
        commands=(_LOG, f"{_IN_NAMESPACE} exec {_POD} -- passgate node vitals"),
        page="docs/findings/{{ with $labels.code }}{{ . }}{{ else }}README{{ end }}.md",
    ),
    Alert(
        name="PassgateUnitsGone",
        # Units that are not listed any more are in no state: the sum over all falls.
        expr=(
            f"{OFFER_UNITS.select(state='unhealthy|given-unhealthy')} > 0 or "
            f"{_ALL_UNITS} < max_over_time({_ALL_UNITS}[{LATELY}:1m])"
        ),
        wait="5m",
        severity="warning",
        summary=f"Node {_NODE} offers fewer units than its NodeState says, or than it did",
        means="Units cannot be given as they are now, or are gone. Pods keep what they have; new ones stay pending.",
        commands=(f"{_IN_NAMESPACE} exec {_POD} -- passgate node units -o wide", _LOG),
        page=OFFER_PAGE,
    ),
    Alert(
        name="PassgateOfferNotTaken",
        expr=f"{OFFER_RESOURCES.select(state='unregistered|foreign')} > 0",
        wait="2m",
        severity="critical",
        summary=f"Kubelet of node {_NODE} does not have the agent as the plugin of a resource",
        means="It took no registration, or another plugin has the name. Pods that ask for the resource fail for good.",
        commands=(_LOG, "kubectl describe node {{ $labels.node }}"),
        page=OFFER_PAGE,
    ),
    Alert(
        name="PassgateSlicesBehind",
        expr=f"{BEHIND.select()} > {BEHIND_LATELY}",
        wait="1m",
        severity="critical",
        summary=f"The ResourceSlices of node {_NODE} are not what the node has",
        means="The scheduler goes by what they said before. The driver cannot reach the API server, or is refused.",
        commands=(_LOG, f"kubectl get resourceslices --field-selector spec.nodeName={_NODE}"),
        page=f"docs/findings/{SLICES_BEHIND.code}.md",
    ),
    Alert(
        name="PassgateClaimsNotTaken",
        expr=f"{REGISTERED.select()} == 0",
        wait="2m",
        severity="critical",
        summary=f"Kubelet of node {_NODE} does not know the driver of resource claims",
        means="Pods with claims of it wait, and those that end stay in Terminating. What runs goes on.",
        commands=(_LOG,),
        page=f"docs/findings/{CLAIMS_UNREGISTERED.code}.md",
    ),
    Alert(
        name="PassgateSourcesDisagree",
        expr=f"{select(GRANTED_TWICE, KUBELET_DISAGREES)} > 0",
        wait="2m",
        severity="warning",
        summary=f"Sources do not agree who has a device of node {_NODE}",
        means="Two pods were promised one device, or kubelet's record and its API name different ones.",
        commands=(_LOG, f"{_IN_NAMESPACE} exec {_POD} -- passgate node who DEVICE -o wide"),
    ),
    Alert(
        name="PassgatePodWithoutFile",
        # Such findings come of other pods, too, and of files that are to go.
        expr=(
            f"{select(DROP_FAILED, DROP_OBSTRUCTED, CHECKPOINT_ENTRY_UNREADABLE)} > 0 "
            f"and ignoring (code, severity, file) {PODS.select(file='failed|partial|unread')} > 0"
        ),
        wait="2m",
        severity="warning",
        summary=f"A VM's pod on node {_NODE} has no allocation file, or not all of it",
        means="Its sidecar finds no device and refuses the start; a VM that runs goes on.",
        commands=(_LOG, "passgate why -n NAMESPACE VM"),
    ),
    _blind("host", HOST_UNREADABLE, "warning", "all of the host's devices", in_part=True),
    _blind("record", CHECKPOINT_UNREADABLE, "warning", "kubelet's record"),
    _blind("podresources", PODRESOURCES_UNREACHABLE, "info", "kubelet's PodResources API"),
    _blind("node-state", BAD_NODE_STATE, "warning", "its NodeState file"),
    Alert(
        name="PassgateAgentNotScraped",
        expr=f"up{{{JOB}}} == 0",
        wait=BOOT,
        severity="warning",
        summary=f"The agent of node {_NODE} does not answer Prometheus",
        means="It does not run, or is not let through: nothing is known of the devices of that node.",
        commands=(
            f"{_IN_NAMESPACE} describe pod {_POD}",
            f"{_IN_NAMESPACE} logs {_POD} --previous | {EXPLAIN}",
        ),
        page=PAGE,
    ),
    Alert(
        name="PassgateNoAgent",
        expr=f"absent(up{{{JOB}}})",
        wait=BOOT,
        severity="warning",
        summary="Prometheus knows of no agent of Passgate",
        means="The DaemonSet has no pods, or the PodMonitor is missing: nothing is known of any node's devices.",
        commands=(
            "kubectl get daemonsets,pods,podmonitors --all-namespaces --selector app.kubernetes.io/name=passgate",
        ),
        page=PAGE,
    ),
)


def rules() -> dict[str, Any]:
    """The groups of rules as Prometheus reads them from a file."""
    return {"groups": [{"name": GROUP, "rules": [_rule(alert) for alert in ALERTS]}]}


def prometheus_rule() -> dict[str, Any]:
    """The same as an object for the Prometheus operator."""
    labels = {"app.kubernetes.io/name": "passgate", "app.kubernetes.io/component": "agent"}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "passgate-agent", "namespace": "passgate", "labels": labels},
        "spec": rules(),
    }


def _rule(alert: Alert) -> dict[str, Any]:
    commands = "".join(f"\n  {command}" for command in alert.commands)
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity, **alert.labels},
        "annotations": {
            "summary": alert.summary,
            "description": f"{alert.means}\nType:{commands}",
            "runbook_url": alert.page,
        },
    }
