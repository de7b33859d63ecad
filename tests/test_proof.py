"""Every fault of the catalogue is caught by the right check and no other; a sound host is GO."""

from __future__ import annotations

import pytest

from tests.lab.catalogue import AREAS
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Target
from tests.lab.prove import judge

PLANTED = [pytest.param(area, fault, id=f"{area.area}-{fault.name}") for area in AREAS for fault in area.faults]


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.area)
def test_a_sound_host_is_go(area: AreaFaults, sound_host: Target) -> None:
    proof = judge(area, sound_host)
    assert proof.verdict == "GO", proof.said


@pytest.mark.parametrize(("area", "fault"), PLANTED)
def test_a_fault_is_caught_by_the_right_check(area: AreaFaults, fault: Fault, fresh_host: Target) -> None:
    fault.plant_on(fresh_host)
    proof = judge(area, fresh_host)
    assert proof.catches(fault), (proof, proof.said)
