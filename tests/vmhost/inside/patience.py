"""How long what must come is waited for on the passthrough host: its processors are slow."""

from __future__ import annotations

PATIENCE = 300.0
