"""The kernel command line, as far as it decides on the IOMMU."""

from __future__ import annotations

from collections.abc import Iterator

_OFF_SWITCHES = ("iommu", "intel_iommu", "amd_iommu")


def switched_off(cmdline: str) -> str | None:
    """The option that turns the IOMMU off, if it does."""
    # Of intel_iommu=on and intel_iommu=off the last one counts.
    last = {name: (token, value) for token, name, value in _options(cmdline) if name in _OFF_SWITCHES}
    return next((token for token, value in last.values() if "off" in value.split(",")), None)


def without_remapping(cmdline: str) -> str | None:
    """The option that turns interrupt remapping off, if it does."""
    for token, name, value in _options(cmdline):
        if name == "nointremap" or (name == "intremap" and "off" in value.split(",")):
            return token
    return None


def passes_host_dma(cmdline: str) -> bool:
    """Whether the host's own DMA goes past the IOMMU (iommu=pt)."""
    return any(
        (name == "iommu" and "pt" in value.split(",")) or (name == "iommu.passthrough" and value == "1")
        for _, name, value in _options(cmdline)
    )


def overrides_acs(cmdline: str) -> str | None:
    """The option of patched kernels that splits IOMMU groups without isolation."""
    return next((token for token, name, _ in _options(cmdline) if name == "pcie_acs_override"), None)


def _options(cmdline: str) -> Iterator[tuple[str, str, str]]:
    for token in cmdline.split():
        name, _, value = token.partition("=")
        yield token, name, value
