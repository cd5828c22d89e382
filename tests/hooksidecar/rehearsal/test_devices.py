"""What the judge of a rehearsal sees in a domain: our devices fact by fact, the others by their places."""

from __future__ import annotations

from domxml.document import Domain
from domxml.transform import transform
from hooksidecar.rehearsal import devices
from hostdev.kubevirt import standin
from tests.domxml.domains import load
from tests.domxml.guestslots import multifunction, wish
from tests.hooksidecar.domainhooks import with_device

QAT = "ua-passgate-qat"
GPU = b'<alias name="ua-gpu-gpu0"></alias>'
GPU_AT = b'<address type="pci" domain="0" bus="0x09" slot="0" function="0"/>'


def test_losses_are_found() -> None:
    before = with_device(load("q35-default"))
    after = before.replace(b' name="vfio"', b"")
    ours = frozenset({QAT})

    first, second = (devices.devices_of(xml, ours)[QAT] for xml in (before, after))

    assert first.facts - second.facts == {"driver name=vfio"}
    assert (first.source, first.guest) == (second.source, second.guest) == ("0000:3d:02.2", first.guest)


def test_what_a_hook_adds_is_ours() -> None:
    given = load("q35-default")

    assert devices.touched_devices(given, with_device(given)) == {QAT}
    assert devices.touched_devices(given, given) == set()


def test_what_it_changes_in_kubevirts_devices_is_ours_too() -> None:
    """An entry with `device` enriches the hostdev that KubeVirt made; what libvirt would write itself is no change."""
    given = load("q35-gpu-1")
    assert GPU in given

    assert devices.touched_devices(given, given.replace(GPU, GPU + GPU_AT)) == {"ua-gpu-gpu0"}
    assert devices.touched_devices(given, given.replace(GPU, GPU + b'<rom bar="off"/>')) == {"ua-gpu-gpu0"}
    assert (
        devices.touched_devices(given, given.replace(b'<hostdev type="pci"', b'<hostdev mode="subsystem" type="pci"'))
        == set()
    )


def test_functions_and_expander_buses_are_facts() -> None:
    wishes = (wish("near", "0000:3d:02.2", node=0), multifunction("card", "0000:65:00.0", 2))
    xml = transform(Domain.parse(load("q35-numa-dedicated-hugepages-1gi")), wishes).xml
    seen = devices.devices_of(xml, devices.touched_devices(load("q35-numa-dedicated-hugepages-1gi"), xml))

    assert {"expander busNr=254", "expander node=0"} <= seen["ua-passgate-near"].facts
    assert "address multifunction=on" in seen["ua-passgate-card"].facts
    assert "address multifunction=on" not in seen["ua-passgate-card-1"].facts


def test_the_others_are_known_by_their_names_before_and_after_libvirt() -> None:
    defined = standin.define(load("q35-default"))
    found = devices.other_devices(defined, frozenset())

    assert {"interface ua-default", "disk ua-root", "disk ua-ci", "controller scsi 0", "memballoon", "rng"} <= set(
        found
    )
    assert not any(name.startswith("controller pci") for name in found)
    assert devices.other_devices(standin.define(with_device(load("q35-default"))), frozenset({QAT})) == found
