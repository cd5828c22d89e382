"""The directory that the host sees as /share: the project and what to run go in, the results come out."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.house import ROOT
from tests.vmhost import recipe
from tests.vmhost.inside.scenario import Outcome

PROJECT = (
    "xml",
    "hostdev",
    "hooksidecar",
    "tests/vmhost",
    "tests/hooksidecar",
    "tests/apiserver",
    "tests/kubelet",
    "tests/patience.py",
    "tests/hostdev/gate/predicted.py",
    "tests/hostdev/texts.py",
    "tests/domxml/domains.py",
    "tests/oracle/addresses.py",
    "tests/fixtures/domains",
    "requirements",
)
RUN = """\
#!/bin/sh
export PYTHONPATH=/share/project/xml:/share/project
exec python3 -m tests.vmhost.inside.run
"""


def lay_out(share: Path, wanted: Iterable[str], guest_kernel: Path | None = None) -> None:
    """Put the project's code, the names of the wanted scenarios and a kernel for guests into a new share."""
    for name in PROJECT:
        place = share / "project" / name
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)
    (share / "wanted").write_text("\n".join(wanted))
    if guest_kernel:
        shutil.copy(guest_kernel, share / recipe.GUEST_KERNEL)
    run = share / "run"
    run.write_text(RUN)
    run.chmod(0o755)


def outcomes(share: Path) -> Mapping[str, Outcome]:
    """The results of every scenario that came to an end, by name."""
    results = share / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    return {outcome.name: outcome for outcome in map(Outcome.from_json, lines)}
