"""Recorded machines: the raw files that a scan reads, in one TOML file that can be reviewed and scanned again."""

from hostdev.recorded.layout import lay_out, open_host
from hostdev.recorded.recorder import snapshot

__all__ = ["lay_out", "open_host", "snapshot"]
