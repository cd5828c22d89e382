"""Who may do what: tokens, the rules of a ClusterRole, and admission policies as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.apiserver.status import Refusal
from tests.apiserver.storage import RESOURCES, Object, Resource

NODE_NAME = "authentication.kubernetes.io/node-name"
_OPERATIONS = {"create": "CREATE", "update": "UPDATE", "delete": "DELETE", "deletecollection": "DELETE"}


class User(NamedTuple):
    """Whom a token stands for."""

    name: str
    rules: Sequence[Mapping[str, Any]] | None = None
    """Of a ClusterRole; None may do everything."""
    node: str = ""
    """Where the pod runs that the token is bound to."""

    def may(self, verb: str, resource: Resource) -> bool:
        """Whether a rule allows it."""
        if self.rules is None:
            return True
        return any(
            verb in rule["verbs"] and resource.group in rule["apiGroups"] and resource.plural in rule["resources"]
            for rule in self.rules
        )

    def demand(self, verb: str, resource: Resource, name: str, namespace: str) -> None:
        """Refuse what no rule allows."""
        if self.may(verb, resource):
            return
        what = f'{resource.qualified} "{name}"' if name else resource.qualified
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        told = f'cannot {verb} resource "{resource.plural}" in API group "{resource.group}" {where}'
        raise Refusal(403, f'{what} is forbidden: User "{self.name}" {told}')


class Policies:
    """Each a ValidatingAdmissionPolicy with a binding of its own name."""

    def __init__(self, policies: Sequence[Object] = ()) -> None:
        self._policies = policies

    def demand(self, verb: str, user: User, plural: str, new: Object | None, old: Object | None) -> None:
        """Refuse what one of them denies."""
        extra = {NODE_NAME: [user.node]} if user.node else {}
        request = {
            "operation": _OPERATIONS[verb],
            "userInfo": {"username": user.name, **({"extra": extra} if extra else {})},
        }
        for policy in self._policies:
            if denied := denial(policy, plural, {"request": request, "object": new, "oldObject": old}):
                name, message, reason = denied
                what = f'{RESOURCES[plural].qualified} "{((new or old) or {})["metadata"].get("name", "")}"'
                told = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: {message}"
                raise Refusal(403 if reason == "Forbidden" else 422, f"{what} is forbidden: {told}", reason)


def denial(policy: Object, plural: str, seen: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The policy's name, its message and its reason, where it refuses; `seen` is what its expressions see."""
    from tests.deploy.cel import evaluate  # noqa: PLC0415  the passthrough host has no CEL, and no policies

    spec = policy["spec"]
    rules = spec["matchConstraints"]["resourceRules"]
    if not any(plural in rule["resources"] and seen["request"]["operation"] in rule["operations"] for rule in rules):
        return None
    if not all(evaluate(condition["expression"], **seen) for condition in spec.get("matchConditions", ())):
        return None
    variables: Object = {}
    for variable in spec.get("variables", ()):
        variables[variable["name"]] = evaluate(variable["expression"], variables=dict(variables), **seen)
    for rule in spec["validations"]:
        if not evaluate(rule["expression"], variables=variables, **seen):
            message = rule.get("message") or evaluate(rule["messageExpression"], variables=variables, **seen)
            return policy["metadata"]["name"], message, rule.get("reason", "Invalid")
    return None
