"""`passgate node list` and `passgate node groups`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from pytest_mock import MockType

from domxml.errors import ExitCode
from hostdev.gate.check import verdict_of
from tests.hostdev.cli.running import MACHINES, PCI_IDS, Ran, host, machine

NAMES = ("--pci-ids", PCI_IDS)


@pytest.mark.parametrize("output", ["table", "wide"])
@pytest.mark.parametrize("name", ["two-socket-x710", "consumer-gpu", "container-view"])
def test_a_list_as_it_was(name: str, output: str, cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    ran = cli("node", "list", *host(name), *NAMES, "-o", output)

    assert ran.code == 0
    golden(f"list-{name}-{output}.txt", ran.out)


@pytest.mark.parametrize("output", ["table", "wide"])
def test_groups_as_they_were(output: str, cli: Callable[..., Ran], golden: Callable[[str, str], None]) -> None:
    golden(f"groups-{output}.txt", cli("node", "groups", *host("consumer-gpu"), *NAMES, "-o", output).out)


@pytest.mark.parametrize("name", sorted(file.stem for file in MACHINES.glob("*.toml")))
def test_every_function_and_every_member_is_listed(name: str, cli: Callable[..., Ran]) -> None:
    picture = machine(name)
    listed = cli("node", "list", *host(name), "-o", "name").out.split()
    rows = cli("node", "groups", *host(name)).out.splitlines()[1:]

    assert listed == [str(address) for address in sorted(picture.functions)]
    assert len(cli("node", "list", "--all", *host(name)).out.splitlines()) == len(listed) + 1
    assert len(rows) == sum(len(group.members) + len(group.others) for group in picture.groups.values())
    assert cli("node", "groups", *host(name), "-o", "name").out.split() == [str(n) for n in sorted(picture.groups)]


def test_columns_say_what_json_says(cli: Callable[..., Ran]) -> None:
    words = ("node", "list", *host("two-socket-x710"), *NAMES)
    rows = cli(*words, "--all").out.splitlines()[1:]
    items = json.loads(cli(*words, "-o", "json").out)["items"]

    for row, item in zip(rows, items, strict=True):
        assert row.startswith(item["address"])
        assert row.endswith("yes") == item["passthrough"]["passes"]
        assert f" {item['driver'] or '-'} " in row
        assert f" {item['role']} " in row


@pytest.mark.parametrize("output", ["table", "wide"])
@pytest.mark.parametrize("name", sorted(file.stem for file in MACHINES.glob("*.toml")))
def test_nothing_is_lost_in_a_short_list(name: str, output: str, cli: Callable[..., Ran]) -> None:
    _, *rows = cli("node", "list", *host(name), "-o", output).out.splitlines()
    counted = re.fullmatch(r"not listed: (.*); --all lists (?:them|it)", rows[-1]) if rows else None
    left_out = sum(int(part.split()[0]) for part in counted[1].split(", ")) if counted else 0
    listed = [line.split("   ")[0] for line in (rows[:-1] if counted else rows)]
    more = sum(int(cell.partition(" +")[2] or 0) for cell in listed)

    assert left_out + len(listed) + more == len(machine(name).functions)
    guests = {str(f.address) for f in machine(name).functions.values() if verdict_of(machine(name), f.address).passes}
    assert len(guests & {cell[:12] for cell in listed}) > 0 or not guests


def test_vfs_that_are_alike_are_one_row(cli: Callable[..., Ran]) -> None:
    rows = [line for line in cli("node", "list", *host("two-socket-x710"), *NAMES).out.splitlines() if " vf" in line]

    assert [(row.split("   ")[0], row.split()[-1]) for row in rows] == [
        ("0000:3b:02.0 +3", "yes"),
        ("0000:3b:02.4", "not-bound-to-vfio"),
        ("0000:3b:02.5", "not-bound-to-vfio"),
        ("0000:3b:02.6", "not-bound-to-vfio"),
        ("0000:3b:02.7", "not-bound-to-vfio"),
        ("0000:af:02.0 +7", "yes"),
    ]


def test_a_device_that_is_named_is_listed_whatever_it_is(cli: Callable[..., Ran]) -> None:
    out = cli("node", "list", "00:00.0", "3a:00.0", "3b:02.1", *host("two-socket-x710")).out

    assert [line.split()[0] for line in out.splitlines()[1:]] == ["0000:00:00.0", "0000:3a:00.0", "0000:3b:02.1"]


def test_who_knows_better_says_so_by_name(cli: Callable[..., Ran]) -> None:
    words = ("1f.4", *host("two-socket-x710"))
    address = "0000:00:1f.4"

    assert "no: platform-device" in cli("node", "list", address, *words[1:]).out
    assert "no: platform-device" not in cli("node", "list", address, "--despite", "platform-device", *words[1:]).out
    shown = cli("node", "show", address, "--despite", "platform-device", *words[1:]).out
    assert "WARNING  is the board's SMBus controller" in shown
    checked = cli("node", "doctor", address, "--despite", "platform-device", *words[1:]).out
    assert "WARN     It is a device a guest can have: is the board's SMBus controller" in checked
    for command in ("list", "doctor"):
        ran = cli("node", command, "--despite", "platform-device", *words[1:])
        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert "--despite is about devices that are named" in ran.err


def test_devices_named_come_as_named(cli: Callable[..., Ran]) -> None:
    words = ("node", "list", *host("two-socket-x710"), "-o", "name")

    assert cli(*words, "3b:02.1", "0000:3b:02.0", "pci_0000_3b_02_1").out == "0000:3b:02.1\n0000:3b:02.0\n"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("list", "3b:09.0"), ExitCode.REFUSED, "the nearest are 0000:3b:02."),
        (("list", "bus"), ExitCode.USAGE, "'bus' names no device on"),
        (("groups", "900"), ExitCode.REFUSED, "there is no IOMMU group 900"),
        (("groups", "x"), ExitCode.USAGE, "'x' names no device on"),
        (("groups", "-1"), ExitCode.USAGE, "there is no option -1"),
        (("list", "--pci-ids", "nowhere"), ExitCode.USAGE, "nowhere: the PCI names cannot be read: No such file"),
        (("list", "--pci-ids", "docs"), ExitCode.USAGE, "docs: the PCI names cannot be read: Is a directory"),
    ],
)
def test_what_is_not_there(words: tuple[str, ...], code: ExitCode, text: str, cli: Callable[..., Ran]) -> None:
    ran = cli("node", *words, *host("two-socket-x710"))

    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err


def test_an_empty_machine_has_a_header_and_a_word(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "list", *host("empty"))
    assert ran.out.split()[0] == "ADDRESS"
    assert "there are no PCI functions on tests/fixtures/machines/empty.toml" in ran.err
    assert "there are no IOMMU groups" in cli("node", "groups", *host("empty")).err


def test_one_group(cli: Callable[..., Ran]) -> None:
    lines = cli("node", "groups", "1", "1", *host("consumer-gpu")).out.splitlines()[1:]

    assert [line.split()[2] for line in lines] == [
        f"0000:{end}" for end in ("00:01.0", "01:00.0", "01:00.1", "01:00.2", "01:00.3")
    ]
    assert [line.split()[-1] for line in lines] == ["-", "-", "blocks", "blocks", "blocks"]


def test_group_verdicts_decide_on_the_exit_code(cli: Callable[..., Ran]) -> None:
    assert cli("node", "groups", "0", *host("consumer-gpu"), "--fail-on", "warning").code == ExitCode.DONE
    assert cli("node", "groups", "1", *host("consumer-gpu"), "--fail-on", "error").code == ExitCode.FINDINGS


def test_what_was_not_seen_is_told(cli: Callable[..., Ran]) -> None:
    unread = machine("container-view").unread
    err = cli("node", "list", *host("container-view")).err

    assert all(reason in err for _, reason in unread)
    assert err.count("note: not seen: ") == len({reason for _, reason in unread})


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ((), False),
        (("-o", "name"), False),
        (("-o", "csv", "--columns", "address,ids"), False),
        (("--columns", "+bars"), True),
        (("--sort", "-bars"), True),
        (("-o", "wide"), True),
        (("-o", "json"), True),
    ],
)
def test_bars_are_looked_at_only_where_they_are_shown(
    words: tuple[str, ...],
    looks: bool,  # noqa: FBT001  expected
    cli: Callable[..., Ran],
    look_machine: MockType,
) -> None:
    """That costs a file of each device."""
    cli("node", "list", *host("consumer-gpu"), *words)

    assert look_machine.call_args.kwargs == {"bars": looks}


def test_sizes_of_bars_are_a_column(cli: Callable[..., Ran]) -> None:
    rows = cli("node", "list", *host("consumer-gpu"), "-o", "csv", "--columns", "address,bars").out.splitlines()

    assert '0000:01:00.0,"16 MiB, 256 MiB, 32 MiB, I/O"' in rows
    assert "0000:02:00.0,?" in rows
