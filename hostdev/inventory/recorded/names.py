"""Names that a host's owner gave, and what stands for each in a recording, wherever it stands."""

from __future__ import annotations

import re

_FORM = "hidden-{}"
_MADE_UP = re.compile(r"hidden-\d+", re.ASCII)

_DEVICE = re.compile(
    r"(?:(?:sd|hd|vd|xvd|ubd|dasd)[a-z]+|nvme\d+(?:c\d+)?n\d+|(?:mmcblk|dm-|md|loop|sr|nbd|zd|ram|zram|bcache|pmem|drbd)\d+"
    r"|root|mpath[a-z]+)(?:p?\d+)?",
    re.ASCII,
)
"""As the kernel names block devices."""
_INTERFACE = re.compile(
    r"(?:lo|eth|en|ib|wl|ww|em|usb|hsn|nic|bond|br|bridge|team|vlan|vxlan|virbr|docker|cni|veth|cali|lxc|tap|tun|vnet|dummy"
    r"|ifb|gre|gretap|erspan|sit|ip6tnl|ip6gre|ip_vti|tunl|wg|flannel|cilium|geneve?|genev|ovs|ovn|kube|ipvs|nodelocaldns"
    r"|vmbr|fwbr|fwpr|fwln|macvtap|macvlan|ipvlan)?(?:[A-Za-z]{0,2}\d+)*",
    re.ASCII,
)
"""As kernel, udev and the usual tools name interfaces: nothing of it was thought up by the owner."""
_HEX_INTERFACE = re.compile(r"(?:veth|cali|lxc|tap|vnet|br-|enx|wlx|wwx|fwbr|gke|eni)_?[0-9a-f]+", re.ASCII)
_LONG = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|3[0-9a-f]{16}|3[0-9a-f]{32}|eui\.[0-9a-f]+|luks-[0-9a-f-]{36}|wwid\d+", re.ASCII
)
"""UUIDs and WWIDs are replaced each by their own kind."""
_WORDS = (
    "@ home root var bin boot bpf by id label partuuid path uuid cache containerd containers crio current "
    "data dev disk docker efi esp etc ephemeral hosts hostname hugepages images img initramfs k3s kubelet "
    "kubernetes lib libvirt local log longhorn mapper mnt media nix nvme oem opt origin ostree overlay "
    "overlay2 persist pods proc pv rancher rke2 rook resolv conf rootfs run sbin scratch snapshots snap spool "
    "srv state store storage swap swapfile sys sysroot system tank rpool bpool zroot tmp ubuntu lv usr "
    "usrlocal cos vg volumes pool luks crypt cryptroot cryptswap cryptdata control plugins ex int mgmt "
    "management public private lan wan tenant provider trunk san migration vm host net mp k8s mpath wwid part "
    "bo rhel centos fedora debian sles rocky "
    "idrac bmc kubernetes.io~csi"
)
"""What such things are called everywhere, as words and with numbers."""
_KNOWN = frozenset(["", *_WORDS.split()])
_BREAKS = re.compile(r"[-_.@]+")
_DIGITS = "0123456789"


class Names:
    """Counts the names it replaces, in the order of their first appearance."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The name of a file, a volume or a pool, if it says nothing of its owner, or the one that stands for it."""
        plain = _DEVICE.fullmatch(name) or _LONG.fullmatch(name) or _is_usual(name)
        return name if plain else self._replaced(name)

    def of_interface(self, name: str) -> str:
        return name if _HEX_INTERFACE.fullmatch(name) or _is_usual(name, _INTERFACE) else self._replaced(name)

    def of_path(self, path: str) -> str:
        """A path, part by part."""
        return "/".join(self.of(part) if part and not part.isdecimal() else part for part in path.split("/"))

    def _replaced(self, name: str) -> str:
        return self._known.setdefault(name, _FORM.format(len(self._known) + 1))


def _is_usual(name: str, kind: re.Pattern[str] = _DEVICE) -> bool:
    """Made of words that such names are made of everywhere."""
    return is_made_up(name) or all(
        len(word) < 2 or word.rstrip(_DIGITS) in _KNOWN or kind.fullmatch(word) for word in _BREAKS.split(name)
    )


def is_made_up(name: str) -> bool:
    return _MADE_UP.fullmatch(name) is not None
