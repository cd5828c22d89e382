"""Text that no rule knows: which layer it seems to come from, and where that layer's reason usually stands."""

from __future__ import annotations

import re
from typing import NamedTuple

from hostdev.explain.addresses import addresses_in
from hostdev.explain.text import plain

_MOST = 1 << 18
_PASSTHROUGH = re.compile(
    r"vfio|iommu|sr-?iov|hostdev|host-device|passthrough|pass-through|\bmdev|mediated|\bvgpu|permittedhostdevices|"
    r"pci_resource_|\bvfs?\b|device ?plugin|resourceclaim|"
    r"dynamic resources|\bcdi\b|\bnvrm\b|\bdmar\b|amd-vi"
)
_PCI = re.compile(r"(?<![a-z])pci(?![a-z])|直通|透传")


class Unknown(NamedTuple):
    """What can be said of a text that is not known."""

    layer: str
    where: str
    """Where that layer's reason usually stands."""
    ours: bool
    """Whether it speaks of passthrough at all."""


class _Layer(NamedTuple):
    name: str
    words: str
    where: str


_LANGUAGES = (
    (
        "German",
        r"fehler\b|fehlgeschlagen|nicht (?:genügend|unterstützt|gefunden)|ungültige|keine berechtigung|\bkonnte\b",
    ),
    ("Japanese", "エラー|失敗しました|できません|ありません|サポートされていません"),
    ("Chinese", "错误|錯誤|失败|失敗|不支持|无法|無法|没有|设备"),
    ("Korean", "오류|실패|할 수 없|지원되지"),
    ("French", r"\berreur\b|\bimpossible de\b|\béchec\b|non prise? en charge|permission non accordée"),
    ("Spanish", r"\bno se (?:puede|pudo|encuentra|ha podido)\b|error interno|no soportad|argumento inválido"),
    ("Portuguese", r"\berro\b|não foi possível|não suportad|permissão negada"),
    ("Italian", r"\berrore\b|\bimpossibile\b|non supportat|argomento non valido"),
    ("Russian", "ошибка|не удалось|невозможно|не поддерживается"),
    ("Ukrainian", "помилка|не вдалося|неможливо"),
    ("Polish", r"\bbłąd\b|nie można|nie udało się|nieobsługiwan"),
    ("Czech", r"\bchyba\b|nelze|nepodařilo se"),
    ("Turkish", r"\bhata\b"),
    ("Dutch", r"\bfout\b|kan niet|mislukt"),
    ("Swedish", r"\bfel:|misslyckades|kan inte"),
)
"""Words by which libvirt, bash and the C library in another language give themselves away."""
_ORIGINAL = (
    "in the English original, which alone the rules know: type the command again with `LC_ALL=C` in front of it, as in "
    "`LC_ALL=C virsh start DOMAIN`, or take the line from the service's journal"
)
_LAYERS = (
    _Layer(
        "a Go program that panicked",
        r"panic: |goroutine \d+ \[|invalid memory address",
        "a Go panic says nothing by itself: the program's last lines before it do, and the first line below "
        "`goroutine 1` that names the program's own file",
    ),
    _Layer(
        "the network of the pod (CNI, Multus)",
        r"failed to create pod sandbox|\bcni\b|multus|failedcreatepodsandbox",
        "what stands behind `error adding container to network` in the event, and the log of the Multus pod of that "
        "node",
    ),
    _Layer(
        "QEMU",
        r"qemu-(?:kvm|system-\w+)|(?<!/dev/)\bkvm: |unexpectedly closed the monitor|connecting to monitor",
        "the line of QEMU that names the option (-device, -blockdev, -machine) and what stands behind it; the log of "
        "compute, or /var/log/libvirt/qemu/DOMAIN.log",
    ),
    _Layer(
        "libvirt",
        r"libvirt|virterror|virsh|\bvirt\w+:\d+\b|unsupported configuration|xml error|^error: ",
        "the first line of virtqemud with `error` in its journal, or in the log of compute; later ones repeat it",
    ),
    _Layer(
        "KubeVirt",
        r"virt-(?:launcher|handler|controller|api|operator)|syncvmi|kubevirt|virtualmachine",
        "`kubectl describe vmi VM` (the first SyncFailed), then `kubectl logs POD -c compute`, then the log of "
        "virt-handler of that node",
    ),
    _Layer(
        "kubelet or the scheduler",
        r"kubelet|failedscheduling|nodes are available|failedmount|unexpectedadmission|default-scheduler",
        "`kubectl describe pod POD` (the events), then kubelet's journal on the node",
    ),
    _Layer(
        "a driver of the guest",
        r"windows|device manager|iavf|ixgbevf|nvidia-smi",
        "the guest's own log (dmesg, the event viewer), then `passgate node vitals DEVICE` on the node",
    ),
    _Layer(
        "the kernel",
        r"^\[ *\d+\.\d+\]|\bkernel: |\bdmesg\b|call trace|\bnvme\b|\busb \d",
        "the first line about the same device before it in `dmesg`, and the lines of the port above it",
    ),
)


def place_unknown(text: str) -> Unknown:
    """Say of an unknown text what can be said without a guess."""
    words = plain(text[:_MOST])
    ours = _PASSTHROUGH.search(words) is not None or any(addresses_in(words))
    language = next((name for name, pattern in _LANGUAGES if re.search(pattern, words)), "")
    if language:
        speaker = f"a program that speaks {language}: it is a translation"
        return Unknown(speaker, _ORIGINAL, ours or _PCI.search(words) is not None)
    for layer in _LAYERS:
        if re.search(layer.words, words):
            return Unknown(layer.name, layer.where, ours)
    return Unknown("", "the message in full, with the program that wrote it and the lines before it, tells more", ours)
