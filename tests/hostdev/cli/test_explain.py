"""`passgate node explain` and `passgate node snapshot`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from hostdev.findings.explain import EXPLAINED, explain
from hostdev.findings.registry import ALL
from hostdev.inventory.recorded.layout import open_host
from hostdev.inventory.scan import scan
from tests.hostdev.cli.running import Ran, host, machine, process

SAYS = "qemu-system-x86_64: -device vfio-pci,host=0000:3b:00.0: vfio 0000:3b:00.0: group 12 is not viable"


@pytest.mark.parametrize("code", EXPLAINED)
def test_every_code_has_its_page(code: str, cli: Callable[..., Ran]) -> None:
    assert cli("node", "explain", code) == Ran(0, explain(code), "")


def test_without_a_code_all_are_listed(cli: Callable[..., Ran]) -> None:
    ran = cli("node", "explain")

    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == list(EXPLAINED)
    assert set(ALL) < set(EXPLAINED)


def test_the_words_of_others(cli: Callable[..., Ran]) -> None:
    assert cli("node", "explain", SAYS).out == explain("group-not-viable")
    assert cli("node", "explain", *SAYS.split()[2:]).out == explain("group-not-viable")
    assert process("node", "explain", "-", stdin=f"Jan 1 virtqemud[1]: {SAYS}\n").out == explain("group-not-viable")


SYNC_FAILED = "server error. command SyncVMI failed: "


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{SYNC_FAILED}\"LibvirtError(Code=1, Domain=10, Message='internal error: {SAYS}')\"", "group-not-viable"),
        (f'{SYNC_FAILED}"rpc error: desc = companion-not-allocated: 0000:01:00.1: is in"', "companion-not-allocated"),
        ("error: 'x' is not a PCI address [bad-address]", "bad-address"),
        ('{"component": "passgate-agent", "msg": "finding", "code": "drop-failed"}', "drop-failed"),
        ('{"component": "passgate-hook", "level": "error", "msg": "late"}', "hook-late"),
    ],
)
def test_our_own_words(text: str, code: str, cli: Callable[..., Ran]) -> None:
    assert cli("node", "explain", text).out == explain(code)


def test_an_error_has_no_severity(cli: Callable[..., Ran]) -> None:
    (item,) = json.loads(cli("node", "explain", "bad-address", "-o", "json").out)["items"]

    assert (item["code"], item["severity"], item["says"]) == ("bad-address", None, [])
    assert "Severity" not in explain("bad-address")


def test_bytes_that_are_no_text() -> None:
    ran = process(
        "node", "explain", "-", stdin="", line=r'printf "\377\376 vfio 0000:3b:00.0: group 12 is not viable" | "$@"'
    )

    assert ran.code == 0
    assert "group-not-viable" in ran.out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("grup-not-viable",), "did you mean group-not-viable?"),
        (("the", "dog", "ate", "my", "homework"), "no finding is known that says this"),
    ],
)
def test_what_is_not_known(words: tuple[str, ...], text: str, cli: Callable[..., Ran]) -> None:
    ran = cli("node", "explain", *words)

    assert (ran.code, ran.out) == (ExitCode.USAGE if len(words) == 1 else ExitCode.UNKNOWN, "")
    assert text in ran.err


def test_an_empty_log() -> None:
    ran = process("node", "explain", "-")

    assert ran.code == ExitCode.USAGE
    assert "no finding is known that says this" in ran.err


def test_no_input_at_all() -> None:
    assert "standard input is closed" in process("node", "explain", "-", line='"$@" <&-').err


def test_a_snapshot_is_a_host(cli: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "again.toml"
    file.write_text(cli("node", "snapshot", *host("consumer-gpu")).out)
    with open_host(file) as opened:
        again = scan(opened)

    assert again.functions == machine("consumer-gpu").functions
    assert again.groups == machine("consumer-gpu").groups
    assert cli("node", "list", "--host", str(file)).out == cli("node", "list", *host("consumer-gpu")).out


def test_identity_is_kept_only_when_asked(cli: Callable[..., Ran], tmp_path: Path) -> None:
    file = tmp_path / "private.toml"
    mac = "00:1b:21:3c:4d:5e"
    text = cli("node", "snapshot", *host("consumer-gpu")).out
    macs = {net.mac for f in machine("consumer-gpu").functions.values() for net in f.netdevs if net.mac}
    assert macs
    for known in macs:
        text = text.replace(known, mac)
    file.write_text(text)

    assert mac not in cli("node", "snapshot", "--host", str(file)).out
    assert mac in cli("node", "snapshot", "--host", str(file), "--keep-identity").out


def test_the_picture(cli: Callable[..., Ran]) -> None:
    document = json.loads(cli("node", "snapshot", *host("consumer-gpu"), "-o", "json").out)

    assert [function["address"] for function in document["functions"]] == [
        str(a) for a in machine("consumer-gpu").functions
    ]
    assert document["functions"][0]["vendor"] == "0x8086"


EVENTS = f"""\
LAST SEEN   TYPE      REASON             OBJECT                         MESSAGE
2m          Warning   FailedScheduling   pod/virt-launcher-c-abcde 0/3 nodes are available: 3 Insufficient a.b/QAT_1.
1m          Normal    Started            pod/other                       Started container
30s         Warning   SyncFailed         virtualmachineinstance/render  server error. {SAYS}
10s         Warning   SyncFailed         virtualmachineinstance/render   failed to create GPU host-devices: no more
"""


@pytest.fixture
def events(tmp_path: Path) -> Path:
    file = tmp_path / "events.txt"
    file.write_text(EVENTS)
    return file


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("failed to create GPU host-devices", "no-address-left"),
        ("failed to create generic host-devices: the number of generic host-devices do not", "no-address-left"),
        ("no more addresses to allocate for resource intel.com/x", "no-address-left"),
        ("Insufficient qat.intel.com/generic", "resource-insufficient"),
        ("0/1 nodes are available: 1 Insufficient nvidia.com/TU104GL_Tesla_T4.", "resource-insufficient"),
        ("HostDevices feature gate is not enabled", "gate-closed"),
        ("HostDevices feature gate is not enabled in kubevirt-config", "gate-closed"),
        ("GPU feature gate is not enabled in kubevirt-config", "gate-closed"),
    ],
)
def test_words_of_events(text: str, code: str, cli: Callable[..., Ran]) -> None:
    assert cli("node", "explain", text).out == explain(code)


@pytest.mark.parametrize("text", ["Insufficient memory", "0/3 nodes are available: 3 Insufficient cpu."])
def test_what_lacks_and_is_no_device(text: str, cli: Callable[..., Ran]) -> None:
    assert "no finding is known" in cli("node", "explain", text).err


def test_a_file_is_read_however_it_is_named(events: Path, cli: Callable[..., Ran]) -> None:
    wanted = cli("node", "explain", str(events)).out

    assert cli("node", "explain", "-f", str(events)).out == wanted
    assert process("node", "explain", "-", stdin=EVENTS).out == wanted
    assert process("node", "explain", stdin=EVENTS).out == wanted
    assert process("node", "explain", line=f'"$@" <{events}').out == wanted
    assert "no-address-left" in wanted


def test_each_line_and_what_it_is_about(events: Path, cli: Callable[..., Ran]) -> None:
    table, page = cli("explain", str(events)).out.split("\n\n", 1)
    rows = {line.split()[1]: line for line in table.splitlines()[1:]}
    items = {item["code"]: item for item in json.loads(cli("node", "explain", str(events), "-o", "json").out)["items"]}

    assert rows.keys() == items.keys() == {"resource-insufficient", "group-not-viable", "no-address-left"}
    assert [rows[code].split()[0] for code in rows] == ["2", "4", "5"]
    assert page == explain("resource-insufficient")
    assert items["group-not-viable"]["lines"] == [4]
    assert items["group-not-viable"]["about"] == ["virtualmachineinstance/render", "0000:3b:00.0", "group 12"]
    assert items["resource-insufficient"]["about"] == ["pod/virt-launcher-c-abcde", "a.b/QAT_1"]


def test_one_line_among_many(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_text(f"\n\nJan 1 qemu: {SAYS}\n")
    ran = cli("node", "explain", str(file))

    assert ran.out == explain("group-not-viable")
    assert "note: line 3, about 0000:3b:00.0, group 12" in ran.err


def test_the_group_of_a_text_on_this_host(cli: Callable[..., Ran]) -> None:
    said = "vfio 0000:01:00.0: group 1 is not viable"
    ran = cli("node", "explain", said, *host("consumer-gpu"))

    assert ran.out.startswith(explain("group-not-viable"))
    assert ran.out.endswith(cli("node", "groups", "1", *host("consumer-gpu")).out)
    assert "has no group 99" in cli("node", "explain", "group 99 is not viable", *host("consumer-gpu")).err
    assert "passgate node groups 1" in cli("node", "explain", said).err


def test_a_file_that_cannot_be_read(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    ran = cli("node", "explain", "-f", str(tmp_path / "missing"))

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert "missing: cannot be read: No such file" in ran.err
    assert "there are words too" in cli("node", "explain", "-f", str(tmp_path), "text").err


def test_a_long_log_takes_no_time(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_text(f"kernel: something else happened to {SAYS[:20]}\n" * 20_000 + SAYS)

    assert cli("node", "explain", str(file)).out == explain("group-not-viable")


def test_an_empty_pipe_is_nothing() -> None:
    assert process("node", "explain", line=': | "$@"').out == process("node", "explain", line='"$@" </dev/null').out


def test_a_host_bears_out_what_a_text_says_or_does_not(cli: Callable[..., Ran]) -> None:
    borne_out = cli("explain", "vfio 00000000:01:00.0: group 1 is not viable", *host("consumer-gpu"))
    changed = cli("explain", "vfio 0000:3d:01.0: group 25 is not viable", *host("qat"))
    itself = cli("explain", "vfio 0000:3f:01.0: group 43 is not viable", *host("qat"))

    assert "0000:01:00.0 is as the text says: group-not-viable; in its group 0000:01:00.1, " in borne_out.err
    assert "stand in the way" in borne_out.err
    assert "0000:3d:01.0 does not show group-not-viable now" in changed.err
    assert "another host's; can be passed through" in changed.err
    assert "0000:3f:01.0 is as the text says: group-not-viable; besides not-bound-to-vfio" in itself.err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"])
def test_encodings_of_windows(encoding: str, tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_bytes(f"{SAYS}\r\n".encode(encoding))

    assert cli("explain", str(file)).out == explain("group-not-viable")


def test_the_end_of_a_long_log_of_windows(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_bytes("\n".encode("utf-16") * 3 + ((" " * 1023 + "\n") * (10 << 10) + SAYS).encode("utf-16-le"))

    assert cli("explain", str(file)).out == explain("group-not-viable")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(SAYS.encode()), "is packed with gzip"),
        (bytes(range(128, 256)) * 40, "is no text"),
    ],
)
def test_what_is_no_text(data: bytes, said: str, tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_bytes(data)

    assert said in cli("explain", str(file)).err


def test_the_end_of_a_long_log_is_read(tmp_path: Path, cli: Callable[..., Ran]) -> None:
    file = tmp_path / "log"
    file.write_bytes((b" " * 1023 + b"\n") * (40 << 10) + SAYS.encode())
    ran = cli("explain", str(file))

    assert ran.out == explain("group-not-viable")
    assert "log: 25 MiB in the middle were not read" in ran.err
    assert f"note: line {(40 << 10) + 1}, about" in ran.err


def test_a_mediated_device_of_a_text_on_its_host(cli: Callable[..., Ran]) -> None:
    said = "vfio {}: error getting device from group 7: Input/output error"
    there, gone = "a1b2c3d4-0001-4000-8000-0000000000a1", "a1b2c3d4-0009-4000-8000-0000000000a9"

    assert f"device {there} is there, of 0000:3b:00.0" in cli("explain", said.format(there), *host("tesla-t4")).err
    assert f"no mediated device {gone}" in cli("explain", said.format(gone), *host("tesla-t4")).err
