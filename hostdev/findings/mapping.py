"""What is said when the guest's memory cannot be mapped or locked for a device."""

from __future__ import annotations

from hostdev.findings.rule import (
    ABOVE_WIDTH,
    IN_RESERVED,
    IN_VIRT_LAUNCHER,
    NOT_OF_A_BAR,
    OF_A_BAR,
    Rule,
    Sureness,
)
from hostdev.findings.trouble import Nature, Trouble

GUEST_ADDRESS_WIDTH = Trouble(
    code="guest-address-width",
    title="The guest uses addresses that the host's IOMMU cannot reach",
    cause=(
        "The guest's firmware places large BARs at the top of its address space. Where the guest has more physical "
        "address bits than the host's IOMMU (39 on many Intel desktops, 46 or 48 on servers), the mapping is refused "
        "with `Invalid argument`. If only the BAR of a device cannot be mapped, the VM runs, and two devices cannot "
        "reach each other's memory; if it is memory of the guest, the device or the VM does not work."
    ),
    hint="limit the guest's physical address bits (phys-bits) to the address width of the host's IOMMU",
    remedy=(
        "1. `dmesg | grep -i 'host address width'` on the node tells the IOMMU's width on Intel.\n"
        "2. libvirt: `<maxphysaddr mode='passthrough' limit='39'/>` in `<cpu>` (libvirt 9.3, QEMU 8). QEMU: "
        "`-cpu host,host-phys-bits-limit=39`. Proxmox: `args: -cpu host,host-phys-bits-limit=39`.\n"
        "3. Where nothing but this warning is seen and the VM works, it may be left alone."
    ),
    look="dmesg | grep -i 'host address width'",
    issues=("bpg/terraform-provider-proxmox#1353", "kata-containers/kata-containers#13270"),
)

PEER_MAPPING_FAILED = Trouble(
    code="peer-mapping-failed",
    title="The BAR of one device cannot be mapped for another: devices cannot reach each other directly",
    cause=(
        "QEMU maps the memory of each device also for the other devices, for transfers between them (peer to peer). "
        "Where the IOMMU does not allow that, QEMU warns, and goes on."
    ),
    hint="harmless, unless devices of this VM are to exchange data directly (GPUDirect, NVMe to GPU)",
    remedy="Where transfers between devices are wanted, see guest-address-width; else leave it alone.",
    look="passgate node vitals DEVICE",
    nature=Nature.HARMLESS,
)

DMA_MAP_LIMIT = Trouble(
    code="dma-map-limit",
    title="VFIO has no DMA mapping left for this VM",
    cause=(
        "A VFIO container holds 65535 mappings at most (`dma_entry_limit` of the module vfio_iommu_type1). "
        "virtio-mem with small blocks, a guest with a virtual IOMMU, or a confidential VM whose memory is shared "
        "page by page use them up."
    ),
    hint="raise dma_entry_limit of vfio_iommu_type1, or use larger blocks",
    remedy=(
        "`options vfio_iommu_type1 dma_entry_limit=1048576` in `/etc/modprobe.d/vfio.conf`, and a reboot; "
        "for virtio-mem a larger `block-size`."
    ),
    look="cat /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
    issues=("NVIDIA/nvtrust#46",),
)

DMA_MAP_LIMIT_NEAR = Trouble(
    code="dma-map-limit-near",
    title="QEMU warns that the VM might run out of DMA mappings",
    cause=(
        "It compares what virtio-mem or a confidential VM could need with `dma_entry_limit` of vfio_iommu_type1 "
        "(65535). It is a warning at the start: nothing has failed yet."
    ),
    hint="nothing, unless mappings fail later; then raise dma_entry_limit or the block-size of virtio-mem",
    remedy="`options vfio_iommu_type1 dma_entry_limit=1048576` in `/etc/modprobe.d/vfio.conf`, and a reboot.",
    look="cat /sys/module/vfio_iommu_type1/parameters/dma_entry_limit",
    nature=Nature.HARMLESS,
    issues=("NVIDIA/nvtrust#46",),
)

