"""What KubeVirt refuses of GPUs, host devices, claims, and the small devices of a guest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import DEVICE_REFUSED, GATE_CLOSED
from hostdev.findings.spec import DRA_CLAIM_MISSING
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import AMD64, ARM64, S390X, Hit, Rule, Subject, at, find_repeated, gate_rule

GPUS, HOST_DEVICES = "domain.devices.gpus", "domain.devices.hostDevices"
_VIDEO = {AMD64: ("vga", "cirrus", "virtio", "ramfb", "bochs"), ARM64: ("virtio", "ramfb")}
_PANIC = ("hyperv", "isa", "pvpanic")


def _is_claimed(device: Mapping[str, Any]) -> bool:
    return "claimName" in device or "requestName" in device


def _both(subject: Subject) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from subject.each(GPUS)
    yield from subject.each(HOST_DEVICES)


def _gpu_of_nothing(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each(GPUS):
        if not device.get("deviceName") and not _is_claimed(device):
            yield place, {}


def _host_device_of_nothing(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each(HOST_DEVICES):
        if not device.get("deviceName") and not _is_claimed(device):
            yield place, {}


def _of_two_kinds(subject: Subject) -> Iterator[Hit]:
    for place, device in _both(subject):
        if device.get("deviceName") and _is_claimed(device):
            yield place, {}


def _host_devices(subject: Subject) -> Iterator[Hit]:
    if subject.at(HOST_DEVICES):
        yield HOST_DEVICES, {}


def _claimed_gpus(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each(GPUS):
        if _is_claimed(device):
            yield place, {}
            return


def _claimed_host_devices(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each(HOST_DEVICES):
        if _is_claimed(device):
            yield place, {}
            return


def _undeclared_claim(subject: Subject) -> Iterator[Hit]:
    declared = {claim.get("name") for _, claim in subject.each("resourceClaims")}
    for place, device in _both(subject):
        if device.get("claimName") and device["claimName"] not in declared:
            yield place, {"claim": device["claimName"]}
    for place, network in subject.each("networks"):
        claim = at(network, "resourceClaim.claimName")
        if claim and claim not in declared:
            yield f"{place}.resourceClaim", {"claim": claim}


def _no_request(subject: Subject) -> Iterator[Hit]:
    for place, device in _both(subject):
        if _is_claimed(device) and not (device.get("claimName") and device.get("requestName")):
            missing = "requestName" if device.get("claimName") else "claimName"
            yield f"{place}.{missing}", {"key": missing}


def _pair_twice(subject: Subject) -> Iterator[Hit]:
    met: set[tuple[Any, Any]] = set()
    for place, device in _both(subject):
        pair = (device.get("claimName"), device.get("requestName"))
        if all(pair) and pair in met:
            yield place, {"claim": pair[0], "request": pair[1]}
        met.add(pair)


def _mixed_gpus(subject: Subject) -> Iterator[Hit]:
    kinds = {_is_claimed(device) for _, device in subject.each(GPUS)}
    if len(kinds) > 1:
        yield GPUS, {}


def _claim_sources(subject: Subject) -> Iterator[Hit]:
    for place, claim in subject.each("resourceClaims"):
        count = bool(claim.get("resourceClaimName")) + bool(claim.get("resourceClaimTemplateName"))
        if count != 1:
            yield place, {"how": "at most one" if count else "one"}


def _claim_twice(subject: Subject) -> Iterator[Hit]:
    for place, name in find_repeated(subject, "resourceClaims"):
        yield place, {"name": name}


def _two_displays(subject: Subject) -> Iterator[Hit]:
    shown = [place for place, device in subject.each(GPUS) if _has_ramfb(device)]
    if len(shown) > 1:
        yield f"{shown[1]}.virtualGPUOptions.display", {}


def _has_ramfb(device: Mapping[str, Any]) -> bool:
    display = at(device, "virtualGPUOptions.display")
    if display is None or display.get("enabled") is False:
        return False
    return at(display, "ramFB.enabled") is not False


def _video(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.video") is not None:
        yield "domain.devices.video", {}


def _video_without_graphics(subject: Subject) -> Iterator[Hit]:
    if (
        subject.at("domain.devices.video") is not None
        and subject.at("domain.devices.autoattachGraphicsDevice") is False
    ):
        yield "domain.devices.video", {}


def _video_type(subject: Subject) -> Iterator[Hit]:
    kind, known = subject.at("domain.devices.video.type"), _VIDEO.get(subject.architecture)
    if kind and known is not None and kind not in known:
        yield "domain.devices.video.type", {"type": kind, "types": ", ".join(known)}


def _panic(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.panicDevices"):
        yield "domain.devices.panicDevices", {}


def _panic_on_s390x(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.panicDevices") and subject.architecture == S390X:
        yield "domain.devices.panicDevices", {}


def _panic_model(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each("domain.devices.panicDevices"):
        if device.get("model") and device["model"] not in _PANIC:
            yield f"{place}.model", {"model": device["model"], "models": ", ".join(_PANIC)}


def _sound_without_name(subject: Subject) -> Iterator[Hit]:
    sound = subject.at("domain.devices.sound")
    if sound is not None and not sound.get("name"):
        yield "domain.devices.sound", {}


def _sound_model(subject: Subject) -> Iterator[Hit]:
    model = subject.at("domain.devices.sound.model")
    if model and model not in {"ich9", "ac97"}:
        yield "domain.devices.sound.model", {}


def _input_type(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each("domain.devices.inputs"):
        if device.get("type") != "tablet":
            yield f"{place}.type", {}


def _input_bus(subject: Subject) -> Iterator[Hit]:
    for place, device in subject.each("domain.devices.inputs"):
        if device.get("bus") and device["bus"] not in {"virtio", "usb"}:
            yield f"{place}.bus", {}


def _vsock(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.autoattachVSOCK"):
        yield "domain.devices.autoattachVSOCK", {}


def _metrics(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.downwardMetrics") is not None:
        yield "domain.devices.downwardMetrics", {}


def _persistent_tpm(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.devices.tpm.persistent"):
        yield "domain.devices.tpm.persistent", {}


def _watchdog(subject: Subject) -> Iterator[Hit]:
    watchdog = subject.at("domain.devices.watchdog") or {}
    wrong = {AMD64: "diag288", S390X: "i6300esb"}.get(subject.architecture)
    if wrong in watchdog:
        right = {AMD64: "I6300ESB", S390X: "Diag288"}[subject.architecture]
        yield f"domain.devices.watchdog.{wrong}", {"arch": subject.architecture, "right": right}


def _watchdog_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64 and subject.at("domain.devices.watchdog") is not None:
        yield "domain.devices.watchdog", {}


def _sound_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64 and subject.at("domain.devices.sound") is not None:
        yield "domain.devices.sound", {}


_NAME_IT = "write deviceName, the resource as the device plugin calls it, or claimName and requestName"
RULES = (
    Rule(DEVICE_REFUSED, _gpu_of_nothing, "contains GPUs without deviceName or claimRequest", _NAME_IT, since("1.6")),
    Rule(DEVICE_REFUSED, _host_device_of_nothing, "contains HostDevices without deviceName or claimRequest", _NAME_IT,
         since("1.8")),
    Rule(DEVICE_REFUSED, _of_two_kinds, "contains devices with both deviceName and claimRequest", "keep one of them",
         since("1.6")),
    gate_rule(GATE_CLOSED, _host_devices, "HostDevices",
          "Host Devices feature gate is not enabled in kubevirt-config"),
    gate_rule(GATE_CLOSED, _claimed_gpus, "GPUsWithDRA", "contains DRA enabled GPUs but feature gate is not enabled"),
    gate_rule(GATE_CLOSED, _claimed_host_devices, "HostDevicesWithDRA",
          "contains DRA enabled HostDevices but feature gate is not enabled"),
    Rule(DRA_CLAIM_MISSING, _undeclared_claim,
         "spec.resourceClaims has no claim named {claim} (resourceClaims must specify all claims used)",
         "add the claim to spec.resourceClaims", since("1.6")),
    Rule(DEVICE_REFUSED, _no_request, "{key} is required where a device comes from a claim",
         "write both claimName and requestName", since("1.8")),
    Rule(DEVICE_REFUSED, _pair_twice, "duplicate claimName/requestName pair: {claim}/{request}",
         "give each device a request of its own", since("1.8")),
    Rule(DEVICE_REFUSED, _mixed_gpus,
         "contains both DRA and non-DRA GPUs; each GPU must be either DRA or non-DRA",
         "take all GPUs from claims, or all from the device plugin", since("1.8")),
    Rule(DEVICE_REFUSED, _claim_sources, "must specify {how} of: resourceClaimName, resourceClaimTemplateName",
         "keep exactly one", since("1.9")),
    Rule(DEVICE_REFUSED, _claim_twice, "Duplicate value: {name}", "rename one of the claims", since("1.6")),
    Rule(DEVICE_REFUSED, _two_displays, "configuring multiple displays with ramfb is not valid",
         "write `display: {{enabled: false}}` at all but one of the vGPUs"),
    gate_rule(GATE_CLOSED, _video, "VideoConfig",
          "Video configuration is specified but the VideoConfig feature gate is not enabled"),
    Rule(DEVICE_REFUSED, _video_without_graphics,
         "Video configuration is not allowed when autoattachGraphicsDevice is set to false", "remove one of the two",
         since("1.6")),
    Rule(DEVICE_REFUSED, _video_type, "video model {type} is not supported", "write one of {types}", since("1.6"),
         vmi_only=True),
    gate_rule(GATE_CLOSED, _panic, "PanicDevices", "Panic Devices feature gate is not enabled in kubevirt-config"),
    Rule(DEVICE_REFUSED, _panic_on_s390x, "custom panic devices are not supported on s390x architecture",
         "remove them", since("1.6")),
    Rule(DEVICE_REFUSED, _panic_model, "panic device model {model} is not supported", "write one of {models}",
         since("1.6")),
    Rule(DEVICE_REFUSED, _sound_without_name, "Sound device requires a name field", "give it a name"),
    Rule(DEVICE_REFUSED, _sound_model, "Sound device type is not supported", "write ich9 or ac97"),
    Rule(DEVICE_REFUSED, _input_type, "Input device can have only tablet type", "write `type: tablet`"),
    Rule(DEVICE_REFUSED, _input_bus, "Input device can have only virtio or usb bus", "write virtio or usb"),
    gate_rule(GATE_CLOSED, _vsock, "VSOCK", "VSOCK feature gate is not enabled in kubevirt-config"),
    gate_rule(GATE_CLOSED, _metrics, "DownwardMetrics",
          "downwardMetrics virtio serial is not allowed: DownwardMetrics feature gate is not enabled"),
    gate_rule(GATE_CLOSED, _persistent_tpm, "VMPersistentState",
          "VMPersistentState feature gate is not enabled in kubevirt-config", until("1.5")),
    Rule(DEVICE_REFUSED, _watchdog, "{arch} only supports {right} watchdog device", "write the other one",
         vmi_only=True),
    Rule(DEVICE_REFUSED, _watchdog_on_arm64, "Arm64 not support Watchdog device", "remove it", vmi_only=True),
    Rule(DEVICE_REFUSED, _sound_on_arm64, "Arm64 not support sound device", "remove it", vmi_only=True),
)  # fmt: skip
"""Devices, in the order of KubeVirt's checks."""
