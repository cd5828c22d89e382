"""Throw damaged documents at what reads them: `python -m tests.fuzz [TARGET…] [--count N] [--first N] [--jobs N]`.

A document is a number: `--first N --count 1` makes the one again that something was found with.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import NamedTuple

from domxml.errors import PassgateError
from tests.domxml import fuzzing as domains
from tests.hostdev import fuzzing as host

ODD = (
    *("", "0", "-1", "1", "00", "09", "0x", "0xffffffff", "4294967296", "99999999999999999999", "9" * 5000, " 1", "+1"),
    *(
        "none",
        "pci",
        "usb",
        "sata",
        "scsi",
        "virtio",
        "ua-passgate-qat",
        "\u00e9",
        "\u0664",
        "\u00b2",
        "x" * 300,
        "\\n",
    ),
    *("&lt;", "{}", "[]", "null", "true", "1e999", "NaN", "../..", "%s", "0000:3d:02.2", "sdzzzzzzzz", "0-4095,^1"),
)
"""What stands in the place of a value."""
_VALUE = re.compile(rb"\"[^\"\n]{0,80}\"|'[^'\n]{0,80}'|=[^\s,;&<>\"']{1,80}|\b\d{1,9}\b")
_PIECE = re.compile(rb"<[^<>]{0,200}>|\{[^{}]{0,200}\}|[^\n]{0,200}\n")
MOST_BYTES = 200_000


class Target(NamedTuple):
    """Something that reads documents from outside."""

    seeds: Callable[[], Sequence[bytes]]
    """Good documents."""
    read: Callable[[bytes], object]
    """May raise PassgateError, and nothing else."""
    seconds: float = 1.0
    """What one document may cost at most, of a processor."""


TARGETS: Mapping[str, Target] = {
    "domain": Target(domains.seeds, domains.read),
    "vmi": Target(host.vmis, host.read_vmi),
    "env": Target(host.env_files, host.read_env_file),
    "checkpoint": Target(host.checkpoints, host.read_checkpoint),
    "network-info": Target(host.network_infos, host.read_network_info),
    "manifest": Target(host.manifests, host.read_manifest),
    "repository": Target(host.repositories, host.lint_repository, 4.0),
    "plan": Target(host.manifests, host.plan_manifest, 2.0),
    "recording": Target(host.recordings, host.read_recording),
}
"""Each by its name; a row more is all that a reader needs to be fuzzed."""


class Found(NamedTuple):
    """A document that broke its reader."""

    target: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.target} {self.number}: {self.what}"


def document(target: str, number: int) -> bytes:
    """Make the document of that number: a good one, damaged in a few places."""
    chance = random.Random(f"{target} {number}")  # noqa: S311  a test, no secret
    seeds = _seeds(target)
    data = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        data = chance.choice(DAMAGES)(data, chance, seeds)
    return data[:MOST_BYTES]


@cache
def _seeds(target: str) -> Sequence[bytes]:
    return TARGETS[target].seeds()


def _odd_value(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    found = [match.span() for match in _VALUE.finditer(data)]
    if not found:
        return data
    start, end = chance.choice(found)
    quote = data[start : start + 1] if data[start : start + 1] in {b'"', b"'", b"="} else b""
    return data[:start] + quote + chance.choice(ODD).encode() + (b"" if quote == b"=" else quote) + data[end:]


def _other_piece(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Take a piece out, put it in again elsewhere, or put in one of another document, once or often."""
    pieces = [match.span() for match in _PIECE.finditer(data)]
    if not pieces:
        return data
    start, end = chance.choice(pieces)
    there, _ = chance.choice(pieces)
    match chance.randrange(4):
        case 0:
            return data[:start] + data[end:]
        case 1:
            return data[:there] + data[start:end] + data[there:]
        case 2:
            return data[:start] + data[start:end] * chance.choice((2, 3, 40, 400)) + data[end:]
        case _:
            other = chance.choice(seeds)
            at = chance.randrange(len(other) + 1)
            return data[:there] + other[at : at + chance.randrange(400)] + data[there:]


def _flipped_bytes(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.randrange(6)) + data[at + chance.randrange(6) :]


def _cut(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    start, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    return data[:start] if chance.randrange(2) else data[:start] + data[end:]


def _repeated_element(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    """A whole element over and over, each with the next number in it."""
    found = [match.span() for match in re.finditer(rb"<(\w+)\b[^<>]*>(?:(?!<\1\b).){0,600}?</\1>", data, re.DOTALL)]
    if not found:
        return data
    start, end = chance.choice(found)
    piece = data[start:end]
    digits = re.search(rb"\d+", piece)
    count = min(chance.choice((3, 30, 300)), MOST_BYTES // max(len(piece), 1))
    if digits is None:
        return data[:start] + piece * count + data[end:]
    numbered = (piece[: digits.start()] + str(n).encode() + piece[digits.end() :] for n in range(count))
    return data[:start] + b"".join(numbered) + data[end:]


DAMAGES = (_odd_value, _odd_value, _odd_value, _other_piece, _other_piece, _repeated_element, _flipped_bytes, _cut)


def try_documents(target: str, first: int, count: int) -> list[Found]:
    """Read each document; tell those that did anything but work, or be refused in words, within their time."""
    return list(_try(target, first, count))


def _try(name: str, first: int, count: int) -> Iterator[Found]:
    target = TARGETS[name]
    for number in range(first, first + count):
        data = document(name, number)
        began = time.process_time()
        try:
            target.read(data)
        except PassgateError as refusal:
            if not refusal.sentence().isprintable():
                yield Found(name, number, f"its refusal is not printable: {refusal.sentence()!r}")
        except Exception as error:  # noqa: BLE001  that is what is looked for
            yield Found(name, number, f"{type(error).__name__}: {error}"[:300])
        took = time.process_time() - began
        if took > target.seconds:
            yield Found(name, number, f"took {took:.2f} s for {len(data)} bytes")


def main() -> int:
    """Run the long way."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], help="what is to be fuzzed (default: all)")
    parser.add_argument("--count", type=int, default=100_000, help="documents for each (default 100000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first document (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    arguments = parser.parse_args()
    bad = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for name in arguments.target or TARGETS:
            step = max(1, min(2000, arguments.count))
            firsts = range(arguments.first, arguments.first + arguments.count, step)
            sizes = [min(step, arguments.first + arguments.count - first) for first in firsts]
            done = 0
            for size, found in zip(sizes, pool.map(try_documents, [name] * len(sizes), firsts, sizes), strict=True):
                done += size
                bad += len(found)
                for one in found:
                    sys.stdout.write(f"{one}\n")
                sys.stdout.flush()
            sys.stdout.write(f"{name}: {done} documents\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
