"""Double a domain three times, for every element that libvirt's allocator knows, and show how the time grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bench.table import MILLISECOND, Goal, goals
from domxml.document import Domain
from domxml.errors import PassgateError
from domxml.guestpci.connect import RULES
from domxml.guestslot import GuestFunction, GuestSlot
from domxml.pciaddress import PciAddress
from domxml.transform import transform

MACHINES = {"q35": "x86_64", "pc": "x86_64", "virt": "aarch64"}
SIZES = (500, 1000, 2000, 4000)
DEVICES = (1, 2, 4, 8, 16, 32, 64)
TRIES = 9
BASE = Path("tests/fixtures/domains/q35-default.xml")
MOST_GROWTH = 2.3
"""For each doubling, of the slowest; linear is 2."""
SLOT = GuestSlot("qat", (GuestFunction(PciAddress.parse("0000:3d:02.2"), "ua-passgate-qat"),))

Element = Callable[[int], str]


def elements() -> Iterator[tuple[str, Element]]:
    """Every kind of device with every model, by name; each with its number in it."""
    for tag, rule in RULES.items():
        for model in rule.needs:
            yield f"{tag} {model or ''}".rstrip(), _element(tag, str(model or ""))
    yield "controller idx", lambda n: f"<controller type='virtio-serial' index='{n}'/>"
    yield (
        "channel",
        lambda n: f"<channel><target type='virtio'/><address type='virtio-serial' controller='{n}'/></channel>",
    )
    yield "drive", lambda n: f"<disk><target dev='sda' bus='sata'/><address type='drive' controller='{n}'/></disk>"
    yield "addressed", lambda n: f"<vsock><address type='pci' {_numbers(n)}/></vsock>"
    yield "boot", lambda n: f"<disk><target dev='vd{_letters(n)}' bus='virtio'/><boot order='{n + 1}'/></disk>"
    yield "alias", lambda n: f"<vsock><alias name='ua-{n}'/></vsock>"
    yield "not known", lambda n: f"<thing{n}/>"


def document(machine: str, element: Element, count: int) -> bytes:
    """A domain with that many of them."""
    inside = "".join(map(element, range(count)))
    kind = f"<type arch='{MACHINES[machine]}' machine='{machine}'>hvm</type>"
    return f"<domain type='kvm'><name>x</name><os>{kind}</os><devices>{inside}</devices></domain>".encode()


def seconds(data: bytes) -> float:
    """What placing one device in it costs, of a processor; it may well be refused."""
    began = time.process_time()
    with suppress(PassgateError):
        transform(Domain.parse(data), (SLOT,))
    return time.process_time() - began


def growth(machine: str, element: Element, sizes: tuple[int, ...] = SIZES) -> tuple[float, float]:
    """The growth for each doubling, over all of them, and the seconds of the largest."""
    taken = [seconds(document(machine, element, size)) for size in sizes]
    return (taken[-1] / max(taken[0], 0.002)) ** (1 / (len(sizes) - 1)), taken[-1]


def run() -> str:
    """Measure all of them on every machine; print those that grow most."""
    found: Mapping[str, tuple[float, float]] = {
        f"{machine}: {name}": growth(machine, element) for machine in MACHINES for name, element in elements()
    }
    slowest = sorted(found, key=lambda name: -found[name][0])[:5]
    lines = [
        f"A domain that doubles three times, from {SIZES[0]} elements to {SIZES[-1]}, {len(found)} kinds of elements"
    ]
    lines += [f"  {name:<58} {found[name][0]:.2f} times for each doubling, {found[name][1]:.3f} s" for name in slowest]
    worst = found[slowest[0]][0]
    goal = Goal(f"at most {MOST_GROWTH} times for each doubling", f"{worst:.2f}", worst <= MOST_GROWTH)
    return "\n".join([*lines, goals((goal,)), "", _devices()])


def _devices() -> str:
    """Place more and more devices in one domain; each has a port of its own."""
    taken = {count: min(_placing(count) for _ in range(TRIES)) for count in DEVICES}
    last = taken[DEVICES[-1]] / taken[DEVICES[-2]]
    lines = [f"One domain, {DEVICES[0]} to {DEVICES[-1]} devices put into it"]
    lines += [f"  {count:>3} devices {seconds * MILLISECOND:>8.2f} ms" for count, seconds in taken.items()]
    goal = Goal(f"at most {MOST_GROWTH} times for the last doubling", f"{last:.2f}", last <= MOST_GROWTH)
    return "\n".join([*lines, goals((goal,))])


def _placing(count: int) -> float:
    slots = [
        GuestSlot(
            f"vf{number}", (GuestFunction(PciAddress(0, 0x3D, number >> 3, number & 7), f"ua-passgate-vf{number}"),)
        )
        for number in range(count)
    ]
    began = time.process_time()
    transform(Domain.parse(BASE.read_bytes()), slots)
    return time.process_time() - began


def _element(tag: str, model: str) -> Element:
    kind, _, inner = model.partition(":")
    match tag:
        case "hostdev":
            return lambda n: f"<hostdev type='{kind}' model='{inner}'>{_source(n)}</hostdev>"
        case "controller":
            return lambda _: f"<controller type='{kind}' model='{inner}'/>"
        case "disk":
            bus = inner if kind == "bus" else "virtio"
            return lambda n: f"<disk><target dev='vd{_letters(n)}' bus='{bus}'/></disk>"
        case "interface" | "video":
            return lambda _: f"<{tag} type='user'><model type='{model}'/></{tag}>"
    return lambda n: f"<{tag} model='{model}' type='x' name='{n}'/>"


def _numbers(number: int) -> str:
    return f"domain='0' bus='{number >> 8 & 255}' slot='{number >> 3 & 31}' function='{number & 7}'"


def _source(number: int) -> str:
    return f"<source><address {_numbers(number)} uuid='c0ffee00-1111-2222-3333-{number:012x}'/></source>"


def _letters(number: int) -> str:
    return "".join(chr(97 + number // 26**power % 26) for power in (2, 1, 0))
