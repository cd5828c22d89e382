"""A VM on the passthrough host that is a node itself: with its devices, and with a virtual IOMMU or without."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import libvirt

from domxml.pciaddress import PciAddress
from tests.vmhost import initramfs
from tests.vmhost.inside import guestboot, innerlook
from tests.vmhost.inside.bench import Bench
from tests.vmhost.inside.domains import hostdev
from tests.vmhost.inside.patience import PATIENCE
from tests.vmhost.inside.scenario import Mismatch

INIT = Path(__file__).parent.parent / "inner-init"
INITRAMFS = Path("/tmp/inner-initramfs")  # noqa: S108  this host is ours alone
CONSOLE = Path("/tmp/inner-console")  # noqa: S108
CONSOLE_TAIL = 20
VIRTUAL_IOMMU = "<iommu model='intel'><driver intremap='on' caching_mode='on'/></iommu>"
DOMAIN = f"""\
<domain type='kvm'>
  <name>inner</name>
  <memory unit='MiB'>512</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{guestboot.KERNEL}</kernel>
    <initrd>{INITRAMFS}</initrd>
    <cmdline>{guestboot.COMMAND_LINE} intel_iommu=on</cmdline>
  </os>
  <features><acpi/><ioapic driver='qemu'/></features>
  <cpu mode='host-passthrough'/>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <filesystem type='mount' accessmode='passthrough' multidevs='remap'>
      <source dir='/'/><target dir='root'/>
    </filesystem>
    {{iommu}}
    {{devices}}
    <serial type='file'><source path='{CONSOLE}'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def looked_at(bench: Bench, *devices: PciAddress, iommu: bool) -> dict[str, Any]:
    """What it found: the VM is booted, and powers off once it has looked."""
    busybox = Path("/usr/bin/busybox").read_bytes()
    INITRAMFS.write_bytes(initramfs.archive({"init": INIT.read_bytes(), "bin/busybox": busybox}))
    xml = DOMAIN.format(iommu=VIRTUAL_IOMMU if iommu else "", devices="".join(map(hostdev, devices)))
    # As in `guestboot`: now and then the emulated virtualization stops a guest.
    for _ in range(guestboot.TRIES):
        innerlook.FOUND.unlink(missing_ok=True)
        with bench.defined(xml) as domain:
            bench.start(domain)
            try:
                domain.resume()
                _wait_for_power_off(domain)
            finally:
                with suppress(libvirt.libvirtError):
                    domain.destroy()
        if innerlook.FOUND.exists():
            found: dict[str, Any] = json.loads(innerlook.FOUND.read_text())
            return found
    tail = "\n".join(CONSOLE.read_text(errors="replace").splitlines()[-CONSOLE_TAIL:])
    raise Mismatch(f"the VM did not come to its end; its console:\n{tail}")


def _wait_for_power_off(domain: Any) -> None:
    until = time.monotonic() + PATIENCE
    while domain.isActive() and time.monotonic() < until:
        time.sleep(guestboot.PAUSE)
