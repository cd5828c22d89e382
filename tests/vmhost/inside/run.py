"""Run scenarios on the passthrough host and leave a line of JSON for each on the share."""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path

from tests.vmhost.inside import prepare
from tests.vmhost.inside.bench import Bench
from tests.vmhost.inside.domains import domain
from tests.vmhost.inside.scenario import Mismatch, Outcome, Run, all_scenarios

SHARE = Path("/share")


def main() -> int:
    """Run what /share/wanted names."""
    prepare.host()
    bench = Bench()
    with bench.defined(domain("first")):
        print("libvirt knows its emulator", flush=True)
    scenarios = all_scenarios()
    with (SHARE / "results.jsonl").open("w") as results:
        for name in (SHARE / "wanted").read_text().split():
            print(f"scenario {name}", flush=True)
            results.write(_outcome(name, scenarios[name], bench).to_json() + "\n")
            results.flush()
            # The host may be ended at any time, and would take unwritten pages along.
            os.fsync(results.fileno())
    return 0


def _outcome(name: str, run: Run, bench: Bench) -> Outcome:
    bench.rows.clear()
    started = time.monotonic()
    details = ""
    try:
        run(bench)
    except Mismatch as mismatch:
        details = str(mismatch)
    except Exception:  # noqa: BLE001  one scenario's defect is not the next one's
        details = traceback.format_exc()
    return Outcome(name, not details, details, round(time.monotonic() - started, 2), tuple(bench.rows))


if __name__ == "__main__":
    sys.exit(main())
