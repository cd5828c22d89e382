"""The publisher against the double: what it publishes stays published, whatever happens to it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from hooksidecar.claims.apierrors import ApiRefused, ApiUnreachable, Asked
from hooksidecar.claims.publisher import LONGEST, Publisher
from tests.apiserver import faults
from tests.apiserver.access import User
from tests.apiserver.server import ADMIN, ApiServerDouble
from tests.hooksidecar.claims.apiclients import PATIENT, client
from tests.hooksidecar.claims.published import NODE, assert_no_lies, inventory, published
from tests.patience import until

DRIVER = "units.passgate.dev"


@pytest.fixture
def double(double: ApiServerDouble) -> ApiServerDouble:
    double.storage.create("nodes", {"metadata": {"name": NODE}})
    return double


@contextmanager
def publishing(
    double: ApiServerDouble, directory: Path, *names: str, lock: Path | None = None, start: bool = True
) -> Iterator[Publisher]:
    """A publisher with an inventory."""
    with closing(client(double, directory)) as api, closing(Publisher(api, NODE, DRIVER, lock)) as publisher:
        publisher.publish(inventory(*names))
        if start:
            publisher.start()
        yield publisher


def test_what_a_node_has_is_published_as_its_own(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one", "two") as publisher:
        until(lambda: publisher.standing.is_current)

    (one,) = double.storage.select("resourceslices")
    node = double.storage.get("nodes", NODE)
    assert published(double) == {"one", "two"}
    assert one["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": node["metadata"]["uid"], "controller": True}
    ]
    assert (publisher.standing.slices, publisher.standing.devices) == (1, 2)
    assert list(publisher.findings()) == []


def test_changes_follow_at_once_and_an_equal_inventory_changes_nothing(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: published(double) == {"one"})
        publisher.publish(inventory("one", "two"))
        until(lambda: published(double) == {"one", "two"} and publisher.standing.is_current)
        version = double.storage.version
        publisher.publish(inventory("one", "two"))
        publisher.publish(inventory("three"))
        until(lambda: published(double) == {"three"})

    assert double.storage.version == version + 1


def test_a_start_where_all_is_there_already_writes_nothing(double: ApiServerDouble, tmp_path: Path) -> None:
    for _ in range(2):
        with publishing(double, tmp_path, "one") as publisher:
            until(lambda: publisher.standing.is_current)

    assert (double.asked["create resourceslices"], double.asked["update resourceslices"]) == (1, 0)


def test_what_kubelet_wipes_is_made_again(double: ApiServerDouble, tmp_path: Path) -> None:
    names = [f"d{number}" for number in range(300)]
    with publishing(double, tmp_path, *names):
        until(lambda: published(double) == set(names))
        for _ in range(2):
            double.storage.delete_all("resourceslices", lambda one: one["spec"]["nodeName"] == NODE)
            until(lambda: published(double) == set(names))


def test_slices_of_others_stay(double: ApiServerDouble, tmp_path: Path) -> None:
    pool = {"name": "b", "generation": 1, "resourceSliceCount": 1}
    for name, node, driver in (("x", "b", DRIVER), ("y", NODE, "gpu.example.com")):
        spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": [{"name": "theirs"}]}
        double.storage.create("resourceslices", {"metadata": {"name": name}, "spec": spec})
    before = [double.storage.get("resourceslices", name) for name in ("x", "y")]

    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)

    assert [double.storage.get("resourceslices", name) for name in ("x", "y")] == before


def test_a_change_by_another_is_undone(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)
        (one,) = double.storage.select("resourceslices")
        double.storage.update("resourceslices", {**one, "spec": {**one["spec"], "devices": [{"name": "bad"}]}})

        until(lambda: published(double) == {"one"})


def test_a_quarrel_is_told_and_does_not_burden_the_api_server(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)

        def spoil() -> bool:
            if publisher.standing.is_current:
                double.storage.delete_all("resourceslices", lambda _: True)
            return "something else changes the slices" in publisher.standing.why

        until(spoil)
        publisher.publish(inventory("two"))
        until(lambda: published(double) == {"two"})


def test_a_node_that_was_made_anew_owns_its_slices(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)
        double.storage.delete("nodes", NODE)
        uid = double.storage.create("nodes", {"metadata": {"name": NODE}})["metadata"]["uid"]
        # The garbage collector, once the owner is gone.
        double.storage.delete_all("resourceslices", lambda _: True)

        until(lambda: published(double) == {"one"})

    (one,) = double.storage.select("resourceslices")
    assert one["metadata"]["ownerReferences"][0]["uid"] == uid


def test_slices_of_a_former_node_of_the_name_are_taken_over(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)
    double.storage.delete("nodes", NODE)
    uid = double.storage.create("nodes", {"metadata": {"name": NODE}})["metadata"]["uid"]

    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)

    owners = [one["metadata"]["ownerReferences"][0]["uid"] for one in double.storage.select("resourceslices")]
    assert owners == [uid]


def test_a_node_that_is_not_there_is_told(double: ApiServerDouble, tmp_path: Path) -> None:
    double.storage.delete("nodes", NODE)
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: 'nodes "a" not found' in publisher.standing.why)
        double.storage.create("nodes", {"metadata": {"name": NODE}})

        until(lambda: publisher.standing.is_current)


def test_an_api_server_that_is_away_is_found_again(double: ApiServerDouble, tmp_path: Path) -> None:
    double.stop()
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.errors > 2)
        assert "Connection refused" in publisher.standing.why
        double.start()
        until(lambda: published(double) == {"one"} and publisher.standing.is_current)
        double.stop()
        publisher.publish(inventory("two"))
        until(lambda: not publisher.standing.is_current)
        double.start()
        until(lambda: published(double) == {"two"})


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        pytest.param("list", faults.text(b"<html>"), id="list no JSON"),
        pytest.param("get", faults.refuse(500), id="get error"),
        pytest.param("watch", faults.reset, id="watch cut"),
        pytest.param("create", faults.refuse(429, retry_after="0"), id="create busy"),
        *(pytest.param(verb, faults.reset, id=f"{verb} cut") for verb in ("create", "update", "delete")),
        *(pytest.param(verb, faults.refuse(409), id=f"{verb} conflict") for verb in ("create", "update", "delete")),
    ],
)
def test_what_fails_is_made_good(double: ApiServerDouble, tmp_path: Path, verb: str, fault: faults.Fault) -> None:
    many = [f"d{number}" for number in range(130)]
    double.fail(fault, 2, f"{verb} ")
    with publishing(double, tmp_path, *many) as publisher:
        until(lambda: published(double) == set(many))
        publisher.publish(inventory("one", "two"))
        until(lambda: published(double) == {"one", "two"} and publisher.standing.is_current)


@pytest.mark.parametrize("is_cut", [True, False], ids=["breaks", "is too old"])
def test_a_watch_that_ends_badly_is_begun_anew(double: ApiServerDouble, tmp_path: Path, *, is_cut: bool) -> None:
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: publisher.standing.is_current)
        lists = double.asked["list resourceslices"]
        with double.storage.changed:
            double.storage.delete_all("resourceslices", lambda _: True)
            if is_cut:
                double.cut()
            else:
                double.storage.compact()

        until(lambda: double.asked["list resourceslices"] > lists and published(double) == {"one"})


def test_what_the_api_server_never_takes_is_told_and_tried_on(double: ApiServerDouble, tmp_path: Path) -> None:
    with publishing(double, tmp_path, "no_label") as publisher:
        until(lambda: "422 Invalid" in publisher.standing.why)
        publisher.publish(inventory("one"))

        until(lambda: published(double) == {"one"})


def test_a_right_that_is_missing_is_told_and_used_when_it_is_given(double: ApiServerDouble, tmp_path: Path) -> None:
    rules = [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]
    double.users[ADMIN] = User("system:serviceaccount:passgate:claims", rules)
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: "lacks the right to `list` on resourceslices" in publisher.standing.why)
        double.users[ADMIN] = User("admin")

        until(lambda: publisher.standing.is_current)


def test_slices_that_cannot_be_followed_are_looked_at_ever_more_seldom(double: ApiServerDouble, tmp_path: Path) -> None:
    every = [
        {
            "verbs": ["get", "list", "create"],
            "apiGroups": ["", "resource.k8s.io"],
            "resources": ["nodes", "resourceslices"],
        }
    ]
    double.users[ADMIN] = User("system:serviceaccount:passgate:claims", every)
    with publishing(double, tmp_path, "one") as publisher:
        until(lambda: "lacks the right to `watch` on resourceslices" in publisher.standing.why)
        until(lambda: publisher.errors > 3)

        assert published(double) == {"one"}
        assert double.asked["list resourceslices"] <= publisher.errors + 2
        assert publisher._pause > 1


def test_counters_that_the_api_server_drops_are_done_without(double: ApiServerDouble, tmp_path: Path) -> None:
    double.drops_counters, begun = True, double.storage.version
    with closing(client(double, tmp_path)) as api, closing(Publisher(api, NODE, DRIVER)) as publisher:
        publisher.publish(inventory("one", "two", sets=("s",), consumes=("s",)), lambda: inventory("one"))
        publisher.start()

        until(lambda: publisher.standing.is_current and published(double) == {"one"})

    made = [change.object["spec"] for change in double.storage.changes("resourceslices", begun)]
    assert not [device for one in made for device in one.get("devices", ()) if "consumesCounters" in device]


def test_the_older_of_two_processes_publishes_until_it_ends(double: ApiServerDouble, tmp_path: Path) -> None:
    lock = tmp_path / "plugins" / DRIVER
    with publishing(double, tmp_path, "newer", lock=lock, start=False) as newer:
        with publishing(double, tmp_path, "older", lock=lock) as older:
            until(lambda: older.standing.is_current)
            newer.start()
            until(lambda: "another process of the driver" in newer.standing.why)
            double.storage.delete_all("resourceslices", lambda _: True)
            until(lambda: published(double) == {"older"})

        until(lambda: published(double) == {"newer"} and newer.standing.is_current)


def test_a_lock_that_cannot_be_opened_is_told(double: ApiServerDouble, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with publishing(double, tmp_path, "one", lock=tmp_path / "file" / DRIVER) as publisher:
        until(lambda: "lock-impossible" in publisher.standing.why)


def test_after_each_of_many_changes_the_slices_are_right_and_none_between_is_a_lie(
    double: ApiServerDouble, tmp_path: Path
) -> None:
    """With the API server refusing, cutting and forgetting now and then."""
    dice = random.Random(23)  # noqa: S311  no secret
    trouble = [faults.refuse(409), faults.refuse(429, retry_after="0"), faults.reset, faults.refuse(500)]
    inventories: list[set[str]] = [set()]
    begun = double.storage.version
    with publishing(double, tmp_path) as publisher:
        for _ in range(40):
            inventories.append({f"d{number}" for number in range(260) if dice.random() < 0.6})
            if dice.random() < 0.05:
                double.fail(dice.choice(trouble))
            if dice.random() < 0.05:
                double.storage.delete_all("resourceslices", lambda _: dice.random() < 0.5)
            publisher.publish(inventory(*sorted(inventories[-1])))
            until(lambda: published(double) == inventories[-1])

    assert_no_lies(double, begun, inventories)


@pytest.mark.parametrize("writes", range(7))
def test_a_process_that_dies_between_two_writes_leaves_what_the_next_one_completes(
    double: ApiServerDouble, tmp_path: Path, writes: int
) -> None:
    """From one slice to four, which takes a new generation; and the next process wants something else again."""
    first, second, third = (
        {f"{name}{number}" for number in range(many)} for name, many in (("a", 90), ("b", 400), ("c", 140))
    )
    begun = double.storage.version
    with publishing(double, tmp_path, *sorted(first)) as publisher:
        until(lambda: publisher.standing.is_current)
        left = iter(range(writes))

        def die(handler: BaseHTTPRequestHandler) -> bool:
            """Writes get through until it is dead."""
            return handler.command in {"POST", "PUT", "DELETE"} and next(left, None) is None and faults.reset(handler)

        double.always = die
        publisher.publish(inventory(*sorted(second)))
        until(lambda: publisher.errors or published(double) == second)
    double.always = None

    with publishing(double, tmp_path, *sorted(third)) as publisher:
        until(lambda: publisher.standing.is_current and published(double) == third)

    assert_no_lies(double, begun, [set(), first, second, third])


def test_it_is_back_soon_however_long_the_api_server_was_away(double: ApiServerDouble, tmp_path: Path) -> None:
    asked = Asked("list", "/apis/resource.k8s.io/v1/resourceslices")
    errors = [ApiUnreachable("https://x", asked, "away"), ApiRefused(asked, 429, "TooManyRequests", "", 7.0)]
    with publishing(double, tmp_path, start=False) as publisher:
        pauses = [publisher._fail(errors[number % 2]) for number in range(720)]

    assert max(pauses) <= LONGEST
    assert max(pauses[:3:2]) < 1.5
    assert len(set(pauses[100::2])) > 200, "all nodes would come at once"


def test_a_node_that_was_made_anew_is_noticed_by_the_time_a_watch_ends(double: ApiServerDouble, tmp_path: Path) -> None:
    times = PATIENT._replace(watch=0.5)
    with closing(client(double, tmp_path, times)) as api, closing(Publisher(api, NODE, DRIVER)) as publisher:
        publisher.publish(inventory("one"))
        publisher.start()
        until(lambda: publisher.standing.is_current)
        double.storage.delete("nodes", NODE)
        uid = double.storage.create("nodes", {"metadata": {"name": NODE}})["metadata"]["uid"]

        until(lambda: double.storage.select("resourceslices")[0]["metadata"]["ownerReferences"][0]["uid"] == uid)
