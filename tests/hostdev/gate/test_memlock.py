"""How much VFIO locks, and who raises the limit."""

from __future__ import annotations

from domxml.finding import Severity
from hostdev.gate import check

MIB = 1 << 20
NEED = check.required_memlock(64 * MIB, 1)


def test_the_limit_is_what_libvirt_computes() -> None:
    assert NEED == 1140850688
    assert check.required_memlock(64 * MIB, 3) == NEED
    assert check.required_memlock(64 * MIB, 3, viommu=True) == 3 * 64 * MIB + check.GIB
    assert check.required_memlock(64 * MIB, 0) == 0


def test_nothing_is_found_where_the_limit_is_high_enough() -> None:
    assert check.check_memlock("vm", NEED, raised=True) == ()
    assert check.check_memlock("vm", NEED, raised=False, limit=NEED) == ()
    assert check.check_memlock("vm", 0, raised=False, limit=65536) == ()


def test_a_known_limit_that_is_too_low_is_an_error() -> None:
    (finding,) = check.check_memlock("vm", NEED, raised=False, limit=8 * MIB)
    assert finding.severity is Severity.ERROR
    assert finding.message == "VFIO locks 1088 MiB, the limit is 8 MiB"
    assert finding.evidence[0].content == f"Max locked memory {8 * MIB}"


def test_an_unknown_limit_is_a_warning() -> None:
    (finding,) = check.check_memlock("vm", NEED, raised=False)
    assert finding.severity is Severity.WARNING
    assert "reservedOverhead" in finding.hint
    assert finding.evidence == ()
