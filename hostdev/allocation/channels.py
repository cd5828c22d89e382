"""The channels by which an allocation reaches us, and how far each is trusted."""

from __future__ import annotations

from domxml.alias import natural_order

DOMAIN = "domain"
ALLOCATION_FILE = "allocation file"
ENVIRONMENT = "environment"
NETWORK_INFO = "network-info"
DRA = "dra"
VMI_STATUS = "vmi status"

TRUST = (DOMAIN, ALLOCATION_FILE, ENVIRONMENT, NETWORK_INFO, DRA, VMI_STATUS)
"""The best first. A source starts with its channel: `allocation file PCI_RESOURCE_INTEL_COM_QAT`."""


def channel_of(source: str) -> str:
    """The channel of a source; empty where it is none of ours."""
    return next((channel for channel in TRUST if source.startswith(f"{channel} ")), "")


def trust(source: str) -> tuple[int, tuple[object, ...]]:
    """Sort key: the trusted channels first; within one, QAT2 comes before QAT10."""
    channel = channel_of(source)
    return TRUST.index(channel) if channel else len(TRUST), natural_order(source)
