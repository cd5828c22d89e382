"""Every sentence of the reading-back, each provoked by tampering with what was written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from lxml import etree

from domxml import verify as module
from domxml.document import Domain
from domxml.errors import Refused
from domxml.transform import Transformed
from domxml.verify import CODE, HINT, verify
from tests.domxml.domains import load, names
from tests.domxml.guestslots import inject, multifunction, tree_of, wish

ALIAS = "ua-passgate-qat"
PORT = "PCI controller 15 (pcie-root-port)"


def written(name: str = "q35-default") -> Transformed:
    """One device on a port of its own; and what else the sentences are about."""
    return inject(load(name), wish("qat", "3d:02.2", acpiIndex="7", bootOrder="9", rom_bar="off"))


def tampered(result: Transformed, change: Callable[[Any], object]) -> Domain:
    root = tree_of(result.xml)
    change(root)
    return Domain.parse(etree.tostring(root))


def ours(root: Any) -> Any:
    return root.find(f"devices/hostdev/alias[@name='{ALIAS}']").getparent()


def port(root: Any) -> Any:
    """The root port that was written for it."""
    bus = int(ours(root).find("address").get("bus"), 16)
    return root.find(f"devices/controller[@index='{bus}'][@type='pci']")


def parent(element: Any) -> Any:
    return element.getparent()


def add(root: Any, text: str) -> None:
    root.find("devices").append(etree.fromstring(text))


def address(element: Any, **numbers: str) -> None:
    for name, number in numbers.items():
        element.find("address").set(name, number)


def beside(root: Any, element: Any) -> None:
    """Another device at its address."""
    add(root, f"<vsock model='virtio'>{etree.tostring(element.find('address')).decode()}</vsock>")


class Sentence(NamedTuple):
    """What is done to the output, and what the reading-back says of it."""

    change: Callable[[Any], object]
    says: str
    of_port: bool = False


SENTENCES = (
    Sentence(lambda root: parent(ours(root)).remove(ours(root)), "the device is not in the output"),
    Sentence(lambda root: ours(root).set("managed", "yes"), "libvirt would take the device away from the host itself"),
    Sentence(lambda root: ours(root).set("mode", "capabilities"), "the hostdev has lost its mode or type"),
    Sentence(
        lambda root: ours(root).find("alias").set("name", "hostdev0"), "the hostdev has no alias that libvirt keeps"
    ),
    Sentence(lambda root: ours(root).remove(ours(root).find("alias")), "the hostdev has no alias that libvirt keeps"),
    Sentence(lambda root: ours(root).remove(ours(root).find("rom")), "the hostdev has lost rom.bar"),
    Sentence(
        lambda root: [ours(root).remove(ours(root).find(tag)) for tag in ("acpi", "boot")],
        "the hostdev has lost acpiIndex, bootOrder",
    ),
    Sentence(lambda root: address(ours(root), bus="0x11"), "the hostdev is not at guest address 0000:"),
    Sentence(lambda root: ours(root).remove(ours(root).find("address")), "the hostdev is not at guest address 0000:"),
    Sentence(lambda root: add(root, f"<vsock><alias name='{ALIAS}'/></vsock>"), "two devices have this alias"),
    Sentence(lambda root: add(root, "<vsock><acpi index='7'/></vsock>"), "two devices have this acpiIndex"),
    Sentence(lambda root: add(root, "<vsock><boot order='9'/></vsock>"), "two devices have this bootOrder"),
    Sentence(lambda root: beside(root, ours(root)), "Attempted double use of PCI Address 0000:"),
    Sentence(lambda root: port(root).set("model", "pcie-switch-upstream-port"), "takes no devices"),
    Sentence(lambda root: parent(port(root)).remove(port(root)), "there is no PCI controller with index"),
    Sentence(lambda root: port(root).set("model", "pcie-to-pci-bridge"), "the controller is not in the output", True),
    Sentence(lambda root: address(port(root), slot="0x1e"), "the controller is not at guest address 0000:00:10.", True),
    Sentence(lambda root: beside(root, port(root)), "Attempted double use of PCI Address 0000:00:10.", True),
)


@pytest.mark.parametrize("sentence", SENTENCES, ids=[sentence.says for sentence in SENTENCES])
def test_what_was_tampered_with_is_refused(sentence: Sentence) -> None:
    result = written()
    with pytest.raises(Refused) as refusal:
        verify(tampered(result, sentence.change), result.changes, result.controllers)

    assert (refusal.value.code, refusal.value.hint) == (CODE, HINT)
    assert sentence.says in refusal.value.message
    assert refusal.value.subject.startswith("PCI controller " if sentence.of_port else ALIAS)


def test_a_slot_without_function_zero_is_refused() -> None:
    result = inject(load("q35-default"), multifunction("gpu", "3b:00.0", 2))
    without = result._replace(changes=result.changes[1:])

    def lose_first(root: Any) -> None:
        hostdev = root.find("devices/hostdev/alias[@name='ua-passgate-gpu']").getparent()
        hostdev.getparent().remove(hostdev)

    with pytest.raises(Refused, match="function 0 of its guest slot is empty; the guest would not look further"):
        verify(tampered(without, lose_first), without.changes, without.controllers)


def test_a_slot_whose_first_device_is_alone_is_refused() -> None:
    result = inject(load("q35-default"), multifunction("gpu", "3b:00.0", 2))

    def alone(root: Any) -> None:
        hostdev = root.find("devices/hostdev/alias[@name='ua-passgate-gpu']").getparent()
        hostdev.find("address").set("multifunction", "off")

    with pytest.raises(Refused, match="function 0 of its guest slot has multifunction='off'; QEMU refuses"):
        verify(tampered(result, alone), result.changes, result.controllers)


@pytest.mark.parametrize(
    ("model", "where", "says"),
    [
        ("pcie-root-port", "bus='0x3f'", "there is no PCI controller with index 63"),
        ("pcie-root-port", "bus='0x01'", "a pcie-root-port cannot be plugged into a pcie-root-port"),
        ("pci-bridge", "bus='0x1f'", "its index must be larger than its bus 31"),
    ],
)
def test_a_controller_where_it_cannot_be_is_refused(model: str, where: str, says: str) -> None:
    result = written()
    last = result.controllers[-1]
    there = last.address._replace(bus=int(where[5:-1], 16), slot=0, function=0)
    moved = result._replace(controllers=(*result.controllers[:-1], last._replace(address=there, model=model)))

    def move(root: Any) -> None:
        element = port(root)
        element.set("model", model)
        address(element, bus=where[5:-1], slot="0x00", function="0x0")
        if "larger" in says:
            add(root, "<controller type='pci' index='31' model='pci-bridge'/>")

    with pytest.raises(Refused, match=re.escape(says)):
        verify(tampered(moved, move), (), moved.controllers)


def test_a_chassis_and_port_that_is_taken_is_refused() -> None:
    result = written()

    def take(root: Any) -> None:
        mine = port(root)
        number = int(mine.find("address").get("slot"), 16) << 3 | int(mine.find("address").get("function"), 16)
        add(
            root,
            f"<controller type='pci' index='40' model='pcie-root-port'><target chassis='{mine.get('index')}' "
            f"port='{number:#x}'/><address type='pci' bus='0' slot='0x1d' function='0'/></controller>",
        )

    with pytest.raises(Refused, match=r"chassis [0-9]+ and port [0-9]+ are taken already; QEMU refuses them"):
        verify(tampered(result, take), result.changes, result.controllers)


def test_every_sentence_is_provoked_here() -> None:
    """A sentence that is added to the module without a test of its own is found by its words."""
    here = inspect.getsource(inspect.getmodule(test_every_sentence_is_provoked_here) or module)
    sentences = re.findall(r"(?:yield|_wrong\(change\.alias,) f?\"([^\"]+)\"", inspect.getsource(module))
    assert len(sentences) >= 15
    for sentence in sentences:
        assert max(re.split(r"\{[^}]*\}|;", sentence), key=len).strip() in here, sentence


@pytest.mark.parametrize("name", names())
def test_the_output_as_it_is_passes(name: str) -> None:
    result = inject(load(name), wish("qat", "3d:02.2"))

    verify(Domain.parse(result.xml), result.changes, result.controllers)
