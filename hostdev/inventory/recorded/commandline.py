"""The kernel's command line in a recording: only words that are known to be harmless stay, all others are hidden."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

HIDDEN = "_"
INIT = "--"
"""What stands behind it is for init: nothing of it is known."""

FLAGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "root and start": ("ro", "rw", "quiet", "splash", "rhgb", "rootwait", "debug", "nomodule", "noinitrd"),
        "kernel": ("nokaslr", "nosmp", "nosmt", "nopti", "noibrs", "nopcid", "no_timer_check", "ignore_loglevel"),
        "processor": ("noapic", "nolapic", "nox2apic", "noapictimer", "nohlt", "nohz", "nowatchdog", "nosoftlockup"),
        "devices": (
            "nomodeset",
            "nointremap",
            "noefi",
            "noexec",
            "nousb",
            "noreplace-smp",
            "pnpacpi_off",
            "nvme_noacpi",
        ),
        "systemd": ("emergency", "rescue", "single", "rd.debug"),
    }
)
"""Words without a value, by what they are about."""

VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "IOMMU and VFIO": (
            *("iommu", "iommu.*", "intel_iommu", "amd_iommu", "amd_iommu_intr", "arm-smmu.*", "arm-smmu-v3.*"),
            *("intremap", "x2apic_phys", "vfio.*", "vfio_*.*", "vfio-pci.*", "swiotlb"),
        ),
        "PCI": (
            "pci",
            "pcie_*",
            "pcie_acs_override",
            "pciehp.*",
            "pci-stub.*",
            "libata.*",
            "ahci.*",
            "nvme.*",
            "nvme_core.*",
        ),
        "virtualisation": ("kvm.*", "kvm_intel.*", "kvm_amd.*", "kvm-intel.*", "kvm-amd.*", "kvm-arm.*"),
        "drivers": (
            *("rd.driver.pre", "rd.driver.post", "rd.driver.blacklist", "modprobe.blacklist", "module_blacklist"),
            *("initcall_blacklist", "driver_async_probe", "i915.*", "xe.*", "amdgpu.*", "radeon.*", "nouveau.*"),
            *("nvidia.*", "nvidia-drm.*", "nvidia_drm.*", "mlx5_core.*", "mlx4_core.*", "ixgbe.*", "i40e.*", "ice.*"),
            *("qat_*.*", "intel_qat.*", "idxd.*", "usbcore.*", "thunderbolt.*", "ast.*", "mgag200.*"),
        ),
        "screens and consoles": (
            *("console", "consoleblank", "video", "vga", "fbcon", "efifb", "earlycon", "earlyprintk", "vt.*"),
            *("drm.*", "drm_kms_helper.*", "loglevel", "printk.*", "log_buf_len"),
        ),
        "memory": (
            *("hugepages", "hugepagesz", "default_hugepagesz", "hugetlb_cma", "hugetlb_free_vmemmap", "cma", "mem"),
            *(
                "memmap",
                "transparent_hugepage",
                "numa",
                "numa_balancing",
                "page_poison",
                "init_on_alloc",
                "init_on_free",
            ),
            *("crashkernel", "movable_node", "slab_nomerge", "zswap.*", "vmalloc"),
        ),
        "processors": (
            *("isolcpus", "nohz_full", "nohz", "rcu_nocbs", "rcu_nocb_poll", "rcupdate.*", "rcutree.*", "irqaffinity"),
            *("kthread_cpus", "maxcpus", "nr_cpus", "possible_cpus", "nosmt", "idle", "intel_idle.*", "processor.*"),
            *("intel_pstate", "amd_pstate", "cpufreq.*", "cpuidle.*", "cpuidle_haltpoll.*", "haltpoll.*", "skew_tick"),
            *("tsc", "clocksource", "nmi_watchdog", "mce", "tsx", "mitigations", "spectre_v2", "spectre_v2_user"),
            *(
                "spec_store_bypass_disable",
                "pti",
                "l1tf",
                "mds",
                "retbleed",
                "srbds",
                "tsx_async_abort",
                "mmio_stale_data",
            ),
            *("random.trust_cpu", "systemd.cpu_affinity", "sched_*", "preempt", "hpet"),
        ),
        "kernel": (
            *(
                "panic",
                "oops",
                "reboot",
                "acpi",
                "acpi_*",
                "acpi.*",
                "apparmor",
                "selinux",
                "enforcing",
                "lsm",
                "security",
            ),
            *("audit", "audit_backlog_limit", "lockdown", "psi", "cgroup_enable", "cgroup_disable", "cgroup_no_v1"),
            *("swapaccount", "module.sig_enforce", "ipv6.disable", "net.ifnames", "biosdevname", "efi", "fips"),
            *("elevator", "rootfstype", "rootdelay", "threadirqs"),
        ),
        "systemd and initramfs": (
            *("systemd.unified_cgroup_hierarchy", "systemd.legacy_systemd_cgroup_controller", "systemd.show_status"),
            *(
                "systemd.log_level",
                "systemd.zram",
                "rd.md",
                "rd.lvm",
                "rd.dm",
                "rd.luks",
                "rd.plymouth",
                "rd.multipath",
            ),
            *(
                "plymouth.enable",
                "fsck.mode",
                "fsck.repair",
                "ignition.platform.id",
                "ignition.firstboot",
                "rd.neednet",
                "rd.shell",
            ),
        ),
    }
)
"""Parameters whose value tells of the machine and not of its owner, by what they are about; `*` stands for any name."""

_FLAGS = frozenset(word for words in FLAGS.values() for word in words)
_VALUES = re.compile(
    "|".join(re.escape(name).replace(r"\*", r"[\w-]+") for names in VALUES.values() for name in names), re.ASCII
)
_NAME = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
_PLAIN = re.compile(r"[\w.,:;+@*/!%^=~$()\[\]-]*", re.ASCII)
"""A quote begins a value in which blanks may stand: of that no word is known."""


def mask(line: str) -> str:
    """Hide what is not known to be harmless: the value of a parameter, or the whole word."""
    return " ".join(masked for _, masked in _masked(line))


def changes(old: str, new: str) -> tuple[list[str], list[str]]:
    """The words that only the one line has, and only the other; a hidden word is equal to any that could be it."""
    left, right = list(_masked(old)), list(_masked(new))
    hidden = any(is_hidden(word) for word, _ in (*left, *right))
    left, right = _without_same(left, right)
    if not hidden:
        return [word for word, _ in left], [word for word, _ in right]
    for fits in (_is_value_of, _is_word):
        left, right = _without_pairs(left, right, fits)
    return [masked for _, masked in left], [masked for _, masked in right]


def is_hidden(word: str) -> bool:
    """The word stands for one that a recording does not tell."""
    return word == HIDDEN or word.endswith(f"={HIDDEN}")


_Word = tuple[str, str]
"""As it stands there, and without what tells of its owner."""
_Fits = Callable[[_Word, _Word], bool]


def _masked(line: str) -> Iterator[_Word]:
    for_init = False
    for word in line.split():
        yield word, HIDDEN if for_init else _mask(word)
        for_init = for_init or word == INIT


def _mask(word: str) -> str:
    name, equals, value = word.partition("=")
    if not equals:
        return word if word == INIT or word in _FLAGS or _VALUES.fullmatch(word) else HIDDEN
    if _VALUES.fullmatch(name) and _PLAIN.fullmatch(value):
        return word
    return f"{name}={HIDDEN}" if _NAME.fullmatch(name) else HIDDEN


def _without_same(left: list[_Word], right: list[_Word]) -> tuple[list[_Word], list[_Word]]:
    return _without_pairs(left, right, lambda one, other: one[0] == other[0])


def _without_pairs(left: list[_Word], right: list[_Word], fits: _Fits) -> tuple[list[_Word], list[_Word]]:
    """What is left of both when each word of the first takes one of the second that fits."""
    kept, rest = [], list(right)
    for one in left:
        other = next((other for other in rest if fits(one, other)), None)
        if other is None:
            kept.append(one)
        else:
            rest.remove(other)
    return kept, rest


def _is_value_of(one: _Word, other: _Word) -> bool:
    """One hides the value of a parameter that the other has too."""
    (name, equals, _), (again, equally, _) = one[0].partition("="), other[0].partition("=")
    return bool(equals and equally) and name == again and (is_hidden(one[0]) or is_hidden(other[0]))


def _is_word(one: _Word, other: _Word) -> bool:
    """One is hidden as a whole, and the other is or would be hidden too."""
    return any(word == HIDDEN for word, _ in (one, other)) and all(is_hidden(masked) for _, masked in (one, other))
