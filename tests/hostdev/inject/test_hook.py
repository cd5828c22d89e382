"""One process over the passes of a boot: refuses at first only, then applies again what the first success settled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from time import monotonic

import pytest

from domxml.errors import PassgateError
from domxml.version import LibvirtVersion
from hostdev.inject.gather import Channels
from hostdev.inject.hook import Answer, HookCore, Launcher
from hostdev.inventory.scan import looker
from hostdev.kubevirt import standin
from hostdev.kubevirt.boot import boot
from tests.domxml.domains import FOLDER, load
from tests.domxml.guestslots import tree_of
from tests.hooksidecar.guests import guest_of
from tests.house import ROOT
from tests.patience import SOON

QAT = ROOT / "tests" / "fixtures" / "machines" / "qat.toml"
DEVICES = [{"resource": "qat.intel.com/generic", "name": "qat", "rom": {"bar": "off"}}]
WISH = {"passgate.dev/devices": json.dumps(DEVICES)}


def vmi(annotations: Mapping[str, str] | None = None, **status: object) -> bytes:
    document = json.loads((FOLDER / "q35-default.vmi.json").read_bytes())
    document["metadata"]["annotations"] = dict(annotations or {})
    document["spec"]["domain"]["resources"] = {"limits": {"qat.intel.com/generic": "1"}}
    document["status"] = status
    return json.dumps(document).encode()


def core(environment: Mapping[str, str], host: str = str(QAT), wait: float = 0.0) -> HookCore:
    return HookCore(lambda: Channels(environment=environment), looker(host), wait=wait)


def call(of: HookCore, xml: bytes, given: bytes) -> Answer:
    answer = of.define(xml, given, deadline=monotonic() + 5)
    of.keep(answer)
    return answer


def test_all_passes_of_a_boot_give_the_same_device_the_same_place() -> None:
    serving = core({"QAT0": "0000:3d:02.2"})
    name = "q35-default"
    passes = boot(load(name), lambda xml: call(serving, xml, vmi(WISH)).xml, standin.define, guest_of(name))
    hostdevs = [tree_of(one.answered).find("devices/hostdev") for one in passes]

    assert len(passes) == 3
    assert {hostdev.find("address").get("bus") for hostdev in hostdevs} == {"0x0c"}
    assert {hostdev.find("rom").get("bar") for hostdev in hostdevs} == {"off"}


def test_what_is_written_is_what_libvirt_knows() -> None:
    wish = {"passgate.dev/devices": json.dumps([{"address": "0000:3d:02.2", "driverModel": "qat_vfio_pci"}])}
    with pytest.raises(PassgateError, match=r"say which libvirt it is with --libvirt 10\.0\.0"):
        call(core({}), load("q35-default"), vmi(wish))

    newer = HookCore(Channels, looker(str(QAT)), launcher=Launcher(LibvirtVersion(10, 0)))
    driver = tree_of(call(newer, load("q35-default"), vmi(wish)).xml).find("devices/hostdev/driver")

    assert driver.get("model") == "qat_vfio_pci"


def test_without_request_and_allocation_the_very_same_bytes_go_back() -> None:
    given = json.loads(vmi())
    given["spec"]["domain"]["resources"] = {}
    answer = call(core({}), load("q35-default"), json.dumps(given).encode())

    assert answer.xml == load("q35-default")
    assert answer.devices == ()


def test_the_first_call_refuses_with_a_sentence() -> None:
    with pytest.raises(PassgateError) as refusal:
        call(core({}), load("q35-default"), vmi(WISH))

    assert refusal.value.code == "allocation-missing"
    assert len(refusal.value.sentence()) < 300


def test_a_device_that_the_gate_refuses_is_refused() -> None:
    with pytest.raises(PassgateError) as refusal:
        call(core({"QAT0": "0000:3d:1f.7"}), load("q35-default"), vmi(WISH))

    assert refusal.value.code == "device-missing"


def test_after_a_success_nothing_is_refused_and_the_same_plan_is_applied() -> None:
    environment = {"QAT0": "0000:3d:02.2"}
    serving = core(environment)
    first = call(serving, load("q35-default"), vmi(WISH))
    environment.clear()
    second = call(serving, first.xml, vmi(WISH))
    broken = call(serving, b"<domain", vmi(WISH))
    strange = call(serving, first.xml, b"{")

    assert second.xml == first.xml
    assert serving.keep(broken) == 2  # Of four answers, two were passes.
    assert (broken.xml, strange.xml) == (b"<domain", first.xml)
    assert "malformed-xml" in broken.trouble
    assert "bad-vmi" in strange.trouble


def test_an_answer_that_does_not_go_out_settles_nothing() -> None:
    environment = {"QAT0": "0000:3d:02.2"}
    serving = core(environment)
    lost = serving.define(load("q35-default"), vmi(WISH), deadline=monotonic() + 5)
    environment.clear()

    assert lost.devices == ("ua-passgate-qat",)
    with pytest.raises(PassgateError) as refusal:
        call(serving, load("q35-default"), vmi(WISH))
    assert refusal.value.code == "allocation-missing"
    environment["QAT0"] = "0000:3d:02.3"
    assert serving.keep(serving.define(load("q35-default"), vmi(WISH), deadline=monotonic() + 5)) == 1


def test_of_two_first_answers_the_one_that_goes_out_first_holds() -> None:
    environment = {"QAT0": "0000:3d:02.2"}
    serving = core(environment)
    first = serving.define(load("q35-default"), vmi(WISH), deadline=monotonic() + 5)
    environment["QAT0"] = "0000:3d:02.3"
    second = serving.define(load("q35-default"), vmi(WISH), deadline=monotonic() + 5)

    assert (serving.keep(first), serving.keep(second)) == (1, 2)
    assert call(serving, first.xml, vmi(WISH)).xml == first.xml


def test_a_vmi_that_changed_is_read_again() -> None:
    serving = core({"QAT0": "0000:3d:02.2"})
    first = call(serving, load("q35-default"), vmi(WISH))
    target = vmi(WISH, phase="Running", migrationState={"targetNode": "b"})

    assert call(serving, first.xml, vmi(WISH)).devices == ("ua-passgate-qat",)
    assert call(serving, load("q35-default"), target).xml == load("q35-default")


def test_a_new_process_behind_a_first_pass_does_not_refuse() -> None:
    defined = call(core({"QAT0": "0000:3d:02.2"}), load("q35-default"), vmi(WISH)).xml
    answer = call(core({}), defined, vmi(WISH))

    assert answer.xml == defined
    assert "allocation-missing" in answer.trouble


def test_a_migration_target_gets_its_input_back() -> None:
    given = vmi(WISH, phase="Running", migrationState={"targetNode": "b"})

    assert call(core({}), load("q35-default"), given).xml == load("q35-default")


def test_what_the_author_allows_goes_on_and_is_told() -> None:
    policy = {"passgate.dev/policy": '{"unsafe": "warn"}'}
    answer = call(core({"QAT0": "0000:3d:1f.7"}), load("q35-default"), vmi(WISH | policy))

    assert answer.devices == ("ua-passgate-qat",)
    assert "device-missing" in {finding.code for finding in answer.findings}


def test_an_allocation_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    looks = []

    def channels() -> Channels:
        looks.append(file.exists())
        if len(looks) == 3:
            file.write_text("QAT0=0000:3d:02.2\n")
        return Channels(files=(str(file),) if file.exists() else ())

    serving = HookCore(channels, looker(str(QAT)), wait=5)

    assert call(serving, load("q35-default"), vmi(WISH)).devices == ("ua-passgate-qat",)
    assert looks[0] is False


def test_the_wait_for_a_file_is_bounded() -> None:
    start = monotonic()
    with pytest.raises(PassgateError):
        call(core({}, wait=0.2), load("q35-default"), vmi(WISH))

    assert 0.2 <= monotonic() - start < SOON


def test_channels_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "allocation.env"
    file.write_text("PCI_RESOURCE_A_COM_B=0000:3d:02.3\n")
    environment = {"PCI_RESOURCE_A_COM_B": "0000:3d:02.2"}
    serving = HookCore(lambda: Channels(files=(str(file),), environment=environment), looker(str(QAT)))
    with pytest.raises(PassgateError) as refusal:
        call(serving, load("q35-default"), vmi())

    assert refusal.value.code == "channels-disagree"


def test_a_network_info_that_is_still_empty_is_waited_for(tmp_path: Path) -> None:
    info = tmp_path / "network-info"
    info.write_text("")
    looks: list[int] = []

    def channels() -> Channels:
        looks.append(1)
        if len(looks) == 3:
            device = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:3d:02.2"}}
            info.write_text(json.dumps({"interfaces": [{"network": "net1", "deviceInfo": device}]}))
        return Channels(network_info=str(info))

    given = json.loads(vmi())
    given["spec"]["domain"]["resources"] = {}
    serving = HookCore(channels, looker(str(QAT)), wait=5)

    assert call(serving, load("q35-default"), json.dumps(given).encode()).devices == ("ua-passgate-net1",)


def _plugged(tmp_path: Path, device: dict[str, object] | None, wish: object) -> tuple[HookCore, bytes]:
    """A VM with an interface of a binding plugin, and what network-info says of its network."""
    info = tmp_path / "network-info"
    entry = {"network": "front", "mac": "02:00:00:00:00:09", **({"deviceInfo": device} if device else {})}
    info.write_text(json.dumps({"interfaces": [entry]}))
    given = json.loads(vmi())
    given["spec"]["domain"]["resources"] = {}
    given["spec"]["domain"]["devices"] = {"interfaces": [{"name": "front", "binding": {"name": "passgate"}}]}
    if wish is not None:
        given["metadata"]["annotations"] = {"passgate.dev/devices": json.dumps(wish)}
    return HookCore(lambda: Channels(network_info=str(info)), looker(str(QAT))), json.dumps(given).encode()


@pytest.mark.parametrize("device", [None, {"type": "pci", "pci": {}}])
def test_a_network_without_a_device_is_refused_when_it_is_asked_for(
    tmp_path: Path, device: dict[str, object] | None
) -> None:
    serving, given = _plugged(tmp_path, device, [{"device": "front"}])
    with pytest.raises(PassgateError) as refusal:
        call(serving, load("q35-default"), given)

    assert (refusal.value.code, refusal.value.subject) == ("network-without-device", "front")


def test_a_network_without_a_device_that_nobody_asks_for_is_told(tmp_path: Path) -> None:
    serving, given = _plugged(tmp_path, None, None)
    answer = call(serving, load("q35-default"), given)

    assert answer.xml == load("q35-default")
    assert [finding.code for finding in answer.findings] == ["network-without-device"]


@pytest.mark.parametrize(("makes", "codes"), [(True, []), (False, ["bonds-not-read"])])
def test_bonds_that_nobody_reads_are_told(makes: bool, codes: list[str]) -> None:  # noqa: FBT001
    given = json.loads(vmi())
    given["spec"]["domain"]["resources"] = {}
    given["metadata"]["annotations"] = {"passgate.dev/bonds": "[]"}
    serving = HookCore(Channels, looker(str(QAT)), makes_bonds=makes)

    answer = call(serving, load("q35-default"), json.dumps(given).encode())

    assert [finding.code for finding in answer.findings] == codes
