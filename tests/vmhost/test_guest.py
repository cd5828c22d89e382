from __future__ import annotations

from pytest_mock import MockerFixture

from tests.vmhost.inside import guest

MONITOR = """\
  Bus  0, device   2, function 0:
    PCI bridge: PCI device 1b36:000c
      BUS 0.
      secondary bus 5.
      id "pci.5"
  Bus  5, device   0, function 0:
    Ethernet controller: PCI device 8086:10ca
      BAR0: 64 bit prefetchable memory {where}
      BAR3: 64 bit prefetchable memory (not mapped)
      id "ua-passgate-vf"
  Bus  6, device   0, function 1:
    Ethernet controller: PCI device 1af4:1041
      BAR0: 32 bit memory at 0xfe000000 [0xfe000fff].
      id "net0"
"""
DOMAIN = """\
<domain><devices>
  <controller type='pci' index='0' model='pcie-root'/>
  <controller type='pci' index='1' model='pcie-expander-bus'>
    <target busNr='253'><node>1</node></target><address type='pci' bus='0x00' slot='0x18' function='0x0'/></controller>
  <controller type='pci' index='2' model='pcie-root-port'>
    <address type='pci' bus='0x01' slot='0x00' function='0x0'/></controller>
  <hostdev><source><address domain='0x0000' bus='0x41' slot='0x10' function='0x0'/></source>
    <alias name='ua-passgate-vf'/><address type='pci' domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></hostdev>
  <hostdev><source><address domain='0x0000' bus='0x81' slot='0x10' function='0x0'/></source>
    <alias name='ua-hostdevice-other'/></hostdev>
</devices></domain>
"""


class Running:
    """A domain whose firmware needs a moment."""

    def __init__(self) -> None:
        self.answers = ["(not mapped)", "at 0xfea00000 [0xfea03fff]."]

    def resume(self) -> None:
        self.answers.reverse()


def test_bus_numbers_count_once_the_firmware_is_done(mocker: MockerFixture) -> None:
    mocker.patch.object(guest, "PAUSE", 0.01)
    mocker.patch.object(
        guest, "monitor", autospec=True, side_effect=lambda running, _: MONITOR.format(where=running.answers.pop())
    )
    running = Running()

    assert guest.seen_by_qemu(running, {"ua-passgate-vf": "0000:05:00.0"}) == {"ua-passgate-vf": "0000:05:00.0"}
    assert running.answers == []


def test_ours_are_told_from_others() -> None:
    assert guest.places(DOMAIN) == {"ua-passgate-vf": "0000:02:00.0"}
    assert guest.sources(DOMAIN) == {"0000:41:10.0": "0000:02:00.0", "0000:81:10.0": "nowhere"}


def test_nodes_and_numbers_come_from_expander_buses() -> None:
    assert guest.expanders(DOMAIN) == {253: "1"}
    assert guest.nodes(DOMAIN.replace("<alias name='ua-hostdevice-other'/>", "")) == {
        "0000:41:10.0": "1",
        "0000:81:10.0": "none",
    }
