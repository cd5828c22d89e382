"""A recorded machine stands for the live one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.vmhost.inside import replay
from tests.vmhost.inside.product import passgate
from tests.vmhost.inside.scenario import scenario

if TYPE_CHECKING:
    from tests.vmhost.inside.bench import Bench

SHARE = Path("/share")


@scenario
def a_snapshot_replays(bench: Bench) -> None:
    """`node snapshot --keep-identity`, carried away: other commands say there what they say on the host."""
    os.chdir(replay.prepare(SHARE))
    Path(replay.SNAPSHOT).write_text(passgate("node", "snapshot", "--keep-identity"))
    for name in replay.COMMANDS:
        Path(name).write_text(passgate(*replay.command(name, replay.LIVE), code=int(name in replay.FAILING)))
    commands = ", ".join(dict.fromkeys(words[0] for words in replay.COMMANDS.values()))
    bench.record("replay the snapshot elsewhere", f"{commands} say the same", "the live host's words, byte by byte")
