"""The checkpoint and the PodResources API beside each other, look after look."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.finding import Finding, Severity
from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.podresources import CONFIRM, Agreement, Confirmation, PodDevices, unrecorded_devices
from tests.hostdev.kubelet.recorded import MOMENTS

GRANT = Grant("uid-a", "compute", "a.b/c", ("one", "two"), (), ())
ONE = PodDevices("vms", "vm-a", "compute", "a.b/c", ("one",))
TWO = PodDevices("vms", "vm-a", "compute", "a.b/c", ("two",))
OTHER = Grant("uid-b", "compute", "a.b/c", ("three",), (), ())
THREE = PodDevices("vms", "vm-b", "compute", "a.b/c", ("three",))


class Looks:
    """A kubelet that is looked at again and again."""

    def __init__(self) -> None:
        self.agreement, self.confirmation, self.now = Agreement(), Confirmation(), 100.0

    def told(self, grants: Sequence[Grant], pods: Sequence[PodDevices], *, after: float = CONFIRM) -> list[str]:
        """What is told at a look so many seconds after the last."""
        self.now += after
        found = self.agreement.disagreements(grants, pods, self.now)
        return [finding.message for finding in self.confirmation.confirmed(found, self.now)]


def test_they_agree_also_when_one_of_them_lists_each_device_by_itself() -> None:
    looks = Looks()

    assert [looks.told([GRANT], [ONE, TWO]) for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_real_kubelet_never_disagrees(moment: str) -> None:
    """Whatever it was at: pods that ended, a hanging Allocate, a plugin that went, a reboot."""
    looks, (grants, listing) = Looks(), MOMENTS[moment]

    told = [looks.told(grants, listing.devices, after=after) for after in (0.0, 0.4, 0.6, 1.0, 30.0, 30.0)]

    assert told == [[]] * 6


def test_a_device_that_only_the_api_has_is_told_a_second_later() -> None:
    looks = Looks()

    assert looks.told([], [TWO]) == []
    assert looks.told([], [TWO], after=0.9) == []
    assert looks.told([], [TWO], after=0.1) == ["PodResources gives two of a.b/c, the checkpoint does not"]
    assert looks.told([GRANT], [TWO], after=0.1) == []
    (finding,) = unrecorded_devices([], [TWO])
    assert (finding.code, finding.subject) == ("kubelet-disagrees", "pod vms/vm-a")


def test_devices_of_one_container_and_resource_are_told_together() -> None:
    (finding,) = unrecorded_devices([], [ONE, TWO])

    assert finding.message == "PodResources gives one, two of a.b/c, the checkpoint does not"


def test_a_pod_that_has_ended_is_no_disagreement_however_long_it_lies_there() -> None:
    looks = Looks()

    assert [looks.told([GRANT, OTHER], [THREE], after=30.0) for _ in range(5)] == [[]] * 5


def test_kubelet_takes_an_ended_pod_out_when_it_gives_something_away() -> None:
    looks, new = Looks(), Grant("uid-c", "compute", "d/e", ("x",), (), ())
    listed = PodDevices("vms", "vm-c", "compute", "d/e", ("x",))
    for _ in range(3):
        looks.told([GRANT, OTHER], [THREE])

    assert looks.told([OTHER, new], [THREE, listed]) == []
    # It did not.
    assert looks.told([GRANT, OTHER, new], [THREE, listed]) == []
    for _ in range(3):
        looks.told([GRANT, OTHER], [THREE])
    assert looks.told([GRANT, OTHER, new], [THREE, listed]) == []
    (told,) = looks.told([GRANT, OTHER, new], [THREE, listed])
    assert told == (
        "the checkpoint gives one, two of a.b/c, PodResources does not, and kubelet has given other devices away since"
    )


def test_a_pod_that_is_admitted_between_the_two_looks_is_no_sign() -> None:
    """PodResources is asked first: what was written a moment later is not listed yet."""
    looks = Looks()

    assert looks.told([GRANT], []) == []
    assert looks.told([GRANT, OTHER], [ONE, TWO], after=0.1) == []
    assert looks.told([GRANT, OTHER], [ONE, TWO, THREE], after=0.1) == []
    assert looks.told([GRANT, OTHER], [ONE, TWO, THREE], after=30.0) == []


def test_what_an_init_container_has_is_never_listed() -> None:
    looks, init = Looks(), GRANT._replace(container="init")
    for _ in range(3):
        looks.told([init], [])

    assert [looks.told([init, OTHER], [THREE]) for _ in range(3)] == [[]] * 3


def test_the_same_name_in_another_resource_is_another_device() -> None:
    assert len(unrecorded_devices([GRANT], [ONE, TWO._replace(resource="d/e")])) == 1


def test_after_an_outage_it_begins_anew() -> None:
    looks = Looks()
    for _ in range(3):
        looks.told([GRANT], [])
    looks.agreement.forget()

    assert [looks.told([GRANT, OTHER], [THREE]) for _ in range(4)] == [[]] * 4


FOUND = [Finding("x", Severity.ERROR, str(number), "y") for number in range(3)]


@given(st.lists(st.tuples(st.sets(st.sampled_from(FOUND)), st.floats(0, 3)), max_size=12))
def test_what_is_told_was_there_at_every_look_for_a_second(looks: list[tuple[set[Finding], float]]) -> None:
    confirmation, now, seen = Confirmation(), 0.0, []
    for found, after in looks:
        now += after
        seen.append((now, found))
        told = confirmation.confirmed(found, now)
        for finding in FOUND:
            streak = [at for at, there in _streak(seen, finding)]
            assert (finding in told) == bool(streak and now - streak[0] >= CONFIRM)
        assert confirmation.waits(now) == bool(found - set(told))


def _streak(seen: list[tuple[float, set[Finding]]], finding: Finding) -> list[tuple[float, set[Finding]]]:
    """The last looks without a break at which it was there."""
    breaks = [index for index, (_, found) in enumerate(seen) if finding not in found]
    return seen[breaks[-1] + 1 if breaks else 0 :]


KEYS = st.sampled_from([GRANT, OTHER])


@given(st.lists(st.tuples(st.sets(KEYS), st.booleans()), min_size=1, max_size=10))
def test_pods_that_come_and_go_under_the_rules_of_kubelet_never_disagree(steps: list[tuple[set[Grant], bool]]) -> None:
    """Kubelet: what is listed is recorded; what has ended stays recorded until something else is given away."""
    looks, recorded, active = Looks(), set[Grant](), set[Grant]()
    for wanted, allocates in steps:
        active &= wanted
        if allocates:
            recorded &= active
            recorded |= wanted
            active = set(wanted)
        pods = [PodDevices("n", grant.pod_uid, "compute", grant.resource, grant.device_ids) for grant in active]
        assert looks.told(sorted(recorded), pods) == []
