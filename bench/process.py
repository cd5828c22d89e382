"""`passgate inject` as a process of its own, beside virt-xml and beside an interpreter that only imports."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bench.command import PASSGATE as PROGRAM
from bench.command import compile_sources
from bench.command import run as run_program
from bench.interleaved import measure
from bench.table import Goal, goals, table

DOMAIN = Path("tests/fixtures/domains/q35-big-10kb.xml")
TURNS = 15
LEAST_TIMES_VIRT_XML = 4.5

PASSGATE = (PROGRAM, "inject", "--device", "0000:3d:02.2,name=qat")
TOLD = (
    *(PASSGATE[0], "inject", "--vmi", "tests/fixtures/domains/q35-big-10kb.vmi.json", "--env", "QAT0=0000:3d:02.2"),
    *("--host", "tests/fixtures/machines/qat.toml"),
)
MOST_TIMES_IMPORTS, MOST_TIMES_IMPORTS_TOLD = 1.5, 2.0
IMPORTS_NAME = "python -c 'import lxml.etree, json, argparse'"
IMPORTS = (sys.executable, "-c", "import lxml.etree, json, argparse")
# virt-xml looks a plain host address up on the machine; these settings are its only way to do without.
SOURCE = {"domain": "0x0000", "bus": "0x3d", "slot": "0x02", "function": "0x2"}
HOSTDEV = "type=pci," + ",".join(
    f"xpath{number}.set=./source/address/@{name}={value}" for number, (name, value) in enumerate(SOURCE.items(), 1)
)
VIRT_XML = ("--connect", "test:///default", "--add-device", "--hostdev", HOSTDEV, "--print-xml")


def run() -> str:
    """Measure whatever is installed."""
    compile_sources()
    virt_xml = shutil.which("virt-xml")
    candidates = {"passgate inject": _process(PASSGATE)}
    if virt_xml:
        candidates["virt-xml --add-device"] = _process((virt_xml, *VIRT_XML))
    candidates["passgate inject --vmi --env --host"] = _process(TOLD)
    candidates[IMPORTS_NAME] = _process(IMPORTS)
    timings = measure(candidates, turns=TURNS)
    ours = timings["passgate inject"]
    told, imports = timings["passgate inject --vmi --env --host"], timings[IMPORTS_NAME]
    bare, whole = ours.times(imports), told.times(imports)
    aims = [
        Goal(f"at most {MOST_TIMES_IMPORTS} times the imports", f"{bare:.2f}", bare <= MOST_TIMES_IMPORTS),
        Goal(
            f"with VM, environment and machine at most {MOST_TIMES_IMPORTS_TOLD:.0f} times the imports",
            f"{whole:.2f}",
            whole <= MOST_TIMES_IMPORTS_TOLD,
        ),
    ]
    text = table(
        f"One domain, {DOMAIN.stat().st_size} bytes, one process, seconds of a processor", timings.values(), ours
    )
    if not virt_xml:
        return f"{text}\n{goals(aims)}\n  virt-xml is left out: apt-get install virtinst"
    times = timings["virt-xml --add-device"].times(ours)
    goal = Goal(
        f"at least {LEAST_TIMES_VIRT_XML} times as fast as virt-xml", f"{times:.1f}", times >= LEAST_TIMES_VIRT_XML
    )
    return f"{text}\n{goals([goal, *aims])}"


def _process(command: tuple[str, ...]) -> Callable[[], float]:
    def once() -> float:
        with DOMAIN.open("rb") as domain:
            done = run_program(*command, stdin=domain.fileno())
        if done.code:
            raise ChildProcessError(f"{command[0]} ended with {done.code}")
        return done.busy

    return once
