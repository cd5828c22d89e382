"""The client against the double: what it answers is a value, and whatever else happens is a sentence, and ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from domxml.errors import BadInput, PassgateError
from hooksidecar.claims.apierrors import ApiRefused, ApiUnreachable, Gone
from hooksidecar.claims.apiserver import ApiServer, Times
from hooksidecar.claims.credentials import Credentials
from tests.apiserver import faults
from tests.apiserver.access import User
from tests.apiserver.server import ApiServerDouble
from tests.apiserver.status import Refusal
from tests.hooksidecar.claims.apiclients import PATIENT, client

SLICES = "/apis/resource.k8s.io/v1/resourceslices"
LATE = "no (answer|connection) came (about )?in time"
MINE = "spec.driver=units.passgate.dev,spec.nodeName=a"


def slice_of(name: str, node: str = "a") -> dict[str, Any]:
    """A slice with one device."""
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "units.passgate.dev", "pool": pool, "nodeName": node, "devices": [{"name": f"{name}-d"}]}
    return {"metadata": {"name": name}, "spec": spec}


def refused(action: Callable[[], object]) -> ApiRefused:
    """The refusal that it ends in."""
    with pytest.raises(ApiRefused) as caught:
        action()
    return caught.value


def test_an_object_is_made_read_changed_and_taken_away(api: ApiServer) -> None:
    made = api.create(SLICES, slice_of("one"))
    made["spec"]["devices"] = []

    changed = api.update(f"{SLICES}/one", made)

    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    assert api.get(f"{SLICES}/one") == changed
    api.delete(f"{SLICES}/one", uid=made["metadata"]["uid"])
    assert refused(lambda: api.get(f"{SLICES}/one")).status == 404


def test_a_list_comes_page_by_page_and_holds_what_was_selected(api: ApiServer, double: ApiServerDouble) -> None:
    for number in range(40):
        double.storage.create("resourceslices", slice_of(f"s{number}", "ab"[number % 2]))

    listing = api.list(SLICES, fieldSelector=MINE)

    assert {one["spec"]["nodeName"] for one in listing.items} == {"a"}
    assert len(listing.items) == 20
    assert double.asked["list resourceslices"] == 2
    assert listing.version == str(double.storage.version)


def test_a_watch_tells_what_happens_after_a_list(api: ApiServer, double: ApiServerDouble) -> None:
    watch = api.watch(SLICES, api.list(SLICES).version, fieldSelector=MINE)
    double.storage.create("resourceslices", slice_of("other", "b"))
    made = double.storage.create("resourceslices", slice_of("one"))
    made["spec"]["devices"] = []
    double.storage.update("resourceslices", made)
    double.storage.delete("resourceslices", "one")

    events = [event for event in (next(watch) for _ in range(4)) if event.type != "BOOKMARK"][:3]
    while len(events) < 3:
        events += [event for event in [next(watch)] if event.type != "BOOKMARK"]

    assert [(event.type, event.object["metadata"]["name"]) for event in events] == [
        *(("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")),
    ]
    watch.close()


def test_a_watch_has_bookmarks_and_ends_when_it_was_to(double: ApiServerDouble, tmp_path: Path) -> None:
    with closing(client(double, tmp_path, PATIENT._replace(watch=1))) as api:
        assert {event.type for event in api.watch(SLICES, api.list(SLICES).version)} == {"BOOKMARK"}


def test_a_version_that_is_forgotten_is_gone_also_within_a_watch(api: ApiServer, double: ApiServerDouble) -> None:
    version = api.list(SLICES).version
    double.storage.create("resourceslices", slice_of("one"))
    double.storage.compact()

    with pytest.raises(Gone, match="410 Expired: too old resource version"):
        next(api.watch(SLICES, version))


def test_a_watch_that_says_nothing_is_given_up(double: ApiServerDouble, tmp_path: Path) -> None:
    double.bookmarks_every = 60
    with (
        closing(client(double, tmp_path, PATIENT._replace(silence=0.2))) as api,
        pytest.raises(ApiUnreachable, match=LATE),
    ):
        next(api.watch(SLICES, api.list(SLICES).version))


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        pytest.param(b'{"type": "ADDED", "obj', "cut off in an event", id="half an event"),
        pytest.param(b"nonsense\n", "is not JSON", id="no JSON"),
        pytest.param(b"[]\n", "is no JSON object", id="a list"),
        pytest.param(b'{"type": "NEW", "object": {"metadata": {}}}\n', "is no event", id="another type"),
        pytest.param(b'{"type": "ADDED", "object": 1}\n', "is no event", id="no object"),
        pytest.param(b"x" * (5 << 20), "longer than 4194304 bytes", id="endless"),
    ],
)
def test_what_is_no_event_ends_a_watch_with_a_sentence(
    api: ApiServer, double: ApiServerDouble, lines: bytes, seen: str
) -> None:
    double.fail(faults.text(b"\n" + lines), verb="watch")

    with pytest.raises(ApiUnreachable, match=seen):
        next(api.watch(SLICES, "1"))


def test_an_error_within_a_watch_is_a_refusal(api: ApiServer, double: ApiServerDouble) -> None:
    event = {"type": "ERROR", "object": Refusal(500, "etcd is away").body}
    double.fail(faults.text(json.dumps(event).encode() + b"\n"), verb="watch")

    assert refused(lambda: next(api.watch(SLICES, "1"))).status == 500


def test_a_watch_can_be_ended_from_another_thread(api: ApiServer, double: ApiServerDouble) -> None:
    double.bookmarks_every = 60
    watch = api.watch(SLICES, api.list(SLICES).version)
    ended = threading.Event()

    def read() -> None:
        with pytest.raises(ApiUnreachable):
            next(watch)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    watch.interrupt()

    assert ended.wait(60)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        pytest.param(faults.hang, LATE, id="hangs"),
        pytest.param(faults.drip(0.05), LATE, id="drips"),
        pytest.param(faults.reset, "Connection reset|was cut|cut off", id="resets"),
        pytest.param(faults.text(b"<html>proxy</html>"), "is not JSON", id="no JSON"),
        pytest.param(faults.text(b"[" * 100_000), "nested|deep", id="deep JSON"),
        pytest.param(faults.text(b"[1]"), "no JSON object", id="a list"),
        pytest.param(faults.text(b'{"metadata": []}'), "no object with a name", id="another object"),
        pytest.param(faults.text(b'{"metadata"', length=400), "cut off", id="truncated"),
        pytest.param(faults.huge(100 << 20), "longer than 16777216 bytes", id="100 MB"),
    ],
)
def test_what_is_no_answer_is_a_sentence_in_time(
    api: ApiServer, double: ApiServerDouble, fault: faults.Fault, seen: str
) -> None:
    double.always = fault

    with pytest.raises(ApiUnreachable, match=seen) as caught:
        api.get(f"{SLICES}/one", within=0.5 if seen == LATE else 60)

    assert caught.value.subject == "resourceslices/one"
    assert double.url in caught.value.message
    assert "get it" in caught.value.message


@pytest.mark.parametrize("verb", ["get", "list", "create", "update", "delete", "watch"])
def test_every_verb_ends_where_nothing_is_answered(double: ApiServerDouble, tmp_path: Path, verb: str) -> None:
    times = Times(answer=0.3, listing=0.3, watch=10, silence=0.3)
    calls: dict[str, Callable[[ApiServer], object]] = {
        "get": lambda api: api.get(f"{SLICES}/one"),
        "list": lambda api: api.list(SLICES),
        "create": lambda api: api.create(SLICES, slice_of("one")),
        "update": lambda api: api.update(f"{SLICES}/one", slice_of("one")),
        "delete": lambda api: api.delete(f"{SLICES}/one"),
        "watch": lambda api: api.watch(SLICES, "1"),
    }
    double.always = faults.hang

    with (
        closing(client(double, tmp_path, times)) as api,
        pytest.raises(ApiUnreachable, match=f"did not {verb} it: {LATE}"),
    ):
        calls[verb](api)


def test_an_api_server_that_is_away_is_named(api: ApiServer, double: ApiServerDouble) -> None:
    double.stop()

    with pytest.raises(ApiUnreachable, match="Connection refused") as caught:
        api.get("/api/v1/nodes/a")

    assert caught.value.subject == "nodes/a"


def test_a_connection_that_was_closed_while_idle_is_opened_again(api: ApiServer, double: ApiServerDouble) -> None:
    api.list(SLICES)
    double.cut()

    assert api.list(SLICES).items == []


def test_a_right_that_is_missing_is_named(api: ApiServer, double: ApiServerDouble) -> None:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]
    double.users = {token: User("system:serviceaccount:passgate:claims", rules) for token in double.users}

    refusal = refused(lambda: api.list(SLICES))

    assert refusal.status == 403
    assert 'cannot list resource "resourceslices" in API group "resource.k8s.io" at the cluster scope' in str(refusal)
    assert "lacks the right to `list` on resourceslices" in refusal.hint


def test_a_stale_version_is_a_conflict(api: ApiServer) -> None:
    made = api.create(SLICES, slice_of("one"))
    api.update(f"{SLICES}/one", {**made, "spec": {**made["spec"], "devices": []}})

    stale = {**made, "spec": {**made["spec"], "devices": [{"name": "x"}]}}

    assert refused(lambda: api.update(f"{SLICES}/one", stale)).reason == "Conflict"
    assert refused(lambda: api.delete(f"{SLICES}/one", version=made["metadata"]["resourceVersion"])).status == 409
    assert refused(lambda: api.create(SLICES, slice_of("one"))).reason == "AlreadyExists"


def test_a_busy_api_server_is_asked_again_when_it_says(api: ApiServer, double: ApiServerDouble) -> None:
    double.fail(faults.refuse(429, "too many requests", retry_after="1"))
    double.fail(faults.refuse(503, "starting", retry_after="0"))

    assert api.list(SLICES).items == []
    assert double.asked["list resourceslices"] == 3


@pytest.mark.parametrize("pause", ["", "3600", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_busy_api_server_is_waited_for_in_time_only(api: ApiServer, double: ApiServerDouble, pause: str) -> None:
    double.always = faults.refuse(429, "too many requests", retry_after=pause)

    refusal = refused(lambda: api.get(f"{SLICES}/one", within=9))

    assert (refusal.status, refusal.retry_after) == (429, 10.0 if pause == "3600" else None)


def test_errors_of_the_api_server_are_told(api: ApiServer, double: ApiServerDouble) -> None:
    double.always = faults.refuse(500, "etcdserver:\n\trequest timed out \x1b[31m")

    sentence = refused(lambda: api.create(SLICES, slice_of("one"))).sentence()

    assert sentence.startswith(
        "api-refused: resourceslices/one: the API server refuses to create it, 500 InternalError:"
    )
    assert "\x1b" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("code", [302, 403, 404, 418, 502, 599])
def test_a_refusal_that_is_no_status_is_told_as_it_is(api: ApiServer, double: ApiServerDouble, code: int) -> None:
    double.always = faults.text(b"<html>Bad Gateway</html>", code, {"Location": "https://192.0.2.1/"})

    assert f"{code} " in refused(lambda: api.get(f"{SLICES}/one")).message


def test_a_pod_finds_it_by_its_environment(
    double: ApiServerDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = double.service_account(tmp_path / "account")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(double.port))

    api = ApiServer.in_cluster(account)
    assert api.list(SLICES).items == []
    api.close()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(BadInput, match="KUBERNETES_SERVICE_HOST is not set"):
        ApiServer.in_cluster(account)


@pytest.mark.parametrize(
    "url",
    [
        *("", "kubernetes", "http://10.96.0.1", "https://", "https://:443", "https://a:b", "https://a:99999"),
        *("https://user@a", "https://a b", "https://a/\n", "unix:/x", "https://[::1", "https://a?b"),
    ],
)
def test_a_url_that_is_none_is_refused(double: ApiServerDouble, tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match="is no https:// URL"):
        ApiServer(url, Credentials(double.service_account(tmp_path / "account")))


def test_no_time_left_is_no_time(api: ApiServer) -> None:
    with pytest.raises(ApiUnreachable, match=LATE):
        api.get(f"{SLICES}/one", within=0)


def test_every_error_fits_an_event(api: ApiServer, double: ApiServerDouble) -> None:
    double.always = faults.refuse(422, "x" * 5000)

    with pytest.raises(PassgateError) as caught:
        api.get(f"{SLICES}/{'y' * 200}")

    assert len(caught.value.sentence()) < 300


def test_closing_ends_the_wait_for_a_busy_one(api: ApiServer, double: ApiServerDouble) -> None:
    double.always = faults.refuse(429, retry_after="5")
    api.close()
    begun = time.monotonic()

    assert refused(lambda: api.get(f"{SLICES}/one", within=50)).status == 429
    assert time.monotonic() - begun < 45
