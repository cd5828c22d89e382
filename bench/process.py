"""`passgate inject` as a process of its own, beside virt-xml and beside an interpreter that only imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bench.interleaved import measure
from bench.table import Goal, goals, table

DOMAIN = Path("tests/fixtures/domains/q35-big-10kb.xml")
TURNS = 15
LEAST_TIMES_VIRT_XML = 4.0

PASSGATE = (str(Path(sys.prefix) / "bin" / "passgate"), "inject", "--device", "0000:3d:02.2,name=qat")
TOLD = (
    *(PASSGATE[0], "inject", "--vmi", "tests/fixtures/domains/q35-big-10kb.vmi.json", "--env", "QAT0=0000:3d:02.2"),
    *("--host", "tests/fixtures/machines/qat.toml"),
)
MOST_TIMES_IMPORTS = 2.0
IMPORTS = (sys.executable, "-c", "import lxml.etree, json, argparse")
# virt-xml looks a plain host address up on the machine; these settings are its only way to do without.
SOURCE = {"domain": "0x0000", "bus": "0x3d", "slot": "0x02", "function": "0x2"}
HOSTDEV = "type=pci," + ",".join(
    f"xpath{number}.set=./source/address/@{name}={value}" for number, (name, value) in enumerate(SOURCE.items(), 1)
)
VIRT_XML = ("--connect", "test:///default", "--add-device", "--hostdev", HOSTDEV, "--print-xml")


def run() -> str:
    """Measure whatever is installed."""
    data = DOMAIN.read_bytes()
    virt_xml = shutil.which("virt-xml")
    candidates = {"passgate inject": _process(PASSGATE, data)}
    if virt_xml:
        candidates["virt-xml --add-device"] = _process((virt_xml, *VIRT_XML), data)
    candidates["passgate inject --vmi --env --host"] = _process(TOLD, data)
    candidates["python -c 'import lxml.etree, json, argparse'"] = _process(IMPORTS, data)
    timings = measure(candidates, turns=TURNS)
    ours = timings["passgate inject"]
    told = timings["passgate inject --vmi --env --host"].times(timings["python -c 'import lxml.etree, json, argparse'"])
    aims = [
        Goal("with VM, environment and machine at most twice the imports", f"{told:.1f}", told <= MOST_TIMES_IMPORTS)
    ]
    text = table(f"One domain, {len(data)} bytes, one process", timings.values(), ours)
    if not virt_xml:
        return f"{text}\n{goals(aims)}\n  virt-xml is left out: apt-get install virtinst"
    times = timings["virt-xml --add-device"].times(ours)
    goal = Goal(
        f"at least {LEAST_TIMES_VIRT_XML:.0f} times as fast as virt-xml", f"{times:.1f}", times >= LEAST_TIMES_VIRT_XML
    )
    return f"{text}\n{goals([goal, *aims])}"


def _process(command: tuple[str, ...], data: bytes) -> Callable[[], object]:
    return lambda: subprocess.run(command, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)  # noqa: S603
