"""A declared node over a reboot: installed on one boot, and held on the next before kubelet starts, under systemd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import daemon
from tests.vmhost import machine, recipe, share, topology
from tests.vmhost.hosts import Hosts

pytestmark = pytest.mark.vmhost

SYSTEMD = Path(__file__).with_name("systemd-init")
NIC = topology.BY_ID["switch-nic0"].address
DISPLAY = topology.BY_ID["display"].address
CAPABILITIES = ("chown", "dac_override", "sys_ptrace", "net_admin")
"""Those of deploy/overlays/agent-manage."""
PORT = topology.BY_ID["igb0"].address
NVME = topology.BY_ID["nvme0"].address
STATE = f"""\
apiVersion: passgate.dev/v1
kind: NodeState
metadata: {{name: passthrough-host}}
spec:
  devices:
    - match: {{address: "{NIC}", class: ethernet}}
      driver: vfio-pci
    - match: {{address: "{DISPLAY}", class: display}}
      driver: vfio-pci
      withGroup: true
  virtualFunctions:
    - match: {{address: "{PORT}", id: "8086:10c9"}}
      count: 3
      driver: vfio-pci
    - match: {{address: "{NVME}", class: nvme}}
      count: 2
      driver: vfio-pci
  kernel:
    parameters: [intel_iommu=on]
"""
FIRST = """\
#!/bin/sh -x
cat >/usr/bin/passgate <<'END'
#!/bin/sh
export PYTHONPATH=/share/project/xml:/share/project
exec python3 -m hostdev.cli.main "$@"
END
chmod +x /usr/bin/passgate
passgate node state install /share/state.yaml --dry-run >/share/dry-run || exit 3
test ! -e /etc/passgate || exit 4
passgate node state install /share/state.yaml >/share/told || exit 5
tar -cf /share/installed.tar -C / usr/bin/passgate etc/passgate etc/systemd/system/passgate-node-state.service \\
    etc/systemd/system/multi-user.target.wants/passgate-node-state.service
"""
KUBELET = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'passgate node state status /etc/passgate/node-state.yaml -o json >/share/kubelet-saw.json; \\
    systemctl is-active passgate-node-state >/share/kubelet-saw-service'
"""
END = """\
[Unit]
After=kubelet.service
[Service]
Type=oneshot
ExecStart=/bin/sh /share/run
"""
SECOND = f"""\
exec >/share/second.log 2>&1
set -x
devices=/sys/bus/pci/devices
status="passgate node state status /etc/passgate/node-state.yaml -o json"
passgate node state plan /etc/passgate/node-state.yaml -o json >/share/again.json
passgate node state export >/share/exported.yaml
passgate node state status /share/exported.yaml -o json >/share/exported.json; echo $? >/share/exported-code
snatch() {{
    echo >$devices/{NIC}/driver_override
    echo {NIC} >$devices/{NIC}/driver/unbind
    echo {NIC} >/sys/bus/pci/drivers_probe
}}
# Drift, made by hand: told, and mended.
snatch
echo 0 >$devices/{PORT}/sriov_numvfs
$status >/share/drifted.json; echo $? >/share/drifted-code
systemctl restart passgate-node-state; systemctl is-active passgate-node-state >/share/mended-service
$status >/share/mended.json; echo $? >/share/mended-code
# The agent, with the capabilities of its overlay and no others: another program wins twice, and is left alone.
agent="setpriv --bounding-set -all,{",".join(f"+{name}" for name in CAPABILITIES)} --inh-caps -all --no-new-privs \\
    python3 -m hooksidecar.agent.main --kubelet-dir /share/kubelet --manage /etc/passgate/node-state.yaml"
export PYTHONPATH=/share/project/xml:/share/project
mkdir -p /share/kubelet/device-plugins /share/kubelet/pods
driver() {{ basename "$(readlink $devices/{NIC}/driver)"; }}
snatch
echo 0 >$devices/{PORT}/sriov_numvfs
$agent --log-level=info >/share/agent.log 2>&1 &
agent_pid=$!
for i in $(seq 120); do [ "$(driver)" = vfio-pci ] && [ -e $devices/{PORT}/virtfn2/vfio-dev ] && break; sleep 1; done
$status >/share/managed.json; echo $? >/share/managed-code
snatch
for i in $(seq 60); do [ "$(driver)" = vfio-pci ] && break; sleep 1; done
driver >/share/driver-after-first
snatch
for i in $(seq 60); do grep -q node-state-contested /share/agent.log && break; sleep 1; done
driver >/share/driver-after-second
kill $agent_pid; wait $agent_pid; echo $? >/share/agent-code
journalctl -b -o short-monotonic -u passgate-node-state -u kubelet -u systemd-udev-settle >/share/journal
passgate node journal >/share/changes
echo 0 >/share/exit-code
sync
echo o >/proc/sysrq-trigger
"""
LIMIT = 900


