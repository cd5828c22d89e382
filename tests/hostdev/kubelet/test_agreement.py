"""The checkpoint and the PodResources API beside each other."""

from __future__ import annotations

from hostdev.kubelet.checkpoint import Grant
from hostdev.kubelet.podresources import PodDevices, disagreements

GRANT = Grant("uid-a", "compute", "a.b/c", ("one", "two"), (), ())
ONE = PodDevices("vms", "vm-a", "compute", "a.b/c", ("one",))
TWO = PodDevices("vms", "vm-a", "compute", "a.b/c", ("two",))


def test_they_agree_also_when_one_of_them_lists_each_device_by_itself() -> None:
    assert disagreements([GRANT], [ONE, TWO]) == ()


def test_a_device_that_only_the_checkpoint_has() -> None:
    (finding,) = disagreements([GRANT], [ONE])

    assert (finding.code, finding.subject) == ("kubelet-disagrees", "pod uid-a")
    assert finding.message == "the checkpoint gives two of a.b/c, PodResources does not"


def test_a_device_that_only_the_api_has() -> None:
    (finding,) = disagreements([], [TWO])

    assert (finding.code, finding.subject) == ("kubelet-disagrees", "pod vms/vm-a")
    assert finding.message == "PodResources gives two of a.b/c, the checkpoint does not"


def test_the_same_name_in_another_resource_is_another_device() -> None:
    assert len(disagreements([GRANT], [ONE, TWO._replace(resource="d/e")])) == 2
