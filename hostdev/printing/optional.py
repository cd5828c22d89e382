"""Modules that are only there with an extra of the package."""

from __future__ import annotations

import importlib
from typing import Any

from domxml.errors import MissingModule


def module(name: str, package: str, *, extra: str, instead: str = "") -> Any:
    """Import a module, or say what to install, or what does without."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        hint = ", or ".join(filter(None, (f"pip install 'passgate[{extra}]'", instead)))
        raise MissingModule("module-missing", f"this needs {package}: {error}", hint=hint) from None
