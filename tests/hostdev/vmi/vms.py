"""VMs: a manifest as a user writes it, and the recorded VMIs."""

from __future__ import annotations

from tests.domxml.domains import FOLDER

RECORDED = sorted(FOLDER.glob("*.vmi.json"))
VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: qat
  namespace: lab
  annotations: {note: mine}
spec:
  instancetype: {name: u1.large}
  template:
    metadata:
      annotations:
        passgate.dev/devices: |
          [{"resource": "qat.intel.com/generic"}]
    spec:
      domain:
        resources: {limits: {qat.intel.com/generic: 1}}
        devices: {}
"""
