"""A report for people: a table of the passes, what got lost on the way, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator

from hooksidecar.rehearsal.cloudinit import Written
from hooksidecar.rehearsal.report import Call, Report
from hostdev.printing.cells import Cell, Column, Fit, Row, Tone, dash
from hostdev.printing.screen import Screen

PASSES = tuple(map(Column, ("PASS", "GIVEN", "ANSWERED", "MS", "DEVICE", "SOURCE", "GUEST", "LOST", "RESTORED")))
LOSSES = (Column("BEFORE"), Column("LOST BY"), Column("DEVICE"), Column("WHAT", Fit.WRAP), Column("RESTORED"))


def show(told: Report, screen: Screen) -> None:
    """Print it."""
    if told.sidecar is not None:
        points = ", ".join(told.sidecar.hook_points)
        screen.line(f"collected {told.sidecar.name}, {told.sidecar.version}, after {told.sidecar.ms:.0f} ms: {points}")
    for line in _who_reads_back(told):
        screen.line(line)
    if told.cloud_init is not None:
        _show_cloud_init(told.cloud_init, screen)
    if told.calls:
        screen.line("")
        screen.table(PASSES, [row for number, call in enumerate(told.calls, 1) for row in _rows(number, call)])
        screen.line("")
    if losses := list(_losses(told)):
        screen.table(LOSSES, losses)
        screen.line("")
    if told.shutdown is not None:
        asked = "shutdown" if told.shutdown.asked else "SIGTERM"
        screen.line(f"{asked}: ended with {told.shutdown.exit_code} after {told.shutdown.ms:.0f} ms")
    for finding in told.findings:
        screen.line(str(finding))
    for problem in told.problems:
        screen.line(Cell("PROBLEM ", Tone.BAD), str(problem))
    if told.error is None and not told.problems:
        screen.line(_good_end(told))


def _show_cloud_init(written: Written, screen: Screen) -> None:
    what = f"changed {', '.join(written.changed)}" if written.changed else "left as it was"
    screen.line(f"cloud-init data: {what}, in {written.ms:.1f} ms")
    if written.network_data:
        screen.line(f"  {written.network_data}")


def _who_reads_back(told: Report) -> tuple[str, ...]:
    back = told.read_back
    if back.real:
        who = f"read back by libvirt {back.version} at {back.uri}"
    else:
        who = "read back by a stand-in, not by libvirt (--connect URI asks a real one)"
    return (who, *(f"  it cannot prove {what}" for what in back.cannot_prove))


def _rows(number: int, call: Call) -> Iterator[Row]:
    left = (str(number), str(call.given), "the same" if call.same else str(call.answered), f"{call.ms:.1f}")
    for device in call.devices:
        lost = [loss for loss in call.lost if loss.alias == device.alias]
        back = sum(loss.restored for loss in lost)
        tone = Tone.GOOD if back == len(lost) else Tone.BAD
        yield (*left, device.alias, device.source, device.guest, str(len(lost) or "-"), Cell(dash(back or ""), tone))
        left = ("", "", "", "")
    if not call.devices:
        yield (*left, "-", "-", "-", "-", "-")


def _losses(told: Report) -> Iterator[Row]:
    for number, call in enumerate(told.calls, 1):
        for loss in call.lost:
            who = "libvirt" if loss.by == "libvirt" else "KubeVirt's structs"
            back = Cell("yes", Tone.GOOD) if loss.restored else Cell("NO", Tone.BAD)
            yield (f"pass {number}", who, loss.alias, loss.fact, back)


def _good_end(told: Report) -> str:
    first = told.calls[0].devices
    if not first:
        return "no device was allocated or asked for: the domain stayed as it was"
    return f"{len(first)} device{'s' if len(first) > 1 else ''} in place on every pass, nothing else moved"
