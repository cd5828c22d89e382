"""Build and cache the passthrough host: a Debian root that runs QEMU, and the disk, initramfs and kernel it boots.

`python -m tests.vmhost.image [--kernel SUITE] [--small-kernel]` builds what is not there yet.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.oracle.cache import cache_dir, ensure, place
from tests.vmhost import initramfs, kernel, obstacles, recipe, wheels
from tests.vmhost.debian import NotPossible, install, unpack

Say = Callable[[str], None]

BUILD_DISK_MIB = 2048
KERNEL_DISK_MIB = 4096
INIT = Path(__file__).with_name("initramfs-init")


@dataclass(frozen=True, slots=True)
class Image:
    """What a boot needs."""

    root: Path
    """The Debian root: QEMU runs out of it, and the disk is made of it."""
    boot: Path
    """Holds `kernel`, `initramfs` and `disk`."""
    kernel: Path

    @property
    def built(self) -> bool:
        """Whether all of it is there."""
        return self.root.exists() and self.kernel.exists() and self.boot.exists()


def image(kernel_of: str = recipe.SUITE) -> Image:
    """Where this recipe's host is, or will be, with the kernel of that release of Debian."""
    modules = (*recipe.INITRAMFS_MODULES, *recipe.HOST_MODULES)
    files = map(str, recipe.FILES.items())
    root_recipe = [recipe.SUITE, *recipe.PACKAGES, *recipe.LEFT_OUT, *modules, *files, *recipe.MOUNT_POINTS]
    root_recipe.append(wheels.PINS.read_text())
    boot_recipe = [*root_recipe, recipe.DISK_SIZE, INIT.read_text()]
    if kernel_of != recipe.SUITE:
        boot_recipe += [kernel_of, recipe.KERNEL_PACKAGE]
    boot = _place("boot", boot_recipe)
    return Image(_place("root", root_recipe), boot, boot / "kernel")


def build(say: Say = print, kernel_of: str = recipe.SUITE) -> Image:
    """Build what is not there yet."""
    wanted = image(kernel_of)
    if not wanted.built:
        _check(disk_mib=BUILD_DISK_MIB)
    log = _log(wanted.root)
    if not wanted.root.exists():
        say(f"installing Debian {recipe.SUITE} with kernel, QEMU and libvirt, about 90 seconds (log: {log})")
        ensure(wanted.root, lambda partial: _make_root(partial, log))
    if not wanted.boot.exists():
        say(f"writing initramfs and disk for the kernel of Debian {kernel_of}")
        ensure(wanted.boot, lambda partial: _make_boot(partial, wanted, kernel_of))
    return wanted


def with_small_kernel(ordinary: Image) -> Image:
    """The same host with the small kernel, where it is, or will be."""
    return replace(ordinary, kernel=_place("kernel", [recipe.SUITE, *kernel.PACKAGES, kernel.SCRIPT]) / "kernel")


def build_small_kernel(ordinary: Image, say: Say = print) -> Image:
    """Build the small kernel, unless it is there."""
    wanted = with_small_kernel(ordinary)
    if not wanted.built:
        _check(disk_mib=KERNEL_DISK_MIB)
        target = wanted.kernel.parent
        say(f"building a small kernel for guests, 5 to 15 minutes (log: {_log(target)})")
        ensure(target, lambda partial: kernel.make(partial, _log(target)))
    return wanted


def _check(*, disk_mib: int) -> None:
    if reason := obstacles.to_build(disk_mib=disk_mib):
        raise NotPossible(reason)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}.log")


def _place(name: str, ingredients: list[str]) -> Path:
    return cache_dir().with_name("vmhost") / place(name, ingredients).name


def _make_root(root: Path, log: Path) -> None:
    log.unlink(missing_ok=True)
    install(root, recipe.PACKAGES, log, left_out=recipe.LEFT_OUT)
    wheels.install(root, log)
    _keep_modules(root)
    for name, text in recipe.FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in recipe.MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)


