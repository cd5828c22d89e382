"""Plays the API server: which objects a MutatingAdmissionPolicy is for, and what becomes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tests.deploy.cel import evaluate, uniform

Object = dict[str, Any]


class Variables(dict[str, Any]):
    """The policy's variables; each may use those before it."""

    @classmethod
    def of(cls, spec: Mapping[str, Any], pod: Object) -> Variables:
        """All of them, for one object."""
        found = cls()
        for variable in spec.get("variables", ()):
            found[variable["name"]] = evaluate(variable["expression"], object=pod, variables=dict(found))
        return found


def matches(policy: Object, pod: Object) -> bool:
    """Whether the policy is for this pod, which is about to be created."""
    spec = policy["spec"]
    selector = spec["matchConstraints"]["objectSelector"]["matchLabels"]
    if not selector.items() <= (pod["metadata"].get("labels") or {}).items():
        return False
    return all(evaluate(condition["expression"], object=pod) for condition in spec["matchConditions"])


def admit(policy: Object, pod: Object) -> Object:
    """The pod as it is stored; the same when the policy is not for it."""
    stored = copy.deepcopy(pod)
    if not matches(policy, pod):
        return stored
    for mutation in policy["spec"]["mutations"]:
        assert mutation["patchType"] == "JSONPatch"
        expression = mutation["jsonPatch"]["expression"]
        patches = evaluate(expression, object=stored, variables=dict(Variables.of(policy["spec"], stored)))
        for patch in patches:
            assert uniform(patch["value"]), patch
        apply(stored, patches)
    return stored


def apply(document: Any, patches: Sequence[Mapping[str, Any]]) -> None:
    """RFC 6902, in place: `add`, `replace`, `remove` and `move`, with its rules for what must be there before."""
    for patch in patches:
        if patch["op"] == "move":
            parent, last = _at(document, patch["from"])
            value = parent[last]
            moved = [{"op": "remove", "path": patch["from"]}, {"op": "add", "path": patch["path"], "value": value}]
            apply(document, moved)
            continue
        parent, last = _at(document, patch["path"])
        if isinstance(parent, list):
            _change_list(parent, last, patch)
        else:
            assert patch["op"] == "add" or last in parent, patch
            if patch["op"] == "remove":
                del parent[last]
            else:
                parent[last] = copy.deepcopy(patch["value"])


def _at(document: Any, path: str) -> tuple[Any, str]:
    """What holds the value of a path, and under which name."""
    *way, last = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])
    for step in way:
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document, last


def _change_list(values: list[Any], index: str, patch: Mapping[str, Any]) -> None:
    place = len(values) if index == "-" else int(index)
    if patch["op"] == "add":
        assert place <= len(values), patch
        values.insert(place, copy.deepcopy(patch["value"]))
    elif patch["op"] == "remove":
        del values[place]
    else:
        values[place] = copy.deepcopy(patch["value"])
