"""Build and cache the passthrough host: a Debian root that runs QEMU, and the disk, initramfs and kernel it boots."""

from __future__ import annotations

import argparse
import logging
import lzma
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.vmhost import cache, initramfs, obstacles, recipe
from tests.vmhost.cache import Entry, Log

HERE = Path(__file__).parent
INIT = HERE / "initramfs-init"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Image:
    """What a boot needs."""

    root: Path
    """The Debian root: QEMU runs out of it, and the disk is made of it."""
    boot: Path
    """Holds `kernel`, `initramfs` and `disk`."""


class NotPossible(Exception):
    """This machine cannot build or boot the host; the text says why."""


def ensure() -> Image:
    """Build what is not cached yet."""
    entries = ROOT, BOOT
    if not all(entry.path.exists() for entry in entries) and (reason := obstacles.to_build()):
        raise NotPossible(reason)
    return Image(*(entry.ensure() for entry in entries))


def _build_root(root: Path, log: Log) -> None:
    logger.info("installing %d packages of Debian %s and what they need", len(recipe.PACKAGES), recipe.SUITE)
    log.run(
        "mmdebstrap",
        "--variant=apt",
        "--mode=root",
        "--components=main",
        f"--keyring={obstacles.KEYRING}",
        f"--include={','.join(recipe.PACKAGES)}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={path}" for path in recipe.LEFT_OUT),
        recipe.SUITE,
        root,
        obstacles.mirror() or "",
        # The kernel package would spend half a minute on an initramfs that nothing boots.
        environment={"INITRD": "No"},
    )
    logger.info("unpacking the kernel's modules")
    _keep_modules(root, log)
    for name, text in recipe.FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in recipe.MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)


def _build_boot(boot: Path, log: Log) -> None:
    root = ROOT.path
    logger.info("writing kernel and initramfs")
    (image,) = (root / "boot").glob("vmlinuz-*")
    # Unpacked, because the emulated processor takes seconds over it.
    packed = initramfs.compressed_kernel(image.read_bytes())
    unpack = subprocess.run(["chroot", root, "zstd", "-dc"], input=packed, stdout=subprocess.PIPE, check=True)
    (boot / "kernel").write_bytes(unpack.stdout)
    modules = _with_dependencies(root, recipe.INITRAMFS_MODULES)
    files = {"init": INIT.read_bytes(), "bin/busybox": (root / "usr/bin/busybox").read_bytes()}
    # Numbered: insmod in the order of names is insmod in the order of dependencies.
    files |= {f"modules/{number:02}-{path.name}": path.read_bytes() for number, path in enumerate(modules)}
    (boot / "initramfs").write_bytes(initramfs.archive(files))
    logger.info("writing the disk")
    log.run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", root, boot / "disk", recipe.DISK_SIZE)


def _keep_modules(root: Path, log: Log) -> None:
    """Unpack the modules the host needs, drop the others."""
    wanted = _with_dependencies(root, (*recipe.INITRAMFS_MODULES, *recipe.HOST_MODULES))
    for packed in wanted:
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    for packed in (root / "usr/lib/modules").rglob("*.ko.xz"):
        packed.unlink()
    log.run("chroot", root, "depmod", _kernel_release(root))


def _with_dependencies(root: Path, modules: tuple[str, ...]) -> list[Path]:
    """The files of modules in the order of loading."""
    command = ["chroot", root, "modprobe", "--set-version", _kernel_release(root), "--show-depends", "--all", *modules]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    paths = dict.fromkeys(line.split()[1] for line in shown if line.startswith("insmod "))
    return [root / path.lstrip("/") for path in paths]


def _kernel_release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name


ROOT = Entry(
    "root",
    (recipe.SUITE, *recipe.PACKAGES, *recipe.LEFT_OUT, *recipe.INITRAMFS_MODULES, *recipe.HOST_MODULES)
    + tuple(map(str, recipe.FILES.items()))
    + recipe.MOUNT_POINTS,
    _build_root,
)
BOOT = Entry("boot", (*ROOT.made_of, recipe.DISK_SIZE, INIT.read_text()), _build_boot)


def main() -> int:
    """Build with progress lines."""
    argparse.ArgumentParser(prog="python -m tests.vmhost.image", description=__doc__).parse_args()
    started = time.monotonic()
    logging.basicConfig(level=logging.INFO, format="[%(relativeCreated)7d ms] %(message)s")
    try:
        image = ensure()
    except (NotPossible, cache.BuildFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    logger.info("done in %.0f s: %s, %s", time.monotonic() - started, image.root, image.boot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
