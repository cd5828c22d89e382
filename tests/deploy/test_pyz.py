"""`make pyz`: one file, the standard library alone, and the same answers as what is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.hostdev.cli.running import PCI_IDS, Ran, environment
from tests.hostdev.layout import lay_out
from tests.hostdev.why.cases import CASES
from tests.house import ROOT

BUILD = ROOT / "deploy/pyz/build.py"
BARE = ("-I", "-S")
M = "tests/fixtures/machines"


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist") / "passgate.pyz")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshots that do not say when they were taken: no age changes between two answers."""
    directory = tmp_path_factory.mktemp("fleet")
    for machine in ("qat", "hgx-h100"):
        shutil.copy(ROOT / M / f"{machine}.toml", directory)
    return directory


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSON, which needs no library."""
    file = tmp_path_factory.mktemp("vm") / "vm.json"
    file.write_text(json.dumps(yaml.safe_load((ROOT / "deploy/examples/qat/vm.yaml").read_text())))
    return file


def built(target: Path, source: Path = BUILD) -> Path:
    subprocess.run([sys.executable, source, target], check=True, capture_output=True)
    return target


def bare(pyz: Path, *words: str) -> Ran:
    """In an empty environment, with nothing that is installed."""
    return _ended([sys.executable, *BARE, str(pyz), *words], {})


def installed(*words: str) -> Ran:
    return _ended([sys.executable, "-m", "hostdev.cli.main", *words], {"PYTHONPATH": environment()["PYTHONPATH"]})


def _ended(command: list[str], env: dict[str, str]) -> Ran:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, timeout=60
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "line",
    [
        "--help",
        "help settings",
        "node list --host {M}/qat.toml -o wide --pci-ids {ids}",
        "node units --host {M}/qat.toml",
        "node show 3d:02.2 --host {M}/qat.toml",
        "node doctor --problems --host {M}/qat.toml -o json",
        "node compare {M}/qat.toml {M}/consumer-gpu.toml",
        "node draw -o svg --host {M}/hgx-h100.toml",
        "node snapshot --host {M}/qat.toml",
        "node bind 01:00.0 --host {M}/consumer-gpu.toml --dry-run",
        "node state export --host {M}/qat.toml -o json",
        "fleet list --from {fleet} --max-age any",
        "fleet find --from {fleet} class=gpu ready -o json",
        "fleet why {vm} --from {fleet} --resource qat.intel.com/generic=id=8086:37c9",
        "fleet capacity {vm} --from {fleet} --resource qat.intel.com/generic=id=8086:37c9",
        "fleet compare {fleet} {fleet}",
        "explain group-not-viable",
        "why --from tests/fixtures/why/refused nonode",
        "completion bash",
        "nod list",
    ],
)
def test_it_answers_as_what_is_installed_does(pyz: Path, fleet: Path, vm: Path, line: str) -> None:
    words = line.format(M=M, ids=PCI_IDS, fleet=fleet, vm=vm).split()
    ran = bare(pyz, *words)

    assert ran == installed(*words)
    assert ran.out + ran.err != ""
    assert "internal-error" not in ran.err


@pytest.mark.parametrize("name", ["memlock", "healthy"])
def test_it_tells_why_a_vm_does_not_start(pyz: Path, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    (tmp_path / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": case.objects}))
    words = ("why", "--from", str(tmp_path), case.vm)

    assert bare(pyz, *words) == installed(*words)


@pytest.mark.parametrize(
    ("line", "missing"),
    [
        ("inject demo/q35.xml --device 3d:02.2", "lxml"),
        ("slots demo/q35.xml", "lxml"),
        ("fit demo/q35.xml --host {M}/qat.toml", "lxml"),
        ("plan deploy/examples/qat/vm.yaml", "PyYAML"),
        ("node list --host {M}/qat.toml -o yaml", "PyYAML"),
        ("node watch --count 1", "pyudev"),
    ],
)
def test_what_it_lacks_is_said_in_a_sentence(pyz: Path, line: str, missing: str) -> None:
    ran = bare(pyz, *line.format(M=M).split())

    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.count("\n") == 2
    assert missing in ran.err
    assert "[module-missing]" in ran.err


def test_what_libvirt_wrote_of_running_domains_is_not_passed_over(pyz: Path, tmp_path: Path) -> None:
    """It is XML: not read is not the same as not there."""
    domain = tmp_path / "run/libvirt/qemu/vm.xml"
    lay_out((ROOT / M / "qat.toml").read_text(), tmp_path)
    domain.parent.mkdir(parents=True)
    domain.write_text(installed("inject", "demo/q35.xml", "--device", "3d:02.1").out)
    words = ("node", "vitals", "3d:02.1", "--host", str(tmp_path))

    assert "default_qat-q35" in installed(*words).out
    assert bare(pyz, *words).err.startswith("error: XML is read with lxml, which this one file does not carry")


def test_it_draws_the_page_of_a_fleet(pyz: Path, fleet: Path, tmp_path: Path) -> None:
    for name, run in (("bare", partial(bare, pyz)), ("installed", installed)):
        ran = run("fleet", "list", "--from", str(fleet), "--html", str(tmp_path / name))
        assert ran == Ran(0, "", f"note: {tmp_path / name} shows 2 nodes; any browser opens it\n")
    drawn, expected = (re.sub(r'"made":"[^"]*"', "", (tmp_path / name).read_text()) for name in ("bare", "installed"))

    assert drawn == expected


def test_it_knows_its_version(pyz: Path) -> None:
    said = bare(pyz, "--version").out

    assert said.startswith("passgate 0.1.0 (Python 3.")
    assert said.endswith(", without lxml)\n")


def test_it_starts_as_a_program(pyz: Path) -> None:
    done = subprocess.run([pyz, "--version"], check=True, capture_output=True, text=True)

    assert "without lxml" in done.stdout


def test_the_lxml_of_the_machine_is_left_alone(pyz: Path) -> None:
    """Whatever release it is: an answer must not depend on that."""
    done = _ended([sys.executable, str(pyz), "slots", "demo/q35.xml"], dict(os.environ))

    assert "[module-missing]" in done.err


def test_an_old_python_is_told(pyz: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(pyz) as archive:
        start = archive.read("__main__.py").decode()
    old = tmp_path / "old.py"
    old.write_text(f"import sys\nsys.version_info = (3, 9, 2)\n{start}")
    done = subprocess.run([sys.executable, *BARE, old], check=False, capture_output=True, text=True)

    assert done.stderr == "error: passgate needs Python 3.11 or later, and this is 3.9 [python-too-old]\n"
    assert done.returncode == 1


def test_two_builds_have_the_same_bytes(pyz: Path, tmp_path: Path) -> None:
    """Another checkout, another time, other permissions, other file order."""
    for part in ("xml/domxml", "hostdev", "deploy/pyz"):
        shutil.copytree(ROOT / part, tmp_path / part, copy_function=shutil.copyfile)
    for file in ("pyproject.toml", "LICENSE"):
        shutil.copyfile(ROOT / file, tmp_path / file)
    os.utime(tmp_path / "hostdev/__init__.py", (1, 1))
    again = built(tmp_path / "dist/passgate.pyz", tmp_path / "deploy/pyz/build.py")

    assert again.read_bytes() == pyz.read_bytes()
