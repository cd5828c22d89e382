"""`passgate node draw`: the picture is well-formed, complete and legible."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest

from domxml.pciaddress import PciAddress
from hostdev.cli.drawing import svg, text
from hostdev.cli.drawing.scene import HUES, Knot, Scene, forest, tint
from hostdev.cli.drawing.text import draw
from hostdev.inventory.machine import Machine
from hostdev.inventory.pciids import Name
from tests.hostdev.cli.running import MACHINES, PCI_IDS, Ran, host, machine

EVERY_MACHINE = sorted(file.stem for file in MACHINES.glob("*.toml"))
SVG = "{http://www.w3.org/2000/svg}"
BY = ("group", "driver", "numa")


def scene(picture: Machine, by: str = "group", name: str = "A device") -> Scene:
    return Scene.of(picture, lambda _function: Name("Some Corporation", name), by)


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314  our own document


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in parsed(picture).iter(f"{SVG}text")]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("name", EVERY_MACHINE)
def test_every_function_is_in_every_picture_once(name: str, by: str) -> None:
    picture = machine(name)
    shown = scene(picture, by)
    drawn = texts(svg.draw(shown))

    for address, function in picture.functions.items():
        label = str(address) if function.physfn not in picture.functions else str(address).partition(":")[2]
        assert drawn.count(label) == 1, address
    nodes = re.findall(r'^    "([^"]+)" \[label', draw(shown), re.MULTILINE)
    assert sorted(nodes) == sorted(map(str, picture.functions))


@pytest.mark.parametrize("name", EVERY_MACHINE)
def test_nothing_leaves_the_page_and_no_two_boxes_overlap(name: str) -> None:
    root = parsed(svg.draw(scene(machine(name), name="A name so long that it will not fit into any box " * 3)))
    width, height = (float(root.get(key, "")) for key in ("width", "height"))
    boxes = []
    for box in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(box.get(key, "0")) for key in ("x", "y", "width", "height"))
        assert x + w <= width
        assert y + h <= height
        if h in {svg.TALL, svg.FLAT, svg.CHIP} and w > 6:
            boxes.append((x, y, w, h))
    for index, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[index + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    for label in root.iter(f"{SVG}text"):
        size = float(label.get("font-size", ""))
        left = float(label.get("x", "")) - (0.3 * size * len(label.text or "") if label.get("text-anchor") else 0)
        assert left + 0.53 * size * len(label.text or "") <= width


def test_the_picture_as_it_was(cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    words = ("node", "draw", *host("consumer-gpu"), "--pci-ids", PCI_IDS)

    golden("draw.txt", cli(*words).out)
    golden("draw.svg", cli(*words, "-o", "svg").out)
    golden("draw.dot", cli(*words, "-o", "dot", "--by", "driver").out)


def test_many_vfs_share_a_line(cli: Callable[..., Ran]) -> None:
    lines = cli("node", "draw", *host("two-socket-x710"), "--pci-ids", PCI_IDS).out.splitlines()
    vfs = [line for line in lines if ":02." in line]

    assert "0000:3b:02.0 to 0000:3b:02.3  4 VFs  [vfio-pci]  groups 9 to 12  yes" in vfs[0]
    assert "0000:3b:02.4  ethernet  [iavf]  group 13  no: not-bound-to-vfio  Intel Ethernet Virtual Function" in vfs[1]


@pytest.mark.parametrize("by", BY)
def test_the_legend_counts_every_device(by: str) -> None:
    shown = scene(machine("qat"), by)
    legend = shown.legend()
    ends = [address for address in shown.devices if not shown.is_flat(address)]

    assert sum(count for _, count in legend) == len(ends)
    drawn = texts(svg.draw(shown))
    assert all(f"{kind} ({count})" in drawn for kind, count in legend)
    assert {"can be passed through", "cannot, as it is now"} <= set(drawn)


def test_shared_groups_stand_out() -> None:
    shown = scene(machine("consumer-gpu"))
    shared = {address for address, kind in shown.kinds.items() if kind == "group 1"}
    alone = shown.color(PciAddress.parse("02:00.0"))

    assert {str(address) for address in shared} >= {f"0000:01:00.{function}" for function in range(4)}
    assert alone not in {shown.color(address) for address in shared}


def test_vfio_drivers_are_green_and_nothing_else_is() -> None:
    shown = scene(machine("qat"), "driver")
    green = {kind for kind, color in shown.colors.items() if color == shown.colors["vfio-pci"]}

    assert green == {"vfio-pci", "qat_vfio_pci"}
    assert shown.colors["vfio-pci"] not in HUES


def test_a_tint_is_lighter() -> None:
    assert tint("#000000", 0) == "#ffffff"
    assert tint("#123456", 1) == "#123456"
    assert tint("#000000", 0.5) == "#808080"


def test_hostile_names_stay_text() -> None:
    name = "<script>&\"'\x00\x1b[31m\n]]>"
    picture = machine("consumer-gpu")
    functions = {a: replace(f, driver="</svg>") for a, f in picture.functions.items()}
    shown = scene(replace(picture, functions=functions, source='a"<b>&.toml'), name=name)
    drawn = svg.draw(shown)

    assert "script" in "".join(texts(drawn))
    assert not list(parsed(drawn).iter(f"{SVG}script"))
    assert "\x1b" not in drawn + draw(shown)
    assert all(len(re.findall(r'(?<!\\)"', line)) % 2 == 0 for line in draw(shown).splitlines())


def test_a_high_card_goes_on_in_the_next_column() -> None:
    picture = machine("consumer-gpu")
    template = picture.functions[PciAddress.parse("02:00.0")]
    many = {
        address: replace(template, address=address, parent=None)
        for address in (PciAddress(0, 0, slot, function) for slot in range(8, 31) for function in range(2))
    }
    drawn = svg.draw(scene(replace(picture, functions=many)))
    root = parsed(drawn)

    assert texts(drawn).count("pci0000:00") == 1
    assert "pci0000:00 (continued)" in texts(drawn)
    assert float(root.get("height", "")) < 1.4 * svg.HIGH


def test_the_forest_has_every_function_once() -> None:
    def addresses(knot: Knot) -> list[PciAddress]:
        return [knot.address, *knot.vfs, *(address for child in knot.below for address in addresses(child))]

    for name in EVERY_MACHINE:
        found = [address for root in forest(machine(name)) for knot in root.knots for address in addresses(knot)]
        assert sorted(found) == sorted(machine(name).functions)


def test_vfs_of_a_pf_that_is_not_there_are_not_lost() -> None:
    picture = machine("two-socket-x710")
    pf = PciAddress.parse("3b:00.0")
    lost = replace(picture, functions={a: f for a, f in picture.functions.items() if a != pf})

    assert len(text.branches(scene(lost))) == len(text.branches(scene(picture)))
    assert "0000:3b:02.0" in texts(svg.draw(scene(lost)))


def test_graphviz_takes_it() -> None:
    if shutil.which("dot") is None:
        pytest.skip("graphviz is not installed")
    subprocess.run(["dot", "-Tsvg", "-o/dev/null"], input=draw(scene(machine("qat"))), text=True, check=True)
