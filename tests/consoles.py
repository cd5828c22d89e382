"""The console blocks of the documents: commands, and below each what it prints.

`python -m tests.consoles` writes down what the commands print now.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

from tests.house import ROOT

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/install.md"),
    *("docs/inject.md", "docs/vitals.md", "docs/offer.md", "docs/claims.md"),
    *("deploy/README.md", "deploy/examples/README.md", "docs/node-state.md"),
    *("docs/start.md", "docs/gitops.md", "docs/reboot.md", "docs/glossary.md", "docs/manifest.md", "docs/units.md"),
    *("docs/why.md", "docs/oncall.md", "docs/fleet.md", "docs/fleet-page.md"),
)
BLOCK = re.compile(
    r"(?<=^```console\n).*?(?=^```$)|(?<=^````console\n).*?(?=^````$)",  # The longer one around pages with blocks.
    re.DOTALL | re.MULTILINE,
)


def replayed(text: str) -> str:
    """The same document, with the output that its commands have now."""
    return BLOCK.sub(lambda block: "".join(_run(line) for line in block[0].splitlines() if line.startswith("$ ")), text)


def _run(line: str) -> str:
    program, *arguments = shlex.split(line.removeprefix("$ "))
    assert program == "passgate", f"only passgate is run here, not {program}"
    done = subprocess.run(
        [sys.executable, "-m", "hostdev.cli.main", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return f"{line}\n{done.stdout}"


if __name__ == "__main__":
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(replayed(path.read_text()))
