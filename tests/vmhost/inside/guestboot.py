"""Boot a guest on the passthrough host: a small kernel, one process, and KVM on a processor that QEMU emulates."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import libvirt

from tests.vmhost import initramfs, recipe
from tests.vmhost.inside import guest, guestview, prepare
from tests.vmhost.inside.bench import Bench
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.scenario import Mismatch

KERNEL = Path("/share") / recipe.GUEST_KERNEL
INIT = Path(__file__).parent.parent / "guest-init"
INITRAMFS = Path("/tmp/guest-initramfs")  # noqa: S108  this host is ours alone
CONSOLE = Path("/tmp/guest-console")  # noqa: S108
DISK = Path("/tmp/guest-disk")  # noqa: S108
DISK_SIZE = 1 << 20
CELL_MIB = 96
TRIES = 3
PAUSE = 1.0
STUCK = 15
"""Seconds at one spot."""
INTERRUPTS = 1 << 9
T = TypeVar("T")
COMMAND_LINE = "console=ttyS0 quiet panic=-1 nokaslr tsc=reliable no_timer_check"
MACS = ("02:42:0a:f4:00:01", "02:42:0a:f4:00:02")
QUIET_MAC = "02:70:61:73:73:02"
"""`guest-init` leaves the interface with this one down."""
BASE = f"""\
<domain type='kvm'>
  <name>{{name}}</name>
  <memory unit='MiB'>{2 * CELL_MIB}</memory>
  <vcpu>1</vcpu>
  <numatune>
    <memnode cellid='0' mode='preferred' nodeset='0'/>
    <memnode cellid='1' mode='preferred' nodeset='1'/>
  </numatune>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{KERNEL}</kernel>
    <initrd>{INITRAMFS}</initrd>
    <cmdline>{COMMAND_LINE}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='host-passthrough'>
    <numa>
      <cell id='0' cpus='0' memory='{CELL_MIB}' unit='MiB'/>
      <cell id='1' memory='{CELL_MIB}' unit='MiB'/>
    </numa>
  </cpu>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <controller type='scsi' index='0' model='virtio-non-transitional'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{DISK}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='user'><mac address='{MACS[0]}'/><model type='virtio-non-transitional'/></interface>
    <interface type='user'><mac address='{MACS[1]}'/><model type='virtio-non-transitional'/></interface>
    <serial type='file'><source path='{CONSOLE}'/></serial>
    <memballoon model='none'/>
    <rng model='virtio-non-transitional'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
</domain>
"""
"""Two nodes, two NICs, a disk and more, and no address: much as virt-launcher leaves it to libvirt."""


def base(name: str) -> str:
    """A domain that boots the small kernel."""
    return BASE.format(name=name)


def prepared() -> None:
    """Make the host one that can boot guests."""
    # A virtual processor that waits is not to be waited for: the only real one has other things to do.
    prepare.run("modprobe", "kvm", "halt_poll_ns=0")
    prepare.run("modprobe", "kvm-amd")
    busybox = Path("/usr/bin/busybox").read_bytes()
    INITRAMFS.write_bytes(initramfs.archive({"init": INIT.read_bytes(), "bin/busybox": busybox}))
    with DISK.open("wb") as file:
        file.truncate(DISK_SIZE)


def booted(bench: Bench, xml: str) -> guestview.View:
    """Boot a domain until it has told all that it sees; what that is."""
    return watched(bench, xml, lambda: None)[0]


def watched(bench: Bench, xml: str, look: Callable[[], T]) -> tuple[guestview.View, list[T]]:
    """The same, and all looks at it: one before its processor runs, one a second, and one when all has been told."""
    told = registers = ""
    # Now and then the emulated virtualization interrupts a guest that has interrupts off, which then waits for a lock
    # that it holds itself. That says nothing of the guest's devices.
    for _ in range(TRIES):
        looks: list[T] = []
        with bench.defined(xml) as domain:
            bench.start(domain)
            try:
                looks.append(look())
                domain.resume()
                for registers in _waited_for(domain):  # noqa: B007  the last ones are told
                    looks.append(look())
                if view := guestview.read(_console()):
                    return view, [*looks, look()]
            finally:
                # Between the question and the answer it may have ended by itself.
                with suppress(libvirt.libvirtError):
                    if domain.isActive():
                        domain.destroy()
        told = f"its console:\n{_console()}\nits processor:\n{registers}"
        print(f"the guest did not come to its end; {told}", flush=True)
    raise Mismatch(f"the guest did not come to its end, {TRIES} times; {told}")


def _waited_for(domain: Any) -> Iterator[str]:
    """Its processor's registers once a second, until it has told all, is gone, takes too long or waits for ever."""
    until = time.monotonic() + PATIENCE
    stack, seconds = "", 0
    # Between the question and the answer the guest may be gone.
    with suppress(libvirt.libvirtError):
        while domain.isActive() and not guestview.read(_console()) and seconds < STUCK and time.monotonic() < until:
            registers = guest.monitor(domain, "info registers")
            yield registers
            before, stack = stack, _stack_with_interrupts_off(registers)
            seconds = seconds + 1 if stack and stack == before else 0
            time.sleep(PAUSE)


def _console() -> str:
    """Its whole lines."""
    return CONSOLE.read_text(errors="replace").rpartition("\n")[0]


def _stack_with_interrupts_off(registers: str) -> str:
    """Where the stack of a 64-bit guest is while it takes no interrupts, else nothing."""
    found = re.search(r"RSP=(\w+).*RFL=(\w+)", registers, re.DOTALL)
    return found[1] if found and not int(found[2], 16) & INTERRUPTS else ""
