"""What refusals become: whatever a server sends is one line that a person can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooksidecar.claims.apierrors import (
    LONGEST_PAUSE,
    METHODS,
    ApiUnreachable,
    Asked,
    Gone,
    refusal_by_status,
    refusal_of,
)

PATHS = {
    "/api/v1/nodes/a": ("nodes", "nodes/a"),
    "/apis/resource.k8s.io/v1/resourceslices": ("resourceslices", "resourceslices"),
    "/apis/resource.k8s.io/v1/resourceslices/one": ("resourceslices", "resourceslices/one"),
    "/apis/resource.k8s.io/v1/namespaces/vms/resourceclaims/gpu": ("resourceclaims", "resourceclaims/vms/gpu"),
    "/api/v1/namespaces/vms": ("namespaces", "namespaces/vms"),
    "/version": ("/version", "/version"),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["code", "message", "reason"]), inner),
    max_leaves=6,
)


@pytest.mark.parametrize("path", PATHS)
def test_what_was_asked_has_the_name_that_kubectl_has_for_it(path: str) -> None:
    asked = Asked("get", path)

    assert (asked.resource, asked.subject) == PATHS[path]


def test_what_is_to_be_made_is_named_by_itself() -> None:
    path = "/apis/resource.k8s.io/v1/resourceslices"

    assert Asked("create", path, {"metadata": {"name": "one"}}).subject == "resourceslices/one"
    assert Asked("create", path, {"metadata": {"generateName": "one-"}}).subject == "resourceslices/one-"


@pytest.mark.parametrize(("verb", "hint"), [("list", "Kubernetes 1.34 or later"), ("get", "deleted already")])
def test_an_api_that_is_not_served_is_told_from_an_object_that_is_gone(verb: str, hint: str) -> None:
    assert hint in refusal_of(Asked(verb, "/apis/resource.k8s.io/v1/resourceslices"), 404, b"").hint


@given(
    st.sampled_from(sorted(METHODS)),
    st.sampled_from(sorted(PATHS)) | st.text(max_size=30),
    st.integers(100, 999),
    st.binary(max_size=600) | st.text(max_size=600).map(str.encode),
    st.text(max_size=8) | st.sampled_from(["0", "1", "86400", "-1", "1e9", "٣"]),
)
def test_any_answer_is_a_line(verb: str, path: str, status: int, body: bytes, pause: str) -> None:
    refusal = refusal_of(Asked(verb, path), status, body, pause)

    assert refusal.sentence().isprintable()
    assert len(refusal.sentence()) < 300
    assert f"refuses to {verb} it, {status} " in refusal.message
    assert refusal.hint
    assert isinstance(refusal, Gone) is (status == 410)
    assert refusal.retry_after is None or 0 <= refusal.retry_after <= LONGEST_PAUSE


@given(st.dictionaries(st.sampled_from(["code", "message", "reason", "status"]), VALUES))
def test_any_status_of_a_watch_is_a_line(said: dict[str, object]) -> None:
    assert refusal_by_status(said, Asked("watch", "/apis/resource.k8s.io/v1/resourceslices")).sentence().isprintable()


@given(st.text(max_size=400))
def test_whatever_was_seen_is_a_line(seen: str) -> None:
    assert ApiUnreachable("https://10.96.0.1:443", Asked("get", "/api/v1/nodes/a"), seen).sentence().isprintable()