@pytest.fixture(scope="module", params=[recipe.SUITE, pytest.param(recipe.NEWER, marks=pytest.mark.thorough)])
def rebooted(request: pytest.FixtureRequest, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two boots left: one that installed the file, and one under systemd that found it installed."""
    host = hosts.of(request.param)
    directory = tmp_path_factory.mktemp("nodestate")
    share.lay_out(directory, [])
    files = {"state.yaml": STATE, "run": FIRST, "kubelet.service": KUBELET, "end.service": END}
    for name, text in files.items():
        (directory / name).write_text(text)
    first = machine.boot(host, directory, timeout=LIMIT)
    assert first.exit_code == 0, first.console
    (directory / "run").write_text(SECOND)
    second = machine.boot(host, directory, timeout=LIMIT, append="systemd.unit=multi-user.target", init=SYSTEMD)
    assert second.exit_code == 0, second.console
    return directory


def items(file: Path) -> dict[tuple[str, str | None], tuple[str, Any]]:
    """By entry and device: its state, and what differs."""
    document = json.loads(file.read_text())
    return {(one["entry"], one["device"]): (one["state"], one["drift"]) for one in document["items"]}


def test_a_dry_run_writes_nothing_and_the_files_are_told(rebooted: Path) -> None:
    assert "Before=kubelet.service" in (rebooted / "dry-run").read_text()
    assert "wrote /etc/systemd/system/passgate-node-state.service\n" in (rebooted / "told").read_text()


def test_kubelet_starts_on_a_node_that_is_as_declared(rebooted: Path) -> None:
    assert items(rebooted / "kubelet-saw.json") == {
        ("virtualFunctions[0]", str(PORT)): ("held", []),
        ("virtualFunctions[1]", str(NVME)): ("held", []),
        ("devices[0]", str(NIC)): ("held", []),
        ("devices[1]", str(DISPLAY)): ("held", []),
        ("kernel.parameters[0]", None): ("held", []),
    }
    assert (rebooted / "kubelet-saw-service").read_text() == "active\n"


def test_a_second_plan_has_nothing_to_do(rebooted: Path) -> None:
    assert json.loads((rebooted / "again.json").read_text())["outcome"] == "nothing"


def test_what_the_node_exports_it_holds(rebooted: Path) -> None:
    assert (rebooted / "exported-code").read_text() == "0\n", (rebooted / "exported.json").read_text()


def test_drift_is_told_and_mended(rebooted: Path) -> None:
    drifted = items(rebooted / "drifted.json")

    assert (rebooted / "drifted-code").read_text() == "1\n"
    state, (driver,) = drifted["devices[0]", str(NIC)]
    assert (state, driver["what"], driver["want"], driver["have"]) == ("drifted", "driver", "vfio-pci", "e1000e")
    assert driver["by"].startswith("another program, after passgate left it on vfio-pci at ")
    state, (count,) = drifted["virtualFunctions[0]", str(PORT)]
    assert (state, count["what"], count["want"], count["have"]) == ("drifted", "count", 3, 0)
    assert drifted["devices[1]", str(DISPLAY)][0] == "held"
    assert (rebooted / "mended-code").read_text() == "0\n", (rebooted / "mended.json").read_text()
    assert (rebooted / "mended-service").read_text() == "active\n"


def test_the_agent_manages_with_the_capabilities_of_its_overlay(rebooted: Path) -> None:
    (container,) = daemon("overlays/agent-manage")["containers"]

    assert tuple(map(str.lower, container["securityContext"]["capabilities"]["add"])) == CAPABILITIES
    assert (rebooted / "managed-code").read_text() == "0\n", (rebooted / "agent.log").read_text()


def test_the_agent_leaves_a_device_to_a_program_that_won_twice(rebooted: Path) -> None:
    log = (rebooted / "agent.log").read_text()

    assert (rebooted / "driver-after-first").read_text() == "vfio-pci\n", log
    assert (rebooted / "driver-after-second").read_text() == "e1000e\n", log
    assert "it was changed back 2 times within minutes" in log
    assert (rebooted / "agent-code").read_text() == "0\n", log
