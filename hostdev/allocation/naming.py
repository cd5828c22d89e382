"""From a resource to the variable that names its devices; never back, for many resources share one name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

STEMS = ("PCIDEVICE_", "PCI_RESOURCE_", "MDEV_PCI_RESOURCE_", "USB_RESOURCE_")
"""What plugins put before the name that they make of the resource."""


def suffix(resource: str) -> str:
    """What plugins make of a resource: intel.com/sriov-net becomes INTEL_COM_SRIOV-NET."""
    return resource.upper().replace("/", "_").replace(".", "_")


def folded(name: str) -> str:
    """A name as a shell-minded plugin would spell it, without regard to case."""
    return name.upper().replace("-", "_")


def stem_of(variable: str) -> str:
    """What the variable starts with, if anything follows; empty: its name is not made of a resource."""
    return next((stem for stem in STEMS if variable.startswith(stem) and len(variable) > len(stem)), "")


_SPELLINGS: tuple[Callable[[str], str], ...] = (str, str.upper, folded)
"""How a name may differ from the computed one, the strictest first."""


def owners(suffixes: Collection[str], resources: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """The resources that each suffix stands for; of two that fit, the one that fits more strictly."""
    claims: dict[str, list[tuple[int, str]]] = {name: [] for name in suffixes}
    for resource in sorted(resources):
        strictness, names = _fitting(suffixes, suffix(resource))
        for name in names:
            claims[name].append((strictness, resource))
    return {name: _strictest(fitting) for name, fitting in claims.items()}


def _fitting(suffixes: Collection[str], computed: str) -> tuple[int, list[str]]:
    for strictness, spelling in enumerate(_SPELLINGS):
        names = [name for name in suffixes if spelling(name) == spelling(computed)]
        if names:
            return strictness, names
    return len(_SPELLINGS), []


def _strictest(claims: list[tuple[int, str]]) -> tuple[str, ...]:
    best = min((strictness for strictness, _ in claims), default=0)
    return tuple(resource for strictness, resource in claims if strictness == best)
