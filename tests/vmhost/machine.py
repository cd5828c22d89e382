"""Boot the passthrough host in QEMU, without KVM; what it is to run and what it found lie in a shared directory."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.vmhost import topology
from tests.vmhost.image import Image

HERE = Path(__file__).parent
INIT = HERE / "init"
ENTER = HERE / "enter"

MEMORY_MIB = 3072
SPARE_DISK_MIB = 256
"""Sparse, and as much as btrfs wants."""
NODES = (0, 1)
COMMAND_LINE = (
    *("console=ttyS0", "quiet", "panic=-1", "mitigations=off", "nokaslr", "tsc=reliable", "no_timer_check"),
    "intel_iommu=on",
    # A processor per node, and one of them runs: talk between two emulated processors costs more than it gains.
    "maxcpus=1",
)
# Without the long vectors that libraries would use and TCG is slow at.
# It is AMD's, whose virtualization TCG emulates: the host has KVM, and its guests boot in seconds instead of minutes.
PROCESSOR = "Opteron_G3,-misalignsse,+ssse3,+sse4.1,+sse4.2,+svm,+npt"
CONSOLE = "console.log"
EXIT_CODE = "exit-code"
QEMU_LOG = "qemu.log"


@dataclass(frozen=True, slots=True)
class Result:
    """How a boot ended."""

    exit_code: int | None
    """What /share/run answered; None where the host ended, or was ended, before that."""
    seconds: float
    console: str
    """The serial console, and what QEMU itself had to say."""


@dataclass(frozen=True, slots=True)
class Started:
    """A host that is on its way."""

    process: subprocess.Popen[bytes]
    share: Path
    log: IO[bytes]
    begun: float

    def result(self, timeout: float) -> Result:
        """Wait for its power-off; end it where that does not come."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.log.write(f"ended after {timeout:.0f} s: it had not powered off\n".encode())
            self.log.flush()
            self.process.kill()
            self.process.wait()
        console = "".join(_text(self.share / name) for name in (CONSOLE, QEMU_LOG))
        return Result(_exit_code(self.share), time.monotonic() - self.begun, console)


def boot(image: Image, share: Path, *, timeout: float, append: str = "", init: Path = INIT) -> Result:
    """Start the host with `share` at /share, have it execute /share/run, and wait for its power-off."""
    with started(image, share, append=append, init=init) as host:
        return host.result(timeout)


@contextmanager
def started(image: Image, share: Path, *, append: str = "", init: Path = INIT) -> Iterator[Started]:
    """The same without waiting; at the end of the `with` block it is no more."""
    shutil.copy(init, share / "init")
    for name in (EXIT_CODE, CONSOLE):
        (share / name).unlink(missing_ok=True)
    for name in topology.SPARE_DISKS:
        with (share / name).open("wb") as disk:
            disk.truncate(SPARE_DISK_MIB << 20)
    # Every program of this chain executes the next one: the process that is waited for, and killed, is QEMU. It gets
    # the kernel's own order to die with us, and its mounts and its scratch copy of the disk die with it.
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
    command += [*map(str, (ENTER, image.root, share, image.boot, image.kernel)), *arguments(append=append)]
    begun = time.monotonic()
    with (share / QEMU_LOG).open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield Started(process, share, log, begun)
        finally:
            process.kill()
            process.wait()


def arguments(*, append: str = "") -> list[str]:
    """QEMU's command line, with the paths that `enter` gives it."""
    memory = MEMORY_MIB // len(NODES)
    argv = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=single", "-cpu", PROCESSOR]
    argv += ["-smp", str(len(NODES)), "-m", str(MEMORY_MIB)]
    for node in NODES:
        argv += ["-object", f"memory-backend-ram,id=memory{node},size={memory}M"]
        argv += ["-numa", f"node,nodeid={node},cpus={node},memdev=memory{node}"]
    argv += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    argv += ["-serial", f"file:/share/{CONSOLE}"]
    argv += ["-kernel", "/image/kernel", "-initrd", "/image/initramfs", "-append", " ".join([*COMMAND_LINE, append])]
    argv += ["-drive", "id=disk-image,file=/image/disk,format=raw,if=none,cache=unsafe,snapshot=on"]
    argv += ["-fsdev", "local,id=share-directory,path=/share,security_model=none,multidevs=remap"]
    for name in topology.SPARE_DISKS:
        argv += ["-drive", f"id={name},file=/share/{name},format=raw,if=none,cache=unsafe"]
    return argv + topology.arguments()


def _exit_code(share: Path) -> int | None:
    text = _text(share / EXIT_CODE).strip()
    return int(text) if text else None


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
