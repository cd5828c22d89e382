"""Selectors: what each word means, on every recorded machine, and what is no selector."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domxml.errors import BadInput
from hostdev.cli.devices import Device, list_devices
from hostdev.gate import selection
from hostdev.gate.selection import FLAGS, KEYS, choose, explain_nothing, parse
from hostdev.inventory import pciids
from hostdev.inventory.devicewords import KINDS, class_words, known_words
from tests.hostdev.cli.running import MACHINES, ROOT, machine

PCI_IDS = pciids.namer(str(ROOT / "tests/hostdev/cli/pci.ids"))
NAMES = sorted(file.stem for file in MACHINES.glob("*.toml"))


def devices(name: str) -> tuple[Device, ...]:
    return list_devices(machine(name), PCI_IDS)


def chosen(name: str, *words: str) -> list[str]:
    selectors = [selector for selector in map(parse, words) if selector]
    assert len(selectors) == len(words), "all of them are selectors"
    return [str(device.function.address) for device in choose(devices(name), selectors)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("crypto",), 51),
        (("class=crypto", "vf"), 48),
        (("qat", "ready"), 28),
        (("qat", "pf"), 3),
        (("co-processor", "not-ready", "not-pf"), 20),
        (("8086:37c9",), 32),
        (("8086:37C9", "driver=vfio-pci"), 16),
        (("0x8086:0x37c9",), 32),
        (("ids=8086:37c9", "driver!=vfio-pci"), 16),
        (("driver=vfio*,qat_vfio_pci",), 28),
        (("driver=none", "vf"), 2),
        (("unbound", "vf"), 2),
        (("*:4941",), 16),
        (("vendor=aspeed",), 2),
        (("vendor=1a03",), 2),
        (("vendor=0x1A03:",), 2),
        (("1a03:",), 2),
        (("3d:",), 17),
        (("3d:01.*",), 8),
        (("0000:3d:",), 17),
        (("address=3d:", "not-ready"), 1),
        (("group=25,26,27",), 3),
        (("pf=3d:00.0",), 16),
        (("class=0b4000",), 51),
        (("class=0x0b40", "reason=pf-with-vfs"), 3),
        (("has=sd*",), 1),
        (("gpu", "nvme"), 1),
        (("GPU", "NOT-Ready"), 1),
        (("!ready", "class==crypto", "not-pf"), 20),
        (("numa=-1",), 0),
        (("numa!=-1",), 61),
        (("gpus", "driver=ast"), 1),
        (("name=c62x",), 2),
        (("class!=crypto", "class!=bridge", "class!=usb"), 3),
    ],
)
def test_what_a_word_means(words: tuple[str, ...], found: int) -> None:
    assert len(chosen("qat", *words)) == found


@pytest.mark.parametrize("name", NAMES)
def test_each_selector_and_its_negation_part_the_devices(name: str) -> None:
    everything = devices(name)
    for key in KEYS:
        # A comma parts values.
        for value in {word.replace(",", "?") for device in everything for word in key.words(device)}:
            written = selection.NONE if value == selection.NONE else value
            fitting = chosen(name, f"{key.names[0]}={written}")
            other = chosen(name, f"{key.names[0]}!={written}")

            assert fitting, f"{key.names[0]}={written} fits what it was read from"
            assert sorted(fitting + other) == sorted(str(d.function.address) for d in everything)


@pytest.mark.parametrize("word", [*FLAGS, *known_words(), *(f"{word}s" for word in known_words() if word[-1] != "s")])
def test_words_need_no_key(word: str) -> None:
    selector, negated = parse(word), parse(f"not-{word}")

    assert selector is not None
    assert negated is not None
    assert selector.key == negated.key
    assert selector.patterns == negated.patterns
    assert (selector.negated, negated.negated) == (False, True)


@pytest.mark.parametrize(
    "word",
    ["3d:02.2", "0000:3d:02.2", "3d:02", "ens1f0", "nvme0n1", "43", "group:43", "pci_0000_3d_02_2", "/dev/sda"],
)
def test_names_of_devices_are_no_selectors(word: str) -> None:
    assert parse(word) is None


@pytest.mark.parametrize(
    ("word", "what", "hint"),
    [
        ("clas=gpu", "there is no selector 'clas'", "did you mean class?"),
        ("frobnicate=1", "there is no selector 'frobnicate'", "known: class, vendor"),
        ("class=gppu", "class cannot be 'gppu'", "did you mean gpu?"),
        ("class=", "class= has no value", "such as class=gpu"),
        ("numa=zero", "numa cannot be 'zero'", "it is a number, or none"),
        ("group=-2", "group cannot be '-2'", "it is a number, or none"),
        ("!redy", "'!redy' is no selector", "did you mean ready?"),
        ("role=vff", "role cannot be 'vff'", "did you mean vf?"),
        ("use=free", "use cannot be 'free'", "it is one of used, unused, unknown"),
        ("reason=group-not-viabel", "reason cannot be 'group-not-viabel'", "did you mean group-not-viable?"),
        ("not-redy", "'not-redy' is no selector", "did you mean ready?"),
        ("driver=a,,b", "driver= has no value", "such as driver=vfio-pci"),
    ],
)
def test_a_mistake_names_what_was_meant(word: str, what: str, hint: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(word)

    assert refused.value.code == "bad-selector"
    assert what in refused.value.what
    assert hint in refused.value.hint


def test_that_nothing_fits_is_explained() -> None:
    def told(*words: str) -> str:
        return explain_nothing(devices("qat"), [selector for selector in map(parse, words) if selector])

    assert told("driver=vfio-pc").startswith(
        "no device fits driver=vfio-pc; did you mean driver=vfio-pci? there is 4xxx"
    )
    assert told("10de:").startswith("no device fits 10de:; there is 1a03:1150, 1a03:2000, 8086:2020, ")
    assert told("gpu", "ready") == "no device fits gpu and ready; by itself each fits: gpu (1), ready (28)"
    assert explain_nothing((), []) == "no device fits ; by itself each fits: "


@given(st.text(alphabet="abc:!=*.,-0123_ é", max_size=12))
def test_any_text_is_a_selector_a_name_or_refused(word: str) -> None:
    with contextlib.suppress(BadInput):
        selector = parse(word)
        if selector:
            choose(devices("group-zero"), [selector])


def test_every_class_has_the_words_people_say() -> None:
    function = devices("qat")[0].function
    words = {
        0x030000: {"gpu", "vga", "display"},
        0x030200: {"gpu", "3d", "display"},
        0x020000: {"nic", "network", "ethernet"},
        0x020700: {"nic", "infiniband", "ib"},
        0x010802: {"nvme", "ssd", "storage", "disk"},
        0x0B4000: {"crypto", "co-processor", "qat"},
        0x100000: {"crypto"},
        0x120000: {"fpga", "accelerator"},
        0x0C0330: {"usb"},
    }
    for code, expected in words.items():
        assert expected <= class_words(replace(function, class_code=code)), f"{code:06x}"
    assert "qat" not in class_words(replace(function, class_code=0x0B4000, vendor=0x1234))


def test_the_page_lists_all_of_it() -> None:
    rows = [line for line in (ROOT / "docs/selectors.md").read_text().splitlines() if line.startswith("| `")]
    words = {word for row in rows for word in re.findall(r"`([^`]+)`", row)}

    assert {f"{name}=" for key in KEYS for name in key.names} <= words
    assert set(FLAGS) <= words
    assert {word for kind in KINDS for word in kind.words} <= words
