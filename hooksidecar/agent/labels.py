"""The labels for Node Feature Discovery, kept as they should be."""

from __future__ import annotations

from domxml.errors import PassgateError
from hooksidecar import log
from hooksidecar.agent import features
from hooksidecar.agent.sweep import Sweep
from hostdev.kubelet.checkpoint import Checkpoint


class Labels:
    """Writes the file when what it tells may have changed."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._told: tuple[object, ...] = ()
        self._trouble = ""

    def write(self, swept: Sweep, checkpoint: Checkpoint | None) -> None:
        """Tell of the machine and the grants of a sweep; where the file cannot be written, say so once."""
        about = (swept.machine, swept.grants, checkpoint)
        if not self._directory or swept.machine is None or about == self._told:
            return
        registered = checkpoint.registered if checkpoint else {}
        try:
            features.write(self._directory, features.text(swept.machine, swept.grants, registered))
        except PassgateError as error:
            if error.sentence() != self._trouble:
                self._trouble = error.sentence()
                log.warning("no labels", reason=self._trouble)
        else:
            self._told, self._trouble = about, ""