MEMLOCK_REFUSED = Trouble(
    code="memlock-refused",
    title="libvirt may not raise the limit of locked memory in its pod",
    cause=(
        "A VM with a VFIO device needs its whole memory locked, and libvirt raises the limit with prlimit. In a "
        "non-root pod it has no CAP_SYS_RESOURCE and may not; virt-handler has to raise it beforehand, and does so "
        "only for what it counts: not for a device that KubeVirt does not know, not for the whole memory under memory "
        "overcommit, not for a domain that asks for more (a `hard_limit`, or `unlimited`, which is 9007199254740991)."
    ),
    hint=(
        "let virt-handler raise it: name the device in the VM's spec, no memory overcommit, or reservedOverhead.memLock"
    ),
    remedy=(
        "1. In the VM: memory requests equal to limits, and no `memoryOvercommit` above 100 in the KubeVirt object.\n"
        "2. A device that comes by a hook alone: `passgate lint --vmi FILE` tells whether the VM has a reason for "
        "virt-handler ([memlock-not-raised](findings/memlock-not-raised.md)).\n"
        "3. Newer KubeVirt has `reservedOverhead` with `memLock` in the VM's spec. With a virtual IOMMU libvirt counts "
        "the memory once for each device, which KubeVirt reckons with since 1.8.3. After memory was plugged in, the "
        "VF of a migrated VM was refused: KubeVirt 1.6.4 and 1.7.0 have the mending.\n"
        "4. Outside of KubeVirt: start virtqemud with CAP_SYS_RESOURCE, or with `LimitMEMLOCK=infinity`."
    ),
    look="passgate lint --vmi FILE",
    issues=("kubevirt/kubevirt#17694", "kubevirt/kubevirt#10379", "kubevirt/kubevirt#17805", "kubevirt/kubevirt#15952"),
)

MEMORY_NOT_PINNED = Trouble(
    code="memory-not-pinned",
    title="The kernel could not pin memory of the guest for DMA",
    cause=(
        "`Bad address` for memory of the guest means that its pages could not be had and pinned: too few free huge "
        "pages or too little memory on the node, memory that is backed by a file on a DAX file system or by a device, "
        "or memory of a confidential VM that is private."
    ),
    hint="see whether the node has the memory free, and what backs the guest's memory",
    remedy=(
        "`grep -i huge /proc/meminfo` and `free -m` on the node, before the start. Back the guest's memory with memfd "
        "or huge pages, not with a file."
    ),
    look="grep -i huge /proc/meminfo",
    issues=("kata-containers/kata-containers#10354",),
)

IOMMU_NOT_USABLE = Trouble(
    code="iommu-not-usable",
    title="The host's IOMMU could not be set up for the device",
    cause=(
        "Mapping the guest's memory failed with `No such file or directory`, or the IOMMU did not take the device: "
        "this is not about the amount of memory. The IOMMU is off in the firmware or on the kernel's command line, the "
        "instance type of a cloud has none for this device, or its driver reported faults."
    ),
    hint="look at what the kernel says of the IOMMU: `dmesg | grep -e DMAR -e IOMMU -e AMD-Vi`",
    remedy=(
        "1. `passgate node doctor` on the node: is there an IOMMU ([no-iommu](findings/no-iommu.md))?\n"
        "2. `dmesg | grep -e DMAR -e IOMMU -e AMD-Vi -e SMMU` shows whether its set-up failed.\n"
        "3. If memory is also reported as short (`Cannot allocate memory`), look at the limit too: "
        "`prlimit -p PID --memlock` of QEMU."
    ),
    look="passgate node doctor",
    issues=("kubevirt/kubevirt#14593",),
)

TROUBLES = (
    GUEST_ADDRESS_WIDTH,
    PEER_MAPPING_FAILED,
    DMA_MAP_LIMIT,
    DMA_MAP_LIMIT_NEAR,
    MEMLOCK_REFUSED,
    MEMORY_NOT_PINNED,
    IOMMU_NOT_USABLE,
)

