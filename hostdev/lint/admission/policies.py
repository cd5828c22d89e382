"""What KubeVirt refuses of annotations, labels, names, probes, credentials and policies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from hostdev.findings.admission import GATE_CLOSED, POLICY_REFUSED
from hostdev.findings.spec import SIDECAR_GATE
from hostdev.lint.admission.interfaces import has_pod_network
from hostdev.lint.admission.releases import since
from hostdev.lint.admission.rule import EMPTY, Hit, Rule, Subject, at, gate_rule

HOOKS = "hooks.kubevirt.io/hookSidecars"
_IGNITION = "kubevirt.io/ignitiondata"
_RESERVED = frozenset(
    f"kubevirt.io/{name}"
    for name in (
        *("nodeName", "schedulable", "created-by", "migrationJobUID", "migrationTargetNodeName"),
        *("migration-target-node-name", "install-strategy-version", "install-strategy-registry"),
        *("install-strategy-identifier", "install-strategy"),
    )
)
_EVICTIONS = ("LiveMigrate", "LiveMigrateIfPossible", "None", "External")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_PROBES = ("livenessProbe", "readinessProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "guestAgentPing")


def is_subdomain(text: str) -> bool:
    """Whether a text can be a name in Kubernetes."""
    return _SUBDOMAIN.fullmatch(text) is not None


def _annotations(subject: Subject) -> Any:
    found = subject.metadata.get("annotations")
    return found if isinstance(found, dict) else EMPTY


def _hooks(subject: Subject) -> Iterator[Hit]:
    if _annotations(subject).get(HOOKS):
        yield f"metadata.annotations[{HOOKS}]", {}


def _ignition(subject: Subject) -> Iterator[Hit]:
    if _annotations(subject).get(_IGNITION):
        yield f"metadata.annotations[{_IGNITION}]", {}


def _reserved_labels(subject: Subject) -> Iterator[Hit]:
    labels = subject.metadata.get("labels")
    for label in sorted(_RESERVED & labels.keys()) if isinstance(labels, dict) else ():
        yield f"metadata.labels[{label}]", {"label": label}


def _eviction(subject: Subject) -> Iterator[Hit]:
    strategy = subject.at("evictionStrategy")
    if strategy and strategy not in _EVICTIONS:
        yield "evictionStrategy", {"strategy": strategy, "strategies": ", ".join(_EVICTIONS)}


def _start(subject: Subject) -> Iterator[Hit]:
    strategy = subject.at("startStrategy")
    if strategy and strategy != "Paused":
        yield "startStrategy", {"strategy": strategy}


def _paused_and_probed(subject: Subject) -> Iterator[Hit]:
    if subject.at("startStrategy") == "Paused" and subject.at("livenessProbe") is not None:
        yield "startStrategy", {}


def _hostname(subject: Subject) -> Iterator[Hit]:
    name = subject.at("hostname")
    if name and not _LABEL.fullmatch(name):
        yield "hostname", {"name": name}


def _subdomain(subject: Subject) -> Iterator[Hit]:
    name = subject.at("subdomain")
    if name and not is_subdomain(name):
        yield "subdomain", {"name": name}


def _no_resolver(subject: Subject) -> Iterator[Hit]:
    if subject.at("dnsPolicy") == "None" and not subject.at("dnsConfig.nameservers"):
        yield "dnsConfig", {}


def _resolvers(subject: Subject) -> Iterator[Hit]:
    for index, server in enumerate(subject.at("dnsConfig.nameservers") or ()):
        if not _is_address(server):
            yield f"dnsConfig.nameservers[{index}]", {"server": server}


def _many_resolvers(subject: Subject) -> Iterator[Hit]:
    if len(subject.at("dnsConfig.nameservers") or ()) > 3:
        yield "dnsConfig.nameservers[3]", {}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _handlers(subject: Subject) -> Iterator[Hit]:
    for probe in _PROBES:
        written = subject.at(probe)
        if written is not None and sum(handler in written for handler in _HANDLERS) != 1:
            yield probe, {"probe": probe}


def _probe_without_network(subject: Subject) -> Iterator[Hit]:
    for probe in _PROBES:
        for handler in ("httpGet", "tcpSocket"):
            if subject.at(f"{probe}.{handler}") is not None and not has_pod_network(subject):
                yield f"{probe}.{handler}", {}


def _skew(subject: Subject) -> Iterator[Hit]:
    for place, constraint in subject.each("topologySpreadConstraints"):
        if (constraint.get("maxSkew") or 0) <= 0:
            yield f"{place}.maxSkew", {}


def _credentials(subject: Subject) -> Iterator[Hit]:
    for place, credential in subject.each("accessCredentials"):
        kinds = [kind for kind in ("sshPublicKey", "userPassword") if kind in credential]
        if len(kinds) != 1:
            yield place, {"what": "access credential type"}
            continue
        inner = credential[kinds[0]]
        for key, what in (("source", "source"), ("propagationMethod", "propagation method")):
            if len(at(inner, key) or ()) != 1:
                yield f"{place}.{kinds[0]}.{key}", {"what": what}


def _credentials_without_volume(subject: Subject) -> Iterator[Hit]:
    volumes = {"noCloud": "cloudInitNoCloud", "configDrive": "cloudInitConfigDrive"}
    for place, credential in subject.each("accessCredentials"):
        method = at(credential, "sshPublicKey.propagationMethod") or EMPTY
        for key, source in volumes.items():
            if key in method and not any(source in volume for _, volume in subject.each("volumes")):
                yield f"{place}.sshPublicKey.propagationMethod.{key}", {"source": source}


def _credentials_without_users(subject: Subject) -> Iterator[Hit]:
    for place, credential in subject.each("accessCredentials"):
        agent = at(credential, "sshPublicKey.propagationMethod.qemuGuestAgent")
        if agent is not None and not agent.get("users"):
            yield f"{place}.sshPublicKey.propagationMethod.qemuGuestAgent.users", {}


def _account(subject: Subject) -> Iterator[Hit]:
    name = subject.at("serviceAccountName")
    if name and not is_subdomain(name):
        yield "serviceAccountName", {"name": name}


def _two_accounts(subject: Subject) -> Iterator[Hit]:
    name = subject.at("serviceAccountName")
    for place, volume in subject.each("volumes"):
        other = at(volume, "serviceAccount.serviceAccountName")
        if name and other and other != name:
            yield f"{place}.serviceAccount.serviceAccountName", {"name": name, "other": other}


RULES = (
    gate_rule(SIDECAR_GATE, _hooks, "Sidecar",
          "sidecar feature gate is not enabled in kubevirt-config"),
    gate_rule(GATE_CLOSED, _ignition, "ExperimentalIgnitionSupport",
          "ExperimentalIgnitionSupport feature gate is not enabled in kubevirt-config"),
    Rule(POLICY_REFUSED, _reserved_labels,
         "creation of the following reserved kubevirt.io/ labels on a VMI object is prohibited: {label}",
         "remove the label; KubeVirt sets it"),
    Rule(POLICY_REFUSED, _eviction, "is set with an unrecognized option: {strategy}", "write one of {strategies}"),
    Rule(POLICY_REFUSED, _start, "is set with an unrecognized option: {strategy}", "write Paused, or leave it out"),
    Rule(POLICY_REFUSED, _paused_and_probed, "either startStrategy or livenessProbe should be provided",
         "remove one of them"),
    Rule(POLICY_REFUSED, _hostname, "'{name}' does not conform to the kubernetes DNS_LABEL rules",
         "use lower-case letters, digits and dashes, and no dots"),
    Rule(POLICY_REFUSED, _subdomain, "'{name}' does not conform to the kubernetes DNS_SUBDOMAIN rules",
         "use lower-case letters, digits, dashes and dots"),
    Rule(POLICY_REFUSED, _no_resolver, "must provide `dnsConfig` when `dnsPolicy` is None",
         "write dnsConfig.nameservers"),
    Rule(POLICY_REFUSED, _resolvers, "must be valid IP address: {server}", "write an IP address"),
    Rule(POLICY_REFUSED, _many_resolvers, "must not have more than 3 nameservers", "keep three of them"),
    Rule(POLICY_REFUSED, _handlers, "{probe} must have exactly one probe type set",
         "write one of exec, httpGet, tcpSocket, guestAgentPing"),
    Rule(POLICY_REFUSED, _probe_without_network, "is only allowed if the Pod Network is attached",
         "use guestAgentPing or exec, or connect the VM to the pod network"),
    Rule(POLICY_REFUSED, _account, "'{name}' is not a valid service account name", "correct the name", since("1.9")),
    Rule(POLICY_REFUSED, _two_accounts,
         "spec.serviceAccountName {name} and serviceAccount volume {other} must reference the same service account",
         "name one of them in both places", since("1.9")),
    Rule(POLICY_REFUSED, _skew, "maxSkew must be greater than zero", "write 1"),
    Rule(POLICY_REFUSED, _credentials, "requires exactly one {what} to be present", "keep exactly one"),
    Rule(POLICY_REFUSED, _credentials_without_volume, "requires a {source} volume to exist",
         "add such a volume, or use qemuGuestAgent"),
    Rule(POLICY_REFUSED, _credentials_without_users, "requires at least one user to be present in the users list",
         "name the guest's users"),
)  # fmt: skip
"""Policies, in the order of KubeVirt's checks."""
