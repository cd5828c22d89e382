from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.house import ROOT
from tests.parts import INTERRUPTED, PARTS, SLOW, Part
from tests.patience import until

MARK = re.compile(rf"\bmark\.({'|'.join(SLOW)})\b")


def started(folder: Path, **bodies: str) -> subprocess.Popen[str]:
    """A part for each body of a test."""
    for name, body in bodies.items():
        (folder / f"{name}.py").write_text(f"import pathlib, time\ndef test_it():\n    {body}\n")
    parts = [tuple(Part(name, "not vmhost", (str(folder / f"{name}.py"),))) for name in bodies]
    options = ["-q", "-p", "no:hypothesispytest"]
    code = (
        f"import sys; from tests import parts; sys.exit(parts.main({options}, [parts.Part(*one) for one in {parts}]))"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}"}
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def test_each_part_says_all_and_one_that_fails_fails_the_whole(tmp_path: Path) -> None:
    process = started(tmp_path, good="pass", bad="raise ValueError('so bad')", none="pass")
    (tmp_path / "none.py").write_text("")

    out, _ = process.communicate()

    assert process.returncode == 1
    assert "ValueError: so bad" in out
    rows = {line.split()[0]: line.rpartition("  ")[2] for line in out.splitlines() if "of a processor" in line}
    assert rows == {"good": "passed", "bad": "failed with 1", "none": "passed"}
    assert out.splitlines()[-1].startswith("in all")


def test_an_interrupt_reaches_every_part_and_what_they_said_is_shown(tmp_path: Path) -> None:
    there = tmp_path / "there"
    process = started(tmp_path, first=f"pathlib.Path({str(there)!r}).touch(); time.sleep(1000)", second="pass")
    until(there.exists)

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()

    assert process.returncode == INTERRUPTED
    assert "KeyboardInterrupt" in out


def test_no_part_outlives_the_run(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    process = started(
        tmp_path, only=f"import os; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(1000)"
    )
    part = until(lambda: pid.exists() and pid.read_text())

    process.kill()
    process.communicate()

    until(lambda: not Path(f"/proc/{part}").exists())


def test_every_slow_test_is_in_a_part_that_runs_its_tier() -> None:
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    for path in files:
        for tier in MARK.findall(path.read_text()):
            parts = [part for part in PARTS if re.search(rf"(?<!not ){tier}", part.marked)]
            places = [ROOT / place for part in parts for place in part.places]
            assert any(path.is_relative_to(place) for place in places), f"{path} is not run: see tests/parts.py"


def test_every_fast_test_is_in_one_part() -> None:
    fast = [part for part in PARTS if all(f"not {tier}" in part.marked for tier in SLOW)]

    assert [part.places for part in fast if not part.elsewhere] == [part.elsewhere for part in fast if part.elsewhere]
    assert [part.places for part in fast if part.elsewhere] == [("tests",)]