_INVALID = (
    "dma_map{any}) = -22",
    "VFIO_MAP_DMA failed: Invalid argument",
    "VFIO_MAP_DMA: -22",
    "IOMMU_IOAS_MAP failed: Invalid argument",
)
_NO_MEMORY = (
    "VFIO_MAP_DMA failed: Cannot allocate memory",
    "VFIO_MAP_DMA: -12",
    "dma_map{any}) = -12",
    "IOMMU_IOAS_MAP failed: Cannot allocate memory",
    "RLIMIT_MEMLOCK ({any}) exceeded",
    "vfio_pin_pages_remote: RLIMIT_MEMLOCK",
    "memory listener initialization failed: Cannot allocate memory",
    "memory listener initialization failed for container: Cannot allocate memory",
)
_MAPPING_ENDED = ("vfio: DMA mapping failed, unable to continue", "hardware error: vfio: DMA mapping failed")
"""It ends QEMU whatever the reason was; errno stands in the line before."""
_MAPPING_CODES = ("guest-address-width", "memlock-not-raised", "reserved-region", "dma-map-limit", "memory-not-pinned")

RULES = (
    Rule("guest-address-width", _INVALID, (ABOVE_WIDTH, NOT_OF_A_BAR), Sureness.LIKELY),
    Rule(
        "guest-address-width",
        (
            "can't map guest IOVA region",
            "iommu width ({any}) is not sufficient for the mapped address",
        ),
        sure=Sureness.LIKELY,
    ),
    *(Rule(code, _MAPPING_ENDED, sure=Sureness.ONE_OF) for code in _MAPPING_CODES),
    Rule("reserved-region", _INVALID, (IN_RESERVED, NOT_OF_A_BAR), Sureness.LIKELY),
    Rule("peer-mapping-failed", _INVALID, (OF_A_BAR,), Sureness.LIKELY),
    Rule(
        "peer-mapping-failed",
        (
            "PCI p2p may not work",
            "failed: Bad address, PCI BAR?",
            "PCI peer-to-peer transactions on BARs are not supported",
            "using mmap fallback, P2P DMA will not work",
        ),
        over=("memory-not-pinned", "guest-address-width", "reserved-region", "iommu-not-usable"),
    ),
    Rule(
        "dma-map-limit",
        (
            "dma_map{any}) = -28",
            "VFIO_MAP_DMA failed: No space left on device",
            "IOMMU_IOAS_MAP failed: No space left on device",
        ),
    ),
    Rule(
        "dma-map-limit-near",
        ("possibly running out of DMA mappings", "Maximum possible DMA mappings: {any}"),
    ),
    Rule("memlock-not-raised", _NO_MEMORY, sure=Sureness.LIKELY),
    Rule(
        "memlock-refused",
        (
            "cannot limit locked memory of process {any} to {any}: Operation not permitted",
            "cannot limit locked memory of process to {any}: Operation not permitted",
        ),
        over=("memlock-not-raised",),
    ),
    Rule(
        "memlock-refused",
        ("cannot limit locked memory of process {any} to", "cannot limit locked memory of process to"),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "memlock-refused",
        ("failed to adjust resources: failed to set process", "failed to set process {any} memlock rlimit to"),
        (IN_VIRT_LAUNCHER,),
    ),
    Rule(
        "memory-not-pinned",
        (
            "dma_map{any}) = -14",
            "VFIO_MAP_DMA failed: Bad address",
            "IOMMU_IOAS_MAP failed: Bad address",
        ),
        sure=Sureness.LIKELY,
    ),
    Rule(
        "iommu-not-usable",
        (
            "dma_map{any}) = -2 (",
            "VFIO_MAP_DMA failed: No such file or directory",
            "IOMMU_IOAS_MAP failed: No such file or directory",
        ),
        sure=Sureness.LIKELY,
        over=("memlock-not-raised",),
    ),
)
