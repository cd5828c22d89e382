"""Measure everything and print it: `python -m bench`. Nothing is written, and the figures never fail the run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from bench import fleet, growth, manifests, process, transform


def main() -> None:
    """Each measurement in a paragraph of its own, as soon as it is there."""
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    say(f"Python {platform.python_version()}, {len(os.sched_getaffinity(0))} processors, load {load}")
    say(transform.run())
    say(growth.run())
    say(process.run())
    say(manifests.run())
    say(fleet.run())
    say("A host with 4096 PCI functions; last column: how many times as fast as pyudev at the same task")
    subprocess.run([sys.executable, "-m", "bench.scan"], check=False)
    say("")
    say("The sidecar, beside a bare grpcio server that only echoes")
    subprocess.run([sys.executable, "-m", "bench.sidecar"], check=False)
    say("")
    say("The node agent, from kubelet's record to the file in the sidecar's volume")
    subprocess.run([sys.executable, "-m", "bench.agent"], check=False)
    say("")
    say("Its looks after the start of VMs, and what they take of one processor")
    subprocess.run([sys.executable, "-m", "bench.arrivals"], check=False)
    say("")
    say("What it offers to kubelet, on the host with 4096 PCI functions")
    subprocess.run([sys.executable, "-m", "bench.offer"], check=False)
    say("")
    say("The driver of resource claims beside the agent, while nothing happens")
    subprocess.run([sys.executable, "-m", "bench.claims"], check=False)


def say(text: str) -> None:
    """Print a paragraph now."""
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
