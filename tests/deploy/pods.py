"""virt-launcher pods, as virt-controller creates them, with all that a policy may look at and little else."""

from __future__ import annotations

from typing import Any

HOOKS = "hook-sidecar-sockets"
PLUGINS = "kubevirt-plugin-sockets"
DEVICES = {"passgate.dev/devices": '[{"resource": "qat.intel.com/generic"}]'}
SIDECAR = {"hooks.kubevirt.io/hookSidecars": '[{"image": "registry.example/passgate-hook:0.1.0"}]'}
FOREIGN_SIDECAR = {"hooks.kubevirt.io/hookSidecars": '[{"image": "registry.example/smbios-hook:1"}]'}


def launcher(
    annotations: dict[str, str] | None,
    *,
    sidecars: int = 1,
    folders: bool = True,
    plugins: bool = False,
    **compute: Any,
) -> dict[str, Any]:
    """A pod with so many hook sidecars; without `folders` as before KubeVirt 1.6, with `plugins` as with that gate."""
    mounts = [{"name": HOOKS, "mountPath": "/var/run/kubevirt-hooks"}] if sidecars else []
    mounts += [{"name": PLUGINS, "mountPath": "/var/run/kubevirt-plugin"}] if plugins else []
    containers = [
        {"name": "compute", "image": "virt-launcher", "volumeMounts": [{"name": "private", "mountPath": "/p"}, *mounts]}
        | compute
    ]
    for number in range(sidecars):
        name = f"hook-sidecar-{number}"
        mount = {"name": HOOKS, "mountPath": "/var/run/kubevirt-hooks"} | ({"subPath": name} if folders else {})
        containers.append({"name": name, "image": "registry.example/passgate-hook:0.1.0", "volumeMounts": [mount]})
    volumes = [HOOKS] * bool(sidecars) + [PLUGINS] * plugins
    metadata: dict[str, Any] = {
        "generateName": "virt-launcher-vm-",
        "namespace": "default",
        "labels": {"kubevirt.io": "virt-launcher"},
    }
    if annotations is not None:
        metadata["annotations"] = annotations
    spec: dict[str, Any] = {"restartPolicy": "Never", "containers": containers}
    if volumes:
        spec["volumes"] = [{"name": name, "emptyDir": {}} for name in volumes]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def compute(pod: dict[str, Any]) -> dict[str, Any]:
    """Its container `compute`."""
    found: dict[str, Any] = next(one for one in pod["spec"]["containers"] if one["name"] == "compute")
    return found


def command(pod: dict[str, Any]) -> list[str]:
    """What kubelet runs in it when it has started; empty: nothing."""
    hook = compute(pod).get("lifecycle", {}).get("postStart")
    found: list[str] = hook["exec"]["command"] if hook else []
    return found


def container_names(pod: dict[str, Any]) -> list[str]:
    """Its containers."""
    return [container["name"] for container in pod["spec"]["containers"]]
