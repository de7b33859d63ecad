"""`make prove`: plant every fault of the catalogue, one by one, on a fresh host, and see which check notices.

python -m tests.lab.prove [FAULT ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.lab.catalogue import AREAS
from tests.lab.docker import LabError
from tests.lab.faults import AreaFaults, Fault
from tests.lab.gate import open_lab
from tests.lab.host import Target

RUN_WITHIN = 300  # seconds


@dataclass(frozen=True, slots=True)
class Proof:
    """What Readygate said of a host; `blind` are the checks that could not look."""

    verdict: str
    failed: tuple[str, ...]
    blind: tuple[str, ...]
    said: str

    def catches(self, fault: Fault) -> bool:
        """Whether exactly the right checks failed."""
        return self.verdict == "NO-GO" and set(self.failed) == set(fault.caught_by) and not self.blind


def judge(area: AreaFaults, host: Target) -> Proof:
    """Gate a host by the area's part of an inventory, with the command and by the strictest profile."""
    with tempfile.TemporaryDirectory(prefix="readygate-proof-") as folder:
        Path(folder, "inventory.yml").write_text(f"project: lab\n{area.sound}", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "readygate", "run", "launch"],
            cwd=folder,
            env={**os.environ, "LAB_HOST": host.hostspec, "LAB_ADDRESS": host.address},
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


def main(wanted: list[str]) -> int:
    wrong = 0
    with open_lab() as (lab, sound):
        print(f"{'FAULT':<40} {'VERDICT':<11} CAUGHT BY")
        for area in AREAS:
            proof = judge(area, sound)
            wrong += proof.verdict != "GO"
            print(
                f"{f'{area.area}: none':<40} {proof.verdict:<11} {', '.join((*proof.failed, *proof.blind))}",
                flush=True,
            )
            for fault in area.faults:
                if wanted and fault.name not in wanted:
                    continue
                with lab.boot("fault") as host:
                    fault.plant_on(host)
                    proof = judge(area, host)
                caught = ", ".join((*proof.failed, *(f"{each} could not look" for each in proof.blind)))
                if not proof.catches(fault):
                    wrong += 1
                    caught += f"   <- should be {', '.join(fault.caught_by)}"
                print(f"{fault.name:<40} {proof.verdict:<11} {caught}", flush=True)
    print(f"\n{wrong} wrong" if wrong else "\nevery fault was caught by the right check and no other")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"the lab can't run here: {error}")
