"""Standard input: it is read wherever a file is, a terminal is told, and what is there unasked is not passed over."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from domxml.errors import ExitCode
from tests.hostdev.cli.running import COMMAND, PCI_IDS, ROOT, environment, host, process
from tests.patience import PATIENCE

DOMAIN = "tests/fixtures/domains/q35-minimal.xml"
VMI = "tests/fixtures/domains/q35-gpu-1.vmi.json"
MACHINE = host("qat")[1]
QAT = host("qat")


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("inject - --device 3d:02.2", DOMAIN),
        ("inject --device 3d:02.2", DOMAIN),
        (f"inject {DOMAIN} --vmi -", VMI),
        (f"inject {DOMAIN} --env-file -", "tests/fixtures/scenarios/qat-q35/compute.env"),
        (f"inject {DOMAIN} --device 3d:02.2 --host -", MACHINE),
        ("lint -", VMI),
        ("lint --vmi -", VMI),
        ("lint", VMI),
        ("node list --host -", MACHINE),
        ("node list 3d:02.2 --pci-ids -", PCI_IDS),
        ("node show 3d:02.2 --host -", MACHINE),
        ("node doctor 3d:02.2 --host -", MACHINE),
        ("node draw --host -", MACHINE),
        ("node snapshot --host - -o json", MACHINE),
        (f"node compare - {MACHINE}", MACHINE),
        (f"node compare {MACHINE} -", MACHINE),
        ("manifest 8086:37c9 --by plugin --host -", MACHINE),
        ("node explain -", DOMAIN),
        ("node explain -f -", DOMAIN),
    ],
)
def test_a_dash_is_standard_input(words: str, file: str) -> None:
    line = [*words.split(), *(QAT if "--pci-ids" in words else ())]
    piped = process(*line, stdin=(ROOT / file).read_text())
    named = process(*[file if word == "-" else word for word in line], stdin=(ROOT / file).read_text())

    assert "standard input is closed" not in piped.err
    assert piped.code == named.code
    assert piped.out.replace("standard input", file).replace("the manifest", file) == named.out


@pytest.mark.parametrize("words", ["inject --device 3d:02.2", "lint", "lint -", "node explain -", "list --host -"])
def test_a_terminal_is_told_once_that_it_is_read(words: str) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *words.split()], stdin=theirs, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        env=environment(), text=True,
    ) as running:  # fmt: skip
        os.close(theirs)
        assert running.stderr is not None
        first = running.stderr.readline()
        os.write(ours, b"\x04\x04")
        _, rest = running.communicate(timeout=PATIENCE)
        os.close(ours)

    assert first == "note: reading from the terminal; end with Ctrl-D\n"
    assert "reading from the terminal" not in rest


@pytest.mark.parametrize("words", ["inject", "lint -", "node explain -", "list --host -", "inject - --device 3d:02.2"])
def test_without_standard_input_there_is_a_sentence(words: str) -> None:
    ran = process(*words.split(), line='"$@" <&-')

    assert (ran.code, ran.out) == (ExitCode.USAGE, "") or "[no-input]" in ran.err or "no-input" in ran.out
    assert "standard input is closed" in ran.err + ran.out


def test_text_that_is_piped_to_explain_is_read_without_being_asked_for(tmp_path: Path) -> None:
    text = "qemu-kvm: -device vfio-pci: vfio 0000:3d:02.2: group 43 is not viable\n"
    file = tmp_path / "events.txt"
    file.write_text(text)
    told = process("node", "explain", "-", stdin=text).out

    assert "group-not-viable" in told
    assert process("explain", stdin=text).out == told
    assert process("explain", str(file)).out == told
    assert process("explain", "-f", str(file)).out == told
    assert process("explain", line=f'"$@" < {file}').out == told
    assert process("explain", stdin="").out.startswith("CODE ")
    assert process("explain", line='"$@" </dev/null').out.startswith("CODE ")
    assert process("explain", "no-iommu", stdin=text).out.startswith("# no-iommu")


def test_two_questions_are_one_too_many() -> None:
    assert "-f names a file, and there are words too" in process("explain", "no-iommu", "-f", DOMAIN).err


def test_variables_of_the_process_are_read_when_asked_for_and_told_when_not() -> None:
    silent = process("inject", DOMAIN, "-o", "plan", env={"QAT0": "0000:3d:02.2", "QAT1": "x", "PCI_BUS": "3d"})
    asked = process("inject", DOMAIN, "-o", "plan", "--env-from-process", env={"QAT0": "0000:3d:02.2"})

    assert "nothing to do" in silent.out
    assert silent.err == "note: QAT0 of the environment is not read; --env-from-process reads it\n"
    assert "0000:3d:02.2" in asked.out
    assert asked.err == ""
    assert "environment QAT0" in asked.out


def test_variables_that_are_given_are_not_told_of() -> None:
    ran = process("inject", DOMAIN, "--env", "QAT0=0000:3d:02.2", env={"QAT0": "0000:3d:02.2"})

    assert (ran.code, ran.err) == (0, "")


def test_an_environment_that_names_nothing_is_told() -> None:
    ran = process("inject", DOMAIN, "--env-from-process", "--fail-on", "error")

    assert (ran.code, ran.out) == (ExitCode.FINDINGS, "")
    assert "file-names-nothing: the environment: no variable in it names a device" in ran.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("inject FILE", "error: FILE: the domain XML cannot be parsed: "),
        ("inject -", "error: standard input: the domain XML cannot be parsed: "),
        (f"inject {DOMAIN} --vmi FILE", "error: FILE: is XML, perhaps that of a libvirt domain"),
        ("lint --vmi FILE", "error: FILE: is XML, perhaps that of a libvirt domain"),
        ("lint --vmi -", "error: standard input: is XML, perhaps that of a libvirt domain"),
        (f"lint --vmi {DOMAIN}", f"error: {DOMAIN}: is XML, perhaps that of a libvirt domain"),
        ("list --host -", "error: standard input: "),
    ],
)
def test_an_error_names_its_file_and_a_way_on(words: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.xml"
    file.write_text("<domain")
    ran = process(*words.replace("FILE", str(file)).split(), stdin="<domain")

    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert ran.err.startswith(says.replace("FILE", str(file)))
    assert "hint: " in ran.err
    assert "virt-launcher" not in ran.err


def test_lint_says_of_a_domain_what_it_is() -> None:
    ran = process("lint", DOMAIN)

    assert ran.code == ExitCode.USAGE
    assert "is XML, perhaps that of a libvirt domain" in ran.out
    assert "passgate inject" in ran.out
