"""`passgate.pyz`: the whole tool as one file for a machine that has Python and nothing else."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NoReturn

from domxml.errors import MissingModule

LIBRARY = "lxml"


class _Absent(ModuleType):
    """lxml.etree where there is none: modules that could need it load, and the first XML says that it is missing."""

    _Element = object

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name.endswith("_VERSION"):
            raise AttributeError(name)
        raise lxml_missing()

    @staticmethod
    def XMLParser(**_options: bool) -> None:  # noqa: N802  lxml's name
        """Made when the reader of domains loads."""

    @staticmethod
    def XPath(_path: str, **_options: bool) -> Any:  # noqa: N802  lxml's name
        """Made when tables load, looked for in a domain later."""
        return _refuse


def _refuse(*_words: object, **_settings: object) -> NoReturn:
    raise lxml_missing()


def lxml_missing() -> MissingModule:
    what = "XML is read with lxml, which this one file does not carry"
    return MissingModule("module-missing", what, hint="use an installed passgate: pip install 'passgate[cli]'")


def run() -> int:
    """Start from the one file. Whatever lxml the machine has stays out: no release but the tested ones is trusted."""
    package, etree = ModuleType(LIBRARY), _Absent(f"{LIBRARY}.etree")
    package.etree = etree  # type: ignore[attr-defined]
    sys.modules.update({LIBRARY: package, etree.__name__: etree})
    from hostdev.cli import main  # noqa: PLC0415  it may load what needs lxml

    return main.run()
