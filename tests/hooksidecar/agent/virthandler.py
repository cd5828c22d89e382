"""A virt-handler that asks the node hook."""

from __future__ import annotations

import pytest

from hooksidecar.agent.nodehook import METHOD
from tests.hooksidecar.client import Client, Failed
from tests.hooksidecar.wirebytes import message

NODE = "node1"


class Answers:
    """What a virt-handler hears, and what was told about it."""

    def __init__(self, client: Client, told: list[tuple[str, str]]) -> None:
        self.client = client
        self.told = told

    def ask(self, vmi: bytes, point: str = "PreVMStart", node: str = NODE) -> bytes:
        return self.client.call(METHOD, message(f1=point, f2=vmi, f3=message(f1=node)), 30)

    def refusal(self, vmi: bytes, point: str = "PreVMStart") -> Failed:
        with pytest.raises(Failed) as failed:
            self.ask(vmi, point)
        return failed.value
