"""`passgate node list` and `passgate node groups`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from domxml.errors import ExitCode
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
    assert len(cli("node", "list", *host(name)).out.splitlines()) == len(listed) + 1
    assert len(rows) == sum(len(group.members) + len(group.others) for group in picture.groups.values())
    assert cli("node", "groups", *host(name), "-o", "name").out.split() == [str(n) for n in sorted(picture.groups)]


def test_columns_say_what_json_says(cli: Callable[..., Ran]) -> None:
    words = ("node", "list", *host("two-socket-x710"), *NAMES)
    rows = cli(*words).out.splitlines()[1:]
    items = json.loads(cli(*words, "-o", "json").out)["items"]

    for row, item in zip(rows, items, strict=True):
        assert row.startswith(item["address"])
        assert row.endswith("yes") == item["passthrough"]["passes"]
        assert f" {item['driver'] or '-'} " in row
        assert f" {item['role']} " in row


def test_devices_named_come_as_named(cli: Callable[..., Ran]) -> None:
    words = ("node", "list", *host("two-socket-x710"), "-o", "name")

    assert cli(*words, "3b:02.1", "0000:3b:02.0", "pci_0000_3b_02_1").out == "0000:3b:02.1\n0000:3b:02.0\n"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("list", "3b:09.0"), ExitCode.REFUSED, "the nearest are 0000:3b:02."),
        (("list", "bus"), ExitCode.USAGE, "'bus' is not a PCI address"),
        (("groups", "900"), ExitCode.REFUSED, "there is no IOMMU group 900"),
        (("groups", "x"), ExitCode.USAGE, "'x' is not the number of an IOMMU group"),
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
    assert cli("node", "list", *host("empty")).out.split()[0] == "ADDRESS"
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
