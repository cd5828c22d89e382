"""The double against what a real API server has stored and refused: it accepts and stores the same, and words alike."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.apiserver.access import User
from tests.apiserver.lifecycle import allocate, release, reserve
from tests.apiserver.status import Refusal
from tests.apiserver.storage import RESOURCES, Object, Storage
from tests.hostdev.claims.recorded import claim
from tests.house import ROOT

RECORDED = json.loads((ROOT / "tests/fixtures/apiserver/objects.json").read_text())
SLICE = RECORDED["resourceslice"]
CLAIMS = ("allocated-reserved", "extended-resource", "shared-by-two", "two-requests", "with-device-status")
MADE = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


def written(stored: Object) -> Object:
    """An object as its author wrote it: without what the API server adds, and without what are its defaults."""
    bare = copy.deepcopy(stored)
    bare["metadata"] = {key: value for key, value in bare["metadata"].items() if key not in MADE}
    bare.pop("status", None)
    bare["metadata"].pop("finalizers", None)
    spec = bare["spec"].get("spec", bare["spec"])
    for request in spec.get("devices", {}).get("requests", []) if isinstance(spec.get("devices"), dict) else []:
        for key in ("allocationMode", "count"):
            request["exactly"].pop(key)
    return bare


def kept(stored: Object) -> Object:
    """What two servers must agree in."""
    metadata = {key: value for key, value in stored["metadata"].items() if key not in MADE[:3]}
    return {key: value for key, value in stored.items() if key not in {"kind", "apiVersion"}} | {"metadata": metadata}


@pytest.mark.parametrize(
    ("plural", "name"),
    [
        ("resourceslices", "resourceslice"),
        ("resourceslices", "resourceslice-by-go-helper"),
        ("deviceclasses", "deviceclass"),
        ("resourceclaimtemplates", "resourceclaimtemplate"),
    ],
)
def test_what_was_stored_is_stored_alike(plural: str, name: str) -> None:
    stored = RECORDED[name]
    namespace = stored["metadata"].get("namespace", "")

    made = Storage().create(plural, written(stored), namespace)

    assert kept(made) == kept(stored)
    assert set(MADE[:3]) <= set(made["metadata"])


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_becomes_what_it_became(name: str) -> None:
    """Made, allocated, reserved for its pods; and empty again when the last of them has ended."""
    stored, storage = claim(name, parameters=True), Storage()
    devices = stored["status"]["allocation"]["devices"]

    made = storage.create("resourceclaims", written(stored), "default")
    now = allocate(storage, made, devices["results"], devices.get("config", ()))
    for pod in stored["status"]["reservedFor"]:
        now = reserve(storage, now, pod["name"], pod["uid"])

    now["status"]["allocation"]["allocationTimestamp"] = stored["status"]["allocation"]["allocationTimestamp"]
    assert kept(now) == kept(stored)
    storage.delete("resourceclaims", now["metadata"]["name"], "default")
    now = storage.get("resourceclaims", now["metadata"]["name"], "default")
    for pod in stored["status"]["reservedFor"]:
        assert now["metadata"]["deletionTimestamp"]
        now = release(storage, now, pod["uid"])
    with pytest.raises(Refusal, match="not found"):
        storage.get("resourceclaims", now["metadata"]["name"], "default")


def test_a_claim_that_is_unused_is_empty() -> None:
    storage, stored = Storage(), claim()
    made = storage.create("resourceclaims", written(stored), "default")

    now = reserve(storage, allocate(storage, made, stored["status"]["allocation"]["devices"]["results"]), "p", "1")
    now = release(storage, now, "1")

    assert "status" not in now
    assert "finalizers" not in now["metadata"]


def of(path: str, value: object) -> Callable[[Object], None]:
    """Put a value where the recorded slice has another; `-` removes."""

    def change(one: Object) -> None:
        *way, last = (int(step) if step.isdecimal() else step for step in path.split("|"))
        at: Any = one
        for step in way:
            at = at[step]
        if value == "-":
            del at[last]
        else:
            at[last] = value

    return change


def device(number: int, **more: object) -> Object:
    """A device by a number."""
    return {"name": f"d{number}", **more}


TAINT = {"key": "example.com/x", "effect": "NoSchedule"}
COUNTERS = {"counters": {"whole": {"value": "1"}}}
MANY = {f"a{number}": {"int": number} for number in range(32)}
FIRST = "spec|devices|0"
ACCEPTED = {
    "no devices": of("spec|devices", []),
    "128 devices": of("spec|devices", [device(number) for number in range(128)]),
    "64 devices with a taint": of("spec|devices", [device(number, taints=[TAINT]) for number in range(64)]),
    "a driver in upper case": of("spec|driver", "Units.Lab.Dev"),
    "a string of 64 bytes": of(f"{FIRST}|attributes|unit|string", "x" * 64),
    "32 attributes": of("spec|devices", [device(0, attributes=MANY)]),
    "an attribute of another domain": of(f"{FIRST}|attributes|example.com/x", {"bool": True}),
    "several allocations": of(f"{FIRST}|allowMultipleAllocations", True),
    "bound to the node": of(f"{FIRST}|bindsToNode", True),
    "a set of another slice": of(f"{FIRST}|consumesCounters", [{"counterSet": "elsewhere", **COUNTERS}]),
    "all nodes": lambda one: (of("spec|nodeName", "-")(one), of("spec|allNodes", True)(one)),
    "eight sets": lambda one: (
        of("spec|devices", "-")(one),
        of("spec|sharedCounters", [{"name": f"s{number}", **COUNTERS} for number in range(8)])(one),
    ),
}
REFUSED = {
    "129 devices": (
        of("spec|devices", [device(n) for n in range(129)]),
        "spec.devices: Too many: 129: must have at most 128",
    ),
    "65 with a taint": (
        of("spec|devices", [device(n, taints=[TAINT]) for n in range(65)]),
        "spec.devices: Too many: 65: must have at most 64 items",
    ),
    "65 of which one takes of a counter": (
        of(
            "spec|devices",
            [device(n, **({} if n else {"consumesCounters": [{"counterSet": "s", **COUNTERS}]})) for n in range(65)],
        ),
        "must have at most 64 items",
    ),
    "an address as a name": (
        of(f"{FIRST}|name", "0000:3d:00.0"),
        'spec.devices[0].name: Invalid value: "0000:3d:00.0"',
    ),
    "a name with a dot": (of(f"{FIRST}|name", "a.b"), "a lowercase RFC 1123 label must consist of lower case"),
    "a name of 64": (of(f"{FIRST}|name", "a" * 64), "must be no more than 63"),
    "a name twice": (of("spec|devices", [device(0), device(0)]), 'spec.devices[1]: Duplicate value: "d0"'),
    "a - in an attribute": (of(f"{FIRST}|attributes|a-b", {"int": 1}), "a valid C identifier must start with"),
    "an attribute of 33": (of(f"{FIRST}|attributes|{'a' * 33}", {"int": 1}), "Too long: may not be more than 32 bytes"),
    "a string of 65 bytes": (
        of(f"{FIRST}|attributes|unit|string", "ü" * 33),
        "Too long: may not be more than 64 bytes",
    ),
    "33 attributes": (
        of("spec|devices", [device(0, attributes=MANY, capacity={"bar": {"value": "1Gi"}})]),
        "the total number of attributes and capacities must not exceed 32",
    ),
    "a list of NUMA nodes": (
        of(f"{FIRST}|attributes|resource.kubernetes.io/numaNode", {"ints": [0, 1]}),
        'attributes[resource.kubernetes.io/numaNode]: Invalid value: "": exactly one value must be specified',
    ),
    "two values": (of(f"{FIRST}|attributes|unit", {"string": "x", "int": 1}), "exactly one value must be specified"),
    "a version that is none": (of(f"{FIRST}|attributes|kernel", {"version": "6.18"}), "compatible with semver.org"),
    "no quantity": (of(f"{FIRST}|capacity|bar64", {"value": "64 GiB"}), "quantities must match the regular expression"),
    "counters and devices": (
        of("spec|sharedCounters", [{"name": "s", **COUNTERS}]),
        'spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed',
    ),
    "nine sets": (
        of("spec|sharedCounters", [{"name": f"s{number}", **COUNTERS} for number in range(9)]),
        "spec.sharedCounters: Too many: 9: must have at most 8 items",
    ),
    "33 counters": (
        of("spec|sharedCounters", [{"name": "s", "counters": {f"c{n}": {"value": "1"} for n in range(33)}}]),
        "spec.sharedCounters[0].counters: Too many: 33: must have at most 32 items",
    ),
    "of three sets": (
        of(f"{FIRST}|consumesCounters", [{"counterSet": f"s{n}", **COUNTERS} for n in range(3)]),
        "consumesCounters: Too many: 3: must have at most 2 items",
    ),
    "no place": (of("spec|nodeName", "-"), "spec: Required value: exactly one of `nodeName`"),
    "two places": (of("spec|allNodes", True), "is required, but multiple fields are set"),
    "an effect that is none": (of(f"{FIRST}|taints", [{"key": "x", "effect": "Never"}]), 'Unsupported value: "Never"'),
    "no slices": (of("spec|pool|resourceSliceCount", 0), "must be greater than zero"),
    "a generation below 0": (of("spec|pool|generation", -1), "must be greater than or equal to zero"),
    "a driver of 64": (of("spec|driver", "a" * 64), "spec.driver: Too long: may not be more than 63 bytes"),
}


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_what_it_accepted_is_accepted(change: Callable[[Object], object]) -> None:
    one = written(SLICE)
    change(one)

    assert Storage().create("resourceslices", one)["spec"] == one["spec"]


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=REFUSED)
def test_what_it_refused_is_refused(change: Callable[[Object], object], why: str) -> None:
    one = written(SLICE)
    change(one)

    with pytest.raises(Refusal) as caught:
        Storage().create("resourceslices", one)

    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.body["message"].startswith('ResourceSlice.resource.k8s.io "vm-units.lab.dev-0" is invalid: ')
    assert why in caught.value.body["message"]


@pytest.mark.parametrize("path", ["spec|driver", "spec|nodeName", "spec|pool|name"])
def test_what_a_slice_is_of_never_changes(path: str) -> None:
    storage = Storage()
    made = storage.create("resourceslices", written(SLICE))
    of(path, "other")(made)

    with pytest.raises(Refusal, match="field is immutable"):
        storage.update("resourceslices", made)


def test_a_generation_counts_changes_of_the_spec_alone() -> None:
    storage = Storage()
    made = storage.create("resourceslices", written(SLICE))

    same = storage.update("resourceslices", made)
    marked = storage.update("resourceslices", {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}}})
    of("spec|devices", [])(marked)
    changed = storage.update("resourceslices", marked)

    versions = [one["metadata"]["resourceVersion"] for one in (made, same, marked, changed)]
    assert versions[0] == versions[1] < versions[2] < versions[3]
    assert [one["metadata"]["generation"] for one in (made, marked, changed)] == [1, 1, 2]


def test_a_spec_of_a_claim_never_changes() -> None:
    storage = Storage()
    made = storage.create("resourceclaims", written(claim()), "default")
    made["spec"]["devices"]["requests"] = []

    with pytest.raises(Refusal, match="field is immutable"):
        storage.update("resourceclaims", made, "default")


def allowed() -> Iterator[tuple[str, str]]:
    """What the recorded role allows, of what the double serves."""
    for rule in RECORDED["clusterrole"]["rules"]:
        yield from ((verb, plural) for plural in rule["resources"] for verb in rule["verbs"] if plural in RESOURCES)


VERBS = ("get", "list", "watch", "create", "update", "delete", "deletecollection")


@given(st.sampled_from(VERBS), st.sampled_from(sorted(RESOURCES)))
def test_the_recorded_role_allows_what_it_says_and_nothing_else(verb: str, plural: str) -> None:
    user = User("system:serviceaccount:lab:labdra", RECORDED["clusterrole"]["rules"])
    resource = RESOURCES[plural]

    assert user.may(verb, resource) is ((verb, plural) in set(allowed()))
    if not user.may(verb, resource):
        with pytest.raises(Refusal) as caught:
            user.demand(verb, resource, "", "")
        assert caught.value.body["message"] == (
            f'{resource.qualified} is forbidden: User "{user.name}" cannot {verb} resource "{plural}" '
            f'in API group "{resource.group}" at the cluster scope'
        )


@given(st.lists(st.sampled_from(["create", "update", "delete", "compact"]), max_size=30), st.integers(0, 30))
def test_who_follows_the_changes_knows_what_is_there(actions: list[str], start: int) -> None:
    storage = Storage()
    followed: dict[str, Object] = {}
    seen = storage.version
    for number, action in enumerate(actions):
        name = f"s{(number + start) % 3}"
        one = written(SLICE) | {"metadata": {"name": name, "labels": {"n": str(number)}}}
        # What is there already cannot be made, and what is not cannot be changed.
        with contextlib.suppress(Refusal):
            if action == "create":
                storage.create("resourceslices", one)
            elif action == "update":
                storage.update("resourceslices", one)
            elif action == "delete":
                storage.delete("resourceslices", name)
            elif seen == storage.version:
                storage.compact()
        for change in storage.changes("resourceslices", seen):
            followed[change.object["metadata"]["name"]] = change.object
            if change.type == "DELETED":
                del followed[change.object["metadata"]["name"]]
        seen = storage.version

    assert sorted(followed) == [one["metadata"]["name"] for one in storage.select("resourceslices")]
    assert [followed[name] for name in sorted(followed)] == storage.select("resourceslices")
