"""`make prove`: plant every fault of the catalogue, one by one, and see which check notices.

Those of containers are planted on a docker engine of their own, all others on a fresh host each.

python -m tests.lab.prove [FAULT ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.catalogue import AREAS, containers
from tests.lab.container_engine import ENGINE_FLAGS, PrivateEngine, private_engine
from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.gate import open_lab
from tests.lab.host import Lab, Target

RUN_WITHIN = 300  # seconds


@dataclass(frozen=True, slots=True)
class Proof:
    """What Readygate said of a host; `blind` are the checks that could not look."""

    verdict: str
    failed: tuple[str, ...]
    blind: tuple[str, ...]
    said: str

    def catches(self, fault: Fault) -> bool:
        """Whether exactly the right checks failed, or could not look."""
        noticed = (set(self.failed), set(self.blind)) == (set(fault.caught_by), set(fault.unsure))
        return self.verdict == fault.verdict and noticed


def judge(area: AreaFaults, host: Target | PrivateEngine) -> Proof:
    """Gate a host by the area's part of an inventory, with the command and by the strictest profile."""
    with tempfile.TemporaryDirectory(prefix="readygate-proof-") as folder:
        Path(folder, "inventory.yml").write_text(f"project: lab\n{area.sound}", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "readygate", "run", "launch"],
            cwd=folder,
            env={**os.environ, **host.environ},
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN,
            check=False,
        )
        results = Path(folder, "readygate-out", "results.json")
        if not results.exists():
            return Proof(f"exit {done.returncode}", (), (), done.stdout + done.stderr)
        run = json.loads(results.read_text(encoding="utf-8"))

    def checks(*outcomes: str) -> tuple[str, ...]:
        return tuple(sorted({each["check"] for each in run["results"] if each["outcome"] in outcomes}))

    return Proof(run["verdict"]["word"], checks("failed"), checks("error", "not_run"), done.stdout + done.stderr)


def proofs(lab: Lab, sound: Target, wanted: list[str]) -> Iterator[tuple[AreaFaults, Fault | None, Proof]]:
    """What is said of the sound targets, and of those with a fault; all faults are planted if none is wanted."""
    for area in AREAS:
        if area.boot:
            with area.boot(lab) as host:
                yield area, None, judge(area, host)
        else:
            yield area, None, judge(area, sound)
        for fault in _chosen(area, wanted):
            with area.host(lab, "fault") as host:
                fault.plant_on(host)
                yield area, fault, judge(area, host)
    with private_engine(*ENGINE_FLAGS) as engine:
        for shop_fault in (None, *_chosen(containers.FAULTS, wanted)):
            engine.clear()
            engine.run(f"set -e\n{containers.STARTED}")
            if shop_fault:
                engine.run(f"set -e\n{shop_fault.plant}")
            yield containers.FAULTS, shop_fault, judge(containers.FAULTS, engine)


def _chosen(area: AreaFaults, wanted: list[str]) -> list[Fault]:
    return [fault for fault in area.faults if not wanted or fault.name in wanted]


def _told(failed: tuple[str, ...], blind: tuple[str, ...]) -> str:
    return ", ".join((*failed, *(f"{each} can't tell" for each in blind)))


def main(wanted: list[str]) -> int:
    wrong = 0
    with open_lab() as (lab, sound):
        print(f"{'FAULT':<40} {'VERDICT':<11} CAUGHT BY")
        for area, fault, proof in proofs(lab, sound, wanted):
            caught = _told(proof.failed, proof.blind)
            if not (proof.catches(fault) if fault else proof.verdict == "GO"):
                wrong += 1
                caught += f"   <- should be {_told(fault.caught_by, fault.unsure) if fault else 'GO'}"
            print(f"{fault.name if fault else f'{area.area}: none':<40} {proof.verdict:<11} {caught}", flush=True)
    print(f"\n{wrong} wrong" if wrong else "\nevery fault was caught by the right check and no other")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"the lab can't run here: {error}")