def _make_boot(boot: Path, wanted: Image, kernel_of: str) -> None:
    if kernel_of == recipe.SUITE:
        _write_boot(boot, wanted.root)
        return
    packages, root = boot / "packages", boot / "root"
    log = _log(wanted.boot)
    log.unlink(missing_ok=True)
    unpack(packages, (recipe.KERNEL_PACKAGE,), log, suite=kernel_of)
    # Links to files that are only ever replaced: a root is half a gigabyte.
    subprocess.run(["cp", "--archive", "--link", wanted.root, root], check=True)
    for name in ("boot", "usr/lib/modules"):
        shutil.rmtree(root / name)
        if (packages / name).exists():
            (packages / name).rename(root / name)
    _inside(root, "depmod", _kernel_release(root))
    _keep_modules(root)
    _write_boot(boot, root)
    for path in (packages, root):
        shutil.rmtree(path)


def _write_boot(boot: Path, root: Path) -> None:
    # Beside its modules, or where it always was.
    (packed,) = [*root.glob("usr/lib/modules/*/vmlinuz")] or [*root.glob("boot/vmlinuz-*")]
    # Unpacked, because the emulated processor takes seconds over it.
    kernel = _inside(root, "zstd", "-dc", given=initramfs.compressed_kernel(packed.read_bytes()))
    (boot / "kernel").write_bytes(kernel)
    modules = _with_dependencies(root, recipe.INITRAMFS_MODULES)
    files = {"init": INIT.read_bytes(), "bin/busybox": (root / "usr/bin/busybox").read_bytes()}
    # Numbered: insmod in the order of names is insmod in the order of dependencies.
    files |= {f"modules/{number:02}-{path.name}": path.read_bytes() for number, path in enumerate(modules)}
    (boot / "initramfs").write_bytes(initramfs.archive(files))
    settings = ("-q", "-t", "ext4", "-O", "^has_journal", "-m", "0")
    subprocess.run(["mke2fs", *settings, "-d", root, boot / "disk", recipe.DISK_SIZE], check=True)


def _keep_modules(root: Path) -> None:
    """Unpack the modules the host needs, drop the others."""
    for packed in _with_dependencies(root, (*recipe.INITRAMFS_MODULES, *recipe.HOST_MODULES)):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    for packed in (root / "usr/lib/modules").rglob("*.ko.xz"):
        packed.unlink()
    _inside(root, "depmod", _kernel_release(root))


def _with_dependencies(root: Path, modules: tuple[str, ...]) -> list[Path]:
    """The files of modules in the order of loading."""
    release = _kernel_release(root)
    shown = _inside(root, "modprobe", "--set-version", release, "--show-depends", "--all", *modules).decode()
    paths = [line.split()[1] for line in shown.splitlines() if line.startswith("insmod ")]
    return [root / path.lstrip("/") for path in dict.fromkeys(paths)]


def _kernel_release(root: Path) -> str:
    (modules,) = (root / "usr/lib/modules").iterdir()
    return modules.name


def _inside(root: Path, *command: str, given: bytes = b"") -> bytes:
    """What a program of the root answers."""
    done = subprocess.run(["chroot", root, *command], check=False, input=given, capture_output=True)
    if done.returncode:
        raise NotPossible(f"{command[0]} in {root} ended with {done.returncode}: {done.stderr.decode().strip()}")
    return done.stdout


def main(arguments: list[str], say: Say = print) -> int:
    """Build with progress lines; 0 when the host is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.vmhost.image", description="build the passthrough host")
    parser.add_argument("--kernel", metavar="SUITE", default=recipe.SUITE, help="Debian's release of the host's kernel")
    parser.add_argument("--small-kernel", action="store_true", help="also build the small kernel that guests boot")
    wanted = parser.parse_args(arguments)
    begun = time.monotonic()
    try:
        built = build(say, wanted.kernel)
        if wanted.small_kernel:
            built = build_small_kernel(built, say)
    except NotPossible as reason:
        say(str(reason))
        return 1
    say(f"{built.root}, {built.boot} and {built.kernel} are there after {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
