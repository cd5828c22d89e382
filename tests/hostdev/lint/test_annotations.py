"""Our own annotations: every mistake, not only the first."""

from __future__ import annotations

from tests.hostdev.lint.build import found, told


def test_every_mistake_of_every_annotation() -> None:
    devices = [{"device": 1, "count": "two"}, {"nmae": "x", "address": "zz"}]
    lines = told(devices, annotations={"passgate.dev/policy": '{"unsafe": "maybe", "allow": 1}'})

    assert [line.partition(": ")[0] for line in lines] == [
        "error bad-annotation passgate.dev/devices[0].device",
        "error bad-annotation passgate.dev/devices[0].count",
        "error bad-annotation passgate.dev/devices[1]",
        "error bad-annotation passgate.dev/devices[1].address",
        "error bad-annotation passgate.dev/policy.unsafe",
        "error bad-annotation passgate.dev/policy.allow",
    ]


def test_an_annotation_that_is_no_json() -> None:
    (finding,) = found("[{resource: x}]")

    assert (finding.code, finding.subject) == ("bad-annotation", "passgate.dev/devices")
    assert finding.message.startswith("is not JSON")
    assert finding.hint


def test_what_can_be_read_is_looked_at_all_the_same() -> None:
    codes = {finding.code for finding in found([{"device": 1}, {"resource": "a.b/c"}])}

    assert codes == {"bad-annotation", "resource-not-requested"}


def test_an_annotation_of_a_name_that_means_nothing() -> None:
    annotations = {"passgate.dev/device": "[]", "passgate.dev/bonds": "[]", "other.dev/device": ""}
    (finding,) = found(annotations=annotations)

    assert (finding.code, finding.hint) == ("unknown-annotation", "did you mean passgate.dev/devices?")
    assert finding.subject == "spec.template.metadata.annotations[passgate.dev/device]"
