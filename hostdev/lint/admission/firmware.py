"""What KubeVirt refuses of machine, firmware, architecture and sealed memory."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

from hostdev.findings.admission import FIRMWARE_REFUSED, GATE_CLOSED
from hostdev.lint.admission.interfaces import INTERFACES
from hostdev.lint.admission.releases import since, until
from hostdev.lint.admission.rule import AMD64, ARM64, EMPTY, S390X, Hit, Rule, Subject, at, gate_rule

_FIRMWARE = "domain.firmware"
_EFI = f"{_FIRMWARE}.bootloader.efi"
_SECURITY = "domain.launchSecurity"
_MACHINES = {AMD64: ("q35*", "pc-q35*"), ARM64: ("virt*",), S390X: ("s390-ccw-virtio*",)}
_SEALS = ("sev", "snp", "tdx")


def _secure_boot(subject: Subject) -> bool:
    """It is on unless it is switched off by name."""
    efi = subject.at(_EFI)
    return efi is not None and efi.get("secureBoot") is not False


def _has_smm(subject: Subject) -> bool:
    smm = subject.at("domain.features.smm")
    return smm is not None and smm.get("enabled") is not False


def _secure_boot_without_smm(subject: Subject) -> Iterator[Hit]:
    if _secure_boot(subject) and not _has_smm(subject) and subject.at(f"{_SECURITY}.tdx") is None:
        yield _EFI, {}


def _sealed_secure_boot_without_smm(subject: Subject) -> Iterator[Hit]:
    if _secure_boot(subject) and not _has_smm(subject) and subject.at(f"{_SECURITY}.tdx") is not None:
        yield _EFI, {}


def _two_loaders(subject: Subject) -> Iterator[Hit]:
    loader = subject.at(f"{_FIRMWARE}.bootloader") or EMPTY
    if "efi" in loader and "bios" in loader:
        yield f"{_FIRMWARE}.bootloader", {}


def _persistent_efi(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{_EFI}.persistent"):
        yield f"{_EFI}.persistent", {}


def _kernel(subject: Subject) -> Mapping[str, Any]:
    return subject.at(f"{_FIRMWARE}.kernelBoot.container") or EMPTY


def _kernel_without_image(subject: Subject) -> Iterator[Hit]:
    if subject.at(f"{_FIRMWARE}.kernelBoot.container") is not None and not _kernel(subject).get("image"):
        yield f"{_FIRMWARE}.kernelBoot.container.image", {}


def _kernel_without_path(subject: Subject) -> Iterator[Hit]:
    container = _kernel(subject)
    if container.get("image") and not (container.get("kernelPath") or container.get("initrdPath")):
        yield f"{_FIRMWARE}.kernelBoot.container", {}


def _relative_kernel(subject: Subject) -> Iterator[Hit]:
    for key in ("kernelPath", "initrdPath"):
        if _kernel(subject).get(key) and not _kernel(subject)[key].startswith("/"):
            yield f"{_FIRMWARE}.kernelBoot.container.{key}", {}


def _arguments_without_kernel(subject: Subject) -> Iterator[Hit]:
    boot = subject.at(f"{_FIRMWARE}.kernelBoot") or EMPTY
    if boot.get("kernelArgs") and "container" not in boot:
        yield f"{_FIRMWARE}.kernelBoot.kernelArgs", {}


def _machine(subject: Subject) -> Iterator[Hit]:
    kind, known = subject.at("domain.machine.type"), _machines(subject)
    if kind and known and not any(fnmatch.fnmatchcase(kind, pattern) for pattern in known):
        yield "domain.machine.type", {"type": kind, "types": ", ".join(known)}


def _machines(subject: Subject) -> tuple[str, ...]:
    told = at(subject.switches, f"architectureConfiguration.{subject.architecture}.emulatedMachines")
    # The older key is for any architecture.
    told = told or subject.switches.get("emulatedMachines")
    if isinstance(told, list) and told:
        return tuple(map(str, told))
    return _MACHINES.get(subject.architecture, ())


def _other_architecture(subject: Subject) -> Iterator[Hit]:
    if subject.architecture != AMD64:
        yield "architecture", {"arch": subject.architecture}


def _unknown_architecture(subject: Subject) -> Iterator[Hit]:
    if subject.architecture not in _MACHINES:
        yield "architecture", {"arch": subject.architecture}


def _bios_on_arm64(subject: Subject) -> Iterator[Hit]:
    if subject.architecture == ARM64 and subject.at(f"{_FIRMWARE}.bootloader.bios") is not None:
        yield f"{_FIRMWARE}.bootloader.bios", {}


def _seals(subject: Subject) -> list[str]:
    return [seal for seal in _SEALS if seal in (subject.at(_SECURITY) or EMPTY)]


def _not_one_seal(subject: Subject) -> Iterator[Hit]:
    if subject.at(_SECURITY) is not None and len(_seals(subject)) != 1:
        yield _SECURITY, {}


def _sealed(subject: Subject) -> Iterator[Hit]:
    if {"sev", "snp"} & set(_seals(subject)):
        yield _SECURITY, {}


def _sealed_by_any(subject: Subject) -> Iterator[Hit]:
    if subject.at(_SECURITY) is not None:
        yield _SECURITY, {}


def _sealed_by_tdx(subject: Subject) -> Iterator[Hit]:
    if "tdx" in _seals(subject):
        yield f"{_SECURITY}.tdx", {}


def _sealed_elsewhere(subject: Subject) -> Iterator[Hit]:
    if subject.at(_SECURITY) is not None and subject.architecture == ARM64:
        yield "architecture", {"arch": subject.architecture}


def _sealed_without_efi(subject: Subject) -> Iterator[Hit]:
    if _seals(subject) and subject.at(_EFI) is None and subject.architecture == AMD64:
        yield _SECURITY, {"seal": _seals(subject)[0].upper()}


def _sealed_without_efi_anywhere(subject: Subject) -> Iterator[Hit]:
    if _seals(subject) and subject.at(_EFI) is None and subject.architecture != AMD64:
        yield _SECURITY, {"seal": _seals(subject)[0].upper()}


def _sealed_secure_boot(subject: Subject) -> Iterator[Hit]:
    if _secure_boot(subject) and {"sev", "snp"} & set(_seals(subject)):
        yield _EFI, {"seal": _seals(subject)[0].upper()}


def _attested_and_started(subject: Subject) -> Iterator[Hit]:
    attested = subject.at(f"{_SECURITY}.sev.attestation") is not None
    if attested and subject.at("startStrategy") != "Paused":
        yield f"{_SECURITY}.sev.attestation", {}


def _sealed_boot_from_network(subject: Subject) -> Iterator[Hit]:
    if _seals(subject):
        for place, interface in subject.each(INTERFACES):
            if interface.get("bootOrder"):
                name = interface.get("name", "")
                yield f"{place}.bootOrder", {"seal": _seals(subject)[0].upper(), "name": name}


def _reboot_policy(subject: Subject) -> Iterator[Hit]:
    if subject.at("domain.rebootPolicy"):
        yield "domain.rebootPolicy", {}


def _strange_reboot_policy(subject: Subject) -> Iterator[Hit]:
    policy = subject.at("domain.rebootPolicy")
    if policy and policy not in {"Reboot", "Terminate"}:
        yield "domain.rebootPolicy", {"policy": policy}


_SMM = "add features: {{smm: {{enabled: true}}}}, or write `efi: {{secureBoot: false}}`"
RULES = (
    Rule(FIRMWARE_REFUSED, _secure_boot_without_smm,
         "has EFI SecureBoot enabled. SecureBoot requires SMM, which is currently disabled", _SMM),
    Rule(FIRMWARE_REFUSED, _sealed_secure_boot_without_smm,
         "has EFI SecureBoot enabled. SecureBoot requires SMM, which is currently disabled", _SMM, until("1.8")),
    Rule(FIRMWARE_REFUSED, _two_loaders, "efi and bios are mutually exclusive", "keep one of them"),
    gate_rule(GATE_CLOSED, _persistent_efi, "VMPersistentState",
          "VMPersistentState feature gate is not enabled in kubevirt-config", until("1.5")),
    Rule(FIRMWARE_REFUSED, _kernel_without_image, "kernelBoot.container must be defined with an image",
         "write the image that holds the kernel"),
    Rule(FIRMWARE_REFUSED, _kernel_without_path,
         "kernelBoot.container must be defined with at least one of: kernelPath, initrdPath", "write one of them"),
    Rule(FIRMWARE_REFUSED, _relative_kernel, "must be an absolute path", "begin the path with /"),
    Rule(FIRMWARE_REFUSED, _arguments_without_kernel, "kernel arguments cannot be provided without an external kernel",
         "add kernelBoot.container, or leave kernelArgs out"),
    Rule(FIRMWARE_REFUSED, _machine, "machine type is not supported: {type} (allowed values: {types})",
         "leave the type out, or write one that is allowed", configured=True),
    gate_rule(GATE_CLOSED, _other_architecture, "MultiArchitecture",
          "MultiArchitecture feature gate is not enabled in kubevirt-config", until("1.7")),
    Rule(FIRMWARE_REFUSED, _unknown_architecture, "unsupported architecture: {arch}",
         "write amd64, arm64 or s390x", vmi_only=True),
    Rule(FIRMWARE_REFUSED, _bios_on_arm64, "Arm64 does not support bios boot, please change to uefi boot",
         "write `efi: {{secureBoot: false}}`", vmi_only=True),
    Rule(FIRMWARE_REFUSED, _not_one_seal, "One and only one launchSecurity type can be set",
         "keep exactly one of sev, snp, tdx", since("1.7")),
    gate_rule(GATE_CLOSED, _sealed_by_any, "WorkloadEncryptionSEV",
          "WorkloadEncryptionSEV feature gate is not enabled in kubevirt-config", until("1.5")),
    gate_rule(GATE_CLOSED, _sealed, "WorkloadEncryptionSEV",
          "WorkloadEncryptionSEV feature gate is not enabled in kubevirt-config", since("1.6")),
    gate_rule(GATE_CLOSED, _sealed_by_tdx, "WorkloadEncryptionTDX",
          "WorkloadEncryptionTDX feature gate is not enabled in kubevirt-config"),
    Rule(FIRMWARE_REFUSED, _sealed_elsewhere, "No launchSecurity support for architecture: {arch}",
         "remove launchSecurity", since("1.7")),
    Rule(FIRMWARE_REFUSED, _sealed_without_efi, "{seal} requires OVMF (UEFI)",
         "write firmware.bootloader.efi with secureBoot: false"),
    Rule(FIRMWARE_REFUSED, _sealed_without_efi_anywhere, "{seal} requires OVMF (UEFI)",
         "write firmware.bootloader.efi with secureBoot: false", until("1.6")),
    Rule(FIRMWARE_REFUSED, _sealed_secure_boot, "{seal} does not work along with SecureBoot",
         "write `efi: {{secureBoot: false}}`"),
    Rule(FIRMWARE_REFUSED, _attested_and_started, "SEV attestation requires VMI StartStrategy 'Paused'",
         "write startStrategy: Paused"),
    Rule(FIRMWARE_REFUSED, _sealed_boot_from_network, "{seal} does not work with bootable NICs: {name}",
         "leave its bootOrder out"),
    gate_rule(GATE_CLOSED, _reboot_policy, "RebootPolicy", "RebootPolicy feature gate is not enabled"),
    Rule(FIRMWARE_REFUSED, _strange_reboot_policy, 'Unsupported value: "{policy}"', "write Reboot or Terminate",
         since("1.8")),
)  # fmt: skip
"""Machine and firmware, in the order of KubeVirt's checks."""
