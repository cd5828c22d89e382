"""Forty shapes of VMs on six KubeVirt releases: nothing of the VM moves, or it is told."""

from __future__ import annotations

import pytest

from domxml.guestslot import GuestSlot
from domxml.kubevirt import places_again
from hostdev.kubevirt.releases import POINT_RELEASES, Release
from tests.boots import Boot, boots
from tests.domxml.boothooks import Hook, of_base, play, slots_of
from tests.domxml.guestslots import wish
from tests.oracle.addresses import guest_addresses, moved

BOOTS = pytest.mark.parametrize("boot", boots(), ids=lambda boot: boot.id)
WITH_NICS = [boot for boot in boots() if boot.vm.name in {"nics-1-4g", "nics-2-4g", "nics-4-1g", "min-0nic-4g"}]


def base_moved(boot: Boot, passes: list[bytes], slots: tuple[GuestSlot, ...]) -> dict[str, tuple[str, str]]:
    """The VM's own devices, and the ports above them, that are elsewhere than without us."""
    wished = frozenset(f"hostdev:pci:{function.device}" for slot in slots for function in slot.functions)
    found = moved(of_base(guest_addresses(boot.final), wished), guest_addresses(passes[-1]))
    return {key: (str(there), str(here)) for key, (there, here) in found.items()}


@BOOTS
def test_the_passes_on_paper_are_those_of_kubevirt(boot: Boot) -> None:
    passes = play(boot, lambda xml: xml)

    assert len(passes) == len(boot.passes)
    assert moved(of_base(guest_addresses(boot.final)), guest_addresses(passes[-1])) == {}


@BOOTS
def test_nothing_of_the_vm_moves_or_it_is_told(boot: Boot) -> None:
    hook = Hook(slots_of(boot))
    passes = play(boot, hook)
    told = " ".join(f"{finding.message}" for finding in hook.told if finding.code == "kubevirt-places-again")

    assert len(passes) == len(boot.passes)
    for key, (there, here) in base_moved(boot, passes, hook.slots).items():
        if not key.startswith("controller:pci:") or not told:
            assert f"{here}, and would be at {there}" in told, key


@BOOTS
def test_who_knows_the_release_moves_nothing(boot: Boot) -> None:
    hook = Hook(slots_of(boot), again=places_again(boot.release))
    passes = play(boot, hook)

    assert base_moved(boot, passes, hook.slots) == {}
    assert "kubevirt-places-again" not in {finding.code for finding in hook.told}


@BOOTS
def test_our_devices_stay_over_the_passes(boot: Boot) -> None:
    hook = Hook(slots_of(boot))
    ours = {f"hostdev:pci:{function.device}" for slot in hook.slots for function in slot.functions}
    places = [{key: found[key] for key in ours} for found in map(guest_addresses, play(boot, hook))]

    assert all(place == places[0] for place in places)
    for slot in hook.slots:
        if slot.guest is not None:
            assert places[0][f"hostdev:pci:{slot.functions[0].device}"] == slot.guest


@pytest.mark.parametrize("boot", WITH_NICS, ids=lambda boot: boot.id)
@pytest.mark.parametrize("bus", range(1, 10))
def test_who_makes_room_is_where_it_was_told(boot: Boot, bus: int) -> None:
    """A bus that libvirt would have given to a device of the VM: that one alone moves, on every pass to one place."""
    hook = Hook((wish("qat", "3d:01.0", f"{bus:02x}:00.0"),), again=places_again(boot.release))
    passes = play(boot, hook)
    told = {f.message for f in hook.told if f.code == "base-device-moves"}
    went = {k: pair for k, pair in base_moved(boot, passes, hook.slots).items() if not k.startswith("controller:pci")}

    assert guest_addresses(passes[-1])["hostdev:pci:0000:3d:01.0"] == hook.slots[0].guest
    assert {f"its guest address becomes {here} instead of {there}" for there, here in went.values()} <= told
    assert len(went) <= 1


def test_a_release_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Exception, match="is not a release of KubeVirt"):
        places_again("one")


@pytest.mark.parametrize(
    ("release", "again"),
    [
        *(("1.5.3", False), ("1.6.3", False), ("1.6.4", True), ("v1.6.6", True), ("1.7.1", False), ("1.7.2", True)),
        *(("1.8", True), ("1.8.0", True), ("1.9.0-rc.1", True), ("1.10.0", False), ("head", False)),
    ],
)
def test_which_releases_place_again(release: str, *, again: bool) -> None:
    assert places_again(release) is again


@pytest.mark.parametrize("release", POINT_RELEASES.values(), ids=POINT_RELEASES)
def test_the_rehearsal_plays_what_the_sidecar_believes(release: Release) -> None:
    assert places_again(release.name) is (release.last == "ports")
