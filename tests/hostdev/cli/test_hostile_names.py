"""Names that a machine was given by strangers: no command carries them, and no terminal gets them raw."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostdev.cli.main import main
from hostdev.inventory.recorded import toml
from hostdev.inventory.recorded.recording import Recording
from tests.hostdev.cli.running import ROOT
from tests.hostdev.machines.builder import Builder

COMMAND = re.compile(r"passgate node bind (?:[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] ?)+(?:--with-group)?")
NAMES = st.text(
    st.one_of(
        st.sampled_from("$`;|&<>(){}[]*?!#~'\"\\ \t\n\r\x1b\x07\x9b\x7f\u202e\u2066\u200b%=:,"),
        st.characters(codec="utf-8", exclude_characters="/\0"),
    ),
    min_size=1,
    max_size=24,
).filter(lambda name: name not in {".", ".."} and len(name.encode()) < 100)
EXAMPLES = (
    "$(touch x)",
    "x; rm -rf ~ #",
    "a\nb",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\u202eoivf",
    "`id`",
    "' || true; '",
    "vfio-pci\n",
)


def _machine(driver: str, net: str, disk: str, option: str) -> Recording:
    built = Builder(cmdline=f"quiet root=/dev/sda2 {option} iommu=off,{option}")
    built.vfio()
    root = built.root("pci0000:00")
    built.bridge(root, "0000:00:01.0", driver=driver)
    gpu = built.function(root, "0000:01:00.0", "10de:1e04", 0x030000, driver="vfio-pci")
    built.function(root, "0000:01:00.1", "10de:10f7", 0x040300, driver=driver, group=gpu)
    built.bridge(root, "0000:01:00.2", driver=driver, group=gpu)
    nic = built.function(root, "0000:02:00.0", "8086:1572", 0x020000, driver=driver, override=driver)
    built.netdev(nic, net, up=False)
    built.function(root, "0000:02:00.1", "8086:1572", 0x020000, override=driver)
    sata = built.function(root, "0000:03:00.0", "8086:a182", 0x010601, driver="ahci")
    built.disk(f"{sata.path}/ata1/host0/target0:0:0/0:0:0:0/block", "sda")
    built.mapped("dm-0", disk, "sda")
    built.mount("dm-0", f"/{disk}")
    built.mdev_type(gpu, driver, net, 1)
    return built.recording(disk)


def _outputs(machine: Path) -> Iterator[tuple[str, str]]:
    host = ("--host", str(machine))
    for words in (
        ("node", "list", "--all", "-o", "wide", *host),
        ("node", "list", "-o", "yaml", *host),
        ("node", "groups", "-o", "wide", *host),
        ("node", "doctor", "0000:01:00.0", "0000:02:00.0", "0000:02:00.1", "0000:03:00.0", *host),
        *(("node", "show", f"0000:{end}", *host) for end in ("00:01.0", "01:00.1", "02:00.0", "03:00.0")),
        ("node", "draw", "--by", "driver", *host),
        ("node", "draw", "-o", "dot", "--by", "driver", *host),
        ("node", "draw", "-o", "svg", "--by", "driver", *host),
        ("node", "snapshot", "--keep-identity", *host),
        ("node", "compare", "tests/fixtures/machines/consumer-gpu.toml", str(machine)),
        ("manifest", "8086:1572", *host),
        ("inject", "demo/q35.xml", "--device", "0000:02:00.0", "--device", "0000:01:00.0", "-o", "plan", *host),
        ("inject", "demo/q35.xml", "--device", "0000:01:00.0", *host),
        ("__complete", "node", "show", "--host", str(machine), ""),
    ):
        yield " ".join(words), _run(words)


def _run(words: Sequence[str]) -> str:
    """All that a command line prints, on either stream."""
    data, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(data, encoding="utf-8")
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    out.flush()
    assert code in {0, 1, 2, 5}, (words, err.getvalue())
    return data.getvalue().decode() + err.getvalue()


def _check(driver: str, net: str, disk: str, option: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        machine = Path(directory) / "machine.toml"
        machine.write_text(toml.write(_machine(driver, net, disk, option)), encoding="utf-8")
        for words, text in _outputs(machine):
            # A word for a shell and what it means stand on both sides of a tab.
            plain = text.replace("\t", " ") if words.startswith("__complete") else text
            assert all(line.isprintable() for line in plain.split("\n")), (words, text)
            flat = " ".join(text.split())
            assert len(COMMAND.findall(flat)) == flat.count("passgate node bind"), (words, text)


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_command_carries_a_name_and_no_terminal_gets_it_raw(name: str) -> None:
    _check(name, name, name, name.replace(" ", "_"))


@settings(max_examples=5, deadline=None)
@given(NAMES, NAMES, NAMES, NAMES)
def test_nor_any_other(driver: str, net: str, disk: str, option: str) -> None:
    _check(driver, net, disk, option)


XML = r"""<domain type='kvm'><name>{0}</name><memory>1</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices>
<disk type='file' device='{0}'><target dev='{0}' bus='virtio'/><alias name='ua-{0}'/></disk>
<interface type='user'><target dev='{0}'/><model type='virtio'/><alias name='ua-nic-{0}'/></interface>
<hostdev mode='subsystem' type='pci'><source><address bus='0x3d' slot='2' function='3'/></source>
<alias name='ua-passgate-{0}'/></hostdev></devices></domain>"""
IN_XML = "\x80\x85\x9b\u061c\u200b\u200e\u202e\u2028\u2066\ufeff'\"<&$`;"


@pytest.mark.parametrize(
    "words", ["-o plan", "-o wide", "--remove 3d:02.3 -o plan", "--device 3d:02.2,teaming=x", "slots"]
)
@pytest.mark.parametrize("letter", IN_XML)
def test_names_of_a_domain_reach_no_terminal_raw(tmp_path: Path, words: str, letter: str) -> None:
    file = tmp_path / "vm.xml"
    file.write_text(XML.format(escape(f"a{letter}b", {"'": "&apos;"})), encoding="utf-8")
    line = ("slots", str(file)) if words == "slots" else ("inject", str(file), "--host", "none", *words.split())
    text = _run((*line, "--device", "3d:02.2") if words.startswith("-o") else line)

    assert text
    assert all(shown.isprintable() for shown in text.split("\n")), text
