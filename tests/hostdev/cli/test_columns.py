"""Selectors, columns, order and forms of `passgate node list` and `passgate node groups`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from domxml.errors import ExitCode
from hostdev.cli.commands.common import SELECTOR_KEYS
from hostdev.cli.node import groups, listing
from hostdev.cli.selection import OPTIONS
from hostdev.gate.selection import KEYS
from tests.hostdev.cli.running import PCI_IDS, Ran, host
from tests.hostdev.cli.terminal import SGR, at_terminal

QAT = host("qat")
X710 = (*host("two-socket-x710"), "--pci-ids", PCI_IDS)
GPU = host("consumer-gpu")


def lines(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.err
    return ran.out.splitlines()


def test_selectors_work_as_words_and_as_options(cli: Callable[..., Ran]) -> None:
    words = lines(cli("node", "list", "class=crypto", "driver=vfio-pci", "numa=0", "8086:", "-o", "name", *QAT))
    options = ("--class", "crypto", "--driver", "vfio-pci", "--numa", "0", "-d", "8086:")

    assert len(words) == 26
    assert lines(cli("node", "list", *options, "-o", "name", *QAT)) == words
    assert (
        lines(cli("node", "list", "--vendor=intel", "-d8086:37c9,8086:4941", "--driver=vfio-pci", "-o", "name", *QAT))
        == words
    )


def test_selectors_and_names_together(cli: Callable[..., Ran]) -> None:
    assert lines(cli("node", "list", "3d:01.1", "3d:00.0", "3f:01.0", "ready", "-o", "name", *QAT)) == ["0000:3d:01.1"]


def test_vfs_that_fit_are_folded_and_bridges_only_shown_where_they_are_meant(cli: Callable[..., Ran]) -> None:
    ready = lines(cli("node", "list", "ready", *QAT))
    bridges = lines(cli("node", "list", "bridge", *QAT))

    assert ready[1].startswith("0000:3d:01.0 +15")
    assert len(bridges) == 1 + 6
    assert "not listed" not in "".join(bridges)
    assert lines(cli("node", "list", "numa=0", *QAT))[-1].startswith("not listed: ")


@pytest.mark.parametrize("verb", ["list", "groups"])
def test_that_nothing_fits_is_told_and_no_error(verb: str, cli: Callable[..., Ran]) -> None:
    ran = cli("node", verb, "driver=vfio", *QAT)

    assert ran.code == ExitCode.DONE
    assert len(ran.out.splitlines()) == 1
    assert "note: no device fits driver=vfio; did you mean driver=vfio-pci?" in ran.err
    assert cli("node", verb, "driver=vfio", "-o", "name", *QAT).out == ""
    assert json.loads(cli("node", verb, "driver=vfio", "-o", "json", *QAT).out)["items"] == []


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("gppu", "did you mean gpu?"),
        ("redy", "did you mean ready?"),
        ("c6xx", "did you mean driver=c6xx?"),
        ("intel", "did you mean vendor=intel?"),
        ("driver", "a selector has a value: driver=…"),
        ("zzz", "a device is named by an address"),
        ("sdb", "did you mean sda?"),
        ("driver:ast", "such as 0000:3d:02.2"),
    ],
)
def test_a_word_that_is_neither_says_what_is_near(word: str, text: str, cli: Callable[..., Ran]) -> None:
    ran = cli("node", "list", word, *QAT)

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert text in ran.err


def test_columns_are_chosen_added_and_left_out(cli: Callable[..., Ran]) -> None:
    def header(*words: str) -> list[str]:
        return lines(cli("node", "list", *words, *QAT))[0].split()

    assert header("--columns", "ids,address") == ["IDS", "ADDRESS"]
    assert header("--columns", "IDS, address") == ["IDS", "ADDRESS"]
    assert header("--columns", "+ids,-numa,-role")[-2:] == ["PASSTHROUGH", "IDS"]
    assert header("--columns", "-numa") == ["ADDRESS", "CLASS", "NAME", "DRIVER", "GROUP", "ROLE", "PASSTHROUGH"]
    assert header("--columns", "all") == [field.title for field in listing.FIELDS]
    assert header("--columns", "all,-address,-name")[0] == "CLASS"
    assert lines(cli("node", "list", "--columns", "address", "--no-headers", "ready", *QAT))[0] == "0000:3d:01.0 +15"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--columns", "adress"), "there is no column 'adress' [bad-usage]\nhint: did you mean address?"),
        (("--columns", ""), "--columns needs a value"),
        (("--columns", "ids,+,x"), "there is no column"),
        (("--sort", "adress"), "did you mean address?"),
        (("--columns", "ids", "-o", "json"), "--columns is for tables, and -o json prints none"),
        (("--no-headers", "-o", "name"), "--no-headers is for tables, and -o name prints none"),
    ],
)
def test_a_column_that_is_not_there_is_refused(words: tuple[str, ...], text: str, cli: Callable[..., Ran]) -> None:
    for verb in ("list", "groups"):
        ran = cli("node", verb, *words, *QAT)

        assert ran.code == ExitCode.USAGE
        assert text in ran.err
        assert not ran.out.startswith("ADDRESS")


def test_help_about_columns_needs_no_host(cli: Callable[..., Ran]) -> None:
    for verb, fields in (("list", listing.FIELDS), ("groups", groups.FIELDS)):
        told = lines(cli("node", verb, "--columns", "help", "--host", "/nowhere"))

        assert [line[2:].split()[0] for line in told[:-1]] == [field.name for field in fields]


def test_rows_are_sorted_by_several_columns(cli: Callable[..., Ran]) -> None:
    words = ("node", "list", "--all", "--no-headers", "--columns", "driver,group,address", *QAT)
    rows = [line.split() for line in lines(cli(*words, "--sort", "-driver,group"))]
    groups_of = [int(group) for driver, group, _ in rows if driver == "vfio-pci"]

    assert [driver for driver, *_ in rows if driver != "-"] == sorted((d for d, *_ in rows if d != "-"), reverse=True)
    assert groups_of == sorted(groups_of), "9 comes before 10"
    assert rows[-1][0] == "-", "what has none comes last"
    assert lines(cli(*words, "--sort=-address"))[0].endswith("0000:6b:02.0")
    by_address = json.loads(cli("node", "list", "-o", "json", "--sort", "-address", *QAT).out)["items"]
    assert by_address[0]["address"] == "0000:6b:02.0"
    far = lines(cli("node", "list", "--sort", "address", "--all", "--no-headers", *host("vmd")))
    assert far[-1].startswith("10000:e2:00.0")


def test_csv_has_a_line_for_each_function(cli: Callable[..., Ran]) -> None:
    names = lines(cli("node", "list", "-o", "name", *X710))
    rows = list(csv.DictReader(io.StringIO(cli("node", "list", "-o", "csv", *X710).out)))

    assert [row["address"] for row in rows] == names
    assert {row["driver"] for row in rows} >= {"", "vfio-pci"}, "empty where a table has a dash"
    assert [row["ids"] for row in rows if row["address"] == "0000:3b:02.0"] == ["8086:154c"]
    assert any("," in row["has"] for row in rows), "commas are quoted"
    plain = cli("node", "list", "ready", "-o", "csv", "--columns", "address,ids", "--no-headers", *X710).out
    assert plain.splitlines()[0] == "0000:3b:02.0,8086:154c"


def test_lines_of_json_are_the_items_of_the_document(cli: Callable[..., Ran]) -> None:
    for verb, machine in (("list", X710), ("groups", GPU)):
        items = json.loads(cli("node", verb, "-o", "json", *machine).out)["items"]
        assert list(map(json.loads, lines(cli("node", verb, "-o", "jsonl", *machine)))) == items


def test_ids_are_written_as_everywhere(cli: Callable[..., Ran]) -> None:
    (item,) = json.loads(cli("node", "list", "3b:02.0", "-o", "json", *X710).out)["items"]

    assert (item["id"], item["vendor"], item["device"]) == ("8086:154c", "0x8086", "0x154c")
    assert item["title"] == "Intel Ethernet Virtual Function 700 Series"
    assert lines(cli("node", "list", item["id"], "-o", "name", *X710))[0] == "0000:3b:02.0"


def test_groups_of_devices_and_of_what_fits(cli: Callable[..., Ran]) -> None:
    def numbers(*words: str) -> list[str]:
        return lines(cli("node", "groups", *words, "-o", "name", *GPU))

    assert numbers("01:00.0") == numbers("1") == numbers("group:1") == ["1"]
    assert numbers("gpu") == ["1", "2"]
    assert numbers("1", "5", "gpu") == ["1"]
    assert numbers("nvme", "--driver", "nvme") == ["4"]
    assert numbers("5", "4") == ["5", "4"]
    assert numbers("not-viable", "gpu") == ["1", "2"]
    assert numbers("viable") == []
    assert "note: none of these groups is viable" in cli("node", "groups", "viable", *GPU).err
    assert lines(cli("node", "groups", "Viable", "-o", "name", *QAT))[:2] == ["7", "8"]
    table = lines(
        cli("node", "groups", "gpu", "--columns", "group,address,ids", "--no-headers", "--sort", "-address", *GPU)
    )
    assert table[0].split() == ["1", "0000:01:00.3", "10de:1ad7"]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_wide_has_every_column_on_any_terminal(width: int) -> None:
    for verb, columns in (("list", listing.LISTING.wide), ("groups", groups.LISTING.wide)):
        text = SGR.sub("", at_terminal("node", verb, "-o", "wide", *X710, width=width))

        assert text.splitlines()[0].lower().split() == list(columns)
        assert "…" not in text.replace("9 …", "").replace("20 …", "").replace("25 …", ""), "nothing is cut"


def test_a_narrow_table_says_what_it_leaves_out() -> None:
    text = SGR.sub("", at_terminal("node", "list", *X710, width=80))

    assert text.splitlines()[0].split() == ["ADDRESS", "NAME", "DRIVER", "GROUP", "PASSTHROUGH"]
    assert "no room for CLASS, NUMA, ROLE; -o wide shows all columns" in text
    assert "host-network-device" in text, "codes are never cut"
    assert "no room" not in at_terminal("node", "list", *X710, width=120)
    named = SGR.sub("", at_terminal("node", "list", "--columns", "address,class,numa,role,name", *X710, width=60))
    assert named.splitlines()[0].split() == ["ADDRESS", "CLASS", "NUMA", "ROLE", "NAME"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--passable",), "write passable, without dashes"),
        (("--ready",), "write ready, without dashes"),
        (("--role", "vf"), "write role=VALUE, without dashes"),
        (("-o", "custom-columns=NAME:.name"), "choose columns with --columns and -o csv"),
        (("-o", "jsonpath={.items}"), "or pick from -o json with jq"),
    ],
)
def test_habits_of_others_are_answered(words: tuple[str, ...], text: str, cli: Callable[..., Ran]) -> None:
    for verb in ("list", "groups"):
        ran = cli("node", verb, *words, *QAT)
        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert text in ran.err
    by = lines(cli("node", "list", "--sort-by", "driver", "--fields", "driver", *QAT))
    assert by == lines(cli("node", "list", "--sort", "driver", "--columns", "driver", *QAT))


def test_every_selector_is_an_option_or_answered_as_one() -> None:
    keys = {key.names[0] for key in KEYS}

    assert keys == {*SELECTOR_KEYS, *OPTIONS}
