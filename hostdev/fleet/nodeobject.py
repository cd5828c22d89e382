"""What the scheduler asks of a node, as far as its Node object says: labels, taints, and what is allocatable."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from domxml.errors import BadInput
from domxml.finding import Finding
from domxml.text import listed
from hostdev.findings.fleet import NODE_UNFIT
from hostdev.fleet.demand import Demand
from hostdev.jsontext import Format, check_size, parse_json
from hostdev.jsonutil import parse_quantity
from hostdev.kubevirt.spec import get_list, get_map, get_text
from hostdev.vmi.yamltext import read_yaml

LARGEST = 64 << 20
HOSTNAME = "kubernetes.io/hostname"
_MILLI = 1000
_CORDONED = "node.kubernetes.io/unschedulable"


class Objection(NamedTuple):
    """Why the scheduler would not take a node, and whether that may pass."""

    finding: Finding
    passes: bool


def read_node_objects(data: bytes, name: str) -> dict[str, Mapping[str, Any]]:
    """Read what `kubectl get nodes -o json` or `-o yaml` printed; Nodes by their names."""
    form = Format(name, "bad-nodes", LARGEST)
    check_size(data, form)
    is_json = data.lstrip()[:1] == b"{"
    documents = [parse_json(data, form)] if is_json else [one.value for one in read_yaml(data, form)]
    found: dict[str, Mapping[str, Any]] = {}
    for document in documents:
        for one in get_list(document, "items") or [document]:
            if get_text(one, "kind") == "Node" or (get_text(document, "kind") == "NodeList"):
                found[get_text(one, "metadata", "name")] = one
    if not found:
        hint = "kubectl get nodes -o json > nodes.json"
        raise BadInput("bad-nodes", "holds no Node object", subject=name, hint=hint)
    return found


def objections(node: Mapping[str, Any], demand: Demand, claimed: Collection[str] = ()) -> Iterator[Objection]:
    """Why the scheduler would not take this node for the VM; `claimed` are the resources that it hands out by claim."""
    name = get_text(node, "metadata", "name")
    labels = {HOSTNAME: name, **get_map(node, "metadata", "labels")}
    for key, value in get_map(demand.spec, "nodeSelector").items():
        if labels.get(key) != value:
            has = f"has {labels[key]!r}" if key in labels else "has no such label"
            yield _unfit(name, f"the VM wants the label {key}={value}, and the node {has}", passes=False)
    required = get_map(demand.spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = get_list(required, "nodeSelectorTerms")
    if terms and not any(_term_fits(term, labels, name) for term in terms):
        yield _unfit(name, "none of the terms of the VM's node affinity fits it", passes=False)
    yield from _taints(node, demand, name)
    yield from _resources(node, demand, name, claimed)


def _taints(node: Mapping[str, Any], demand: Demand, name: str) -> Iterator[Objection]:
    taints = get_list(node, "spec", "taints")
    if get_map(node, "spec").get("unschedulable") is True and not any(get_text(t, "key") == _CORDONED for t in taints):
        taints = [*taints, {"key": _CORDONED, "effect": "NoSchedule"}]
    tolerations = get_list(demand.spec, "tolerations")
    for taint in taints:
        effect = get_text(taint, "effect")
        if effect in {"NoSchedule", "NoExecute"} and not any(_tolerates(one, taint) for one in tolerations):
            value = get_text(taint, "value")
            text = f"{get_text(taint, 'key')}{f'={value}' if value else ''}:{effect}"
            yield _unfit(name, f"the VM does not tolerate its taint {text}", passes=True)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    key, effect = get_text(toleration, "key"), get_text(toleration, "effect")
    if effect and effect != get_text(taint, "effect"):
        return False
    exists = get_text(toleration, "operator") == "Exists"
    if not key:
        return exists
    return key == get_text(taint, "key") and (exists or get_text(toleration, "value") == get_text(taint, "value"))


def _resources(node: Mapping[str, Any], demand: Demand, name: str, claimed: Collection[str]) -> Iterator[Objection]:
    """What the node has in all; how much of it other pods have is not in a Node object."""
    allocatable = get_map(node, "status", "allocatable")
    for want in demand.wants:
        if "/" in want.name and allocatable:
            there = _amount(allocatable.get(want.name, "0"))
            if not there and want.name in claimed:
                # Of a name that both have, claims are asked as soon as no plugin counts any.
                continue
            if there is not None and there < want.quantity * _MILLI:
                what = f"kubelet offers {there // _MILLI} of {want.name}, and the VM asks for {want.quantity}"
                yield _unfit(name, what, passes=True)
    for key, asked in _requests(demand).items():
        there = _amount(allocatable.get(key)) if key in allocatable else None
        if there is not None and there < asked:
            what = f"it has {allocatable[key]} of {key} in all, and the VM asks for more"
            yield _unfit(name, what, passes=False)


def _requests(demand: Demand) -> dict[str, int]:
    domain = get_map(demand.spec, "domain")
    memory = get_map(domain, "memory").get("guest") or get_map(domain, "resources", "requests").get("memory")
    cpu = get_map(domain, "resources", "requests").get("cpu")
    if get_map(domain, "cpu").get("dedicatedCpuPlacement") is True:
        counts = [get_map(domain, "cpu").get(key) for key in ("sockets", "cores", "threads")]
        cpu = cpu or prod(count for count in counts if isinstance(count, int) and count > 0)
    page = get_text(domain, "memory", "hugepages", "pageSize")
    pairs = ((f"hugepages-{page}" if page else "memory", memory), ("cpu", cpu))
    return {key: amount for key, value in pairs if (amount := _amount(value)) is not None}


def _amount(value: Any) -> int | None:
    """Thousandths of a quantity of Kubernetes; None where it is none."""
    try:
        return None if value is None else parse_quantity(str(value), scale=_MILLI)
    except (BadInput, ValueError):
        return None


def _term_fits(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """All expressions of a term; a term without any fits nothing."""
    expressions = get_list(term, "matchExpressions")
    fields = get_list(term, "matchFields")
    if not (expressions or fields):
        return False
    return all(_fits(one, labels) for one in expressions) and all(_fits(one, {"metadata.name": name}) for one in fields)


def _fits(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator = get_text(expression, "key"), get_text(expression, "operator")
    values = [one for one in expression.get("values") or () if isinstance(one, str)]
    value = labels.get(key)
    if operator in {"Gt", "Lt"}:
        try:
            there, limit = int(value or ""), int(values[0])
        except (ValueError, IndexError):
            return False
        return there > limit if operator == "Gt" else there < limit
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(operator, False)


def _unfit(name: str, what: str, *, passes: bool) -> Objection:
    return Objection(NODE_UNFIT.found(name, what), passes)


def describe_gaps(names: Sequence[str], nodes: Mapping[str, Any]) -> str:
    """Say which nodes have no Node object."""
    missing = [name for name in names if name not in nodes]
    return f"no Node object was given for {listed(missing, 6)}" if missing else ""
