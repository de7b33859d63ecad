"""How long the declared checks of one lab host take over ssh: whole commands, from the shell's prompt to the next.

    python -m benchmarks.declared [--runs 5]

Needs the lab (root, docker). The inventory is the sound one of the servers' catalogue.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.lab.catalogue.servers import FAULTS
from tests.lab.gate import open_lab

COMMANDS = {
    "`pytest`": ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:locust"],
    "`readygate run`, with its page": ["-m", "readygate", "run"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with open_lab() as (_, host), tempfile.TemporaryDirectory(prefix="readygate-benchmark-") as folder:
        Path(folder, "inventory.yml").write_text(f"project: lab\n{FAULTS.sound}")
        environ = {**os.environ, **host.environ}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        run = partial(subprocess.run, cwd=folder, env=environ, capture_output=True, text=True)
        run([sys.executable, "-m", "readygate", "init"])
        print("| | wall s |\n|---|---|")
        for name, command in COMMANDS.items():
            took = []
            for _ in range(runs + 1):  # the first compiles
                begun = time.monotonic()
                done = run([sys.executable, *command])
                took.append(time.monotonic() - begun)
                if done.returncode:
                    sys.exit(done.stdout[-3000:] + done.stderr[-1000:])
            said = next(line for line in reversed(done.stdout.splitlines()) if " passed" in line)
            print(f"| {name}: {said.split(' in ')[0]} | {statistics.median(took[1:]):.2f} |", flush=True)


if __name__ == "__main__":
    main()
