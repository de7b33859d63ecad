"""Every fault of the catalogue is caught by the right check and no other; a sound host is GO."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from tests.lab.catalogue import AREAS
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target
from tests.lab.prove import judge

PLANTED = [pytest.param(area, fault, id=f"{area.area}-{fault.name}") for area in AREAS for fault in area.faults]


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.area)
def test_a_sound_host_is_go(area: AreaFaults, lab: Lab, sound_host: Target) -> None:
    with area.boot(lab) if area.boot else nullcontext(sound_host) as host:
        proof = judge(area, host)
    assert proof.verdict == "GO", proof.said


@pytest.mark.parametrize(("area", "fault"), PLANTED)
def test_a_fault_is_caught_by_the_right_check(area: AreaFaults, fault: Fault, lab: Lab) -> None:
    with area.host(lab, "fault") as host:
        fault.plant_on(host)
        proof = judge(area, host)
    assert proof.catches(fault), (proof, proof.said)
