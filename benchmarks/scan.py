"""How fast ports are knocked at, beside nmap: `python benchmarks/scan.py [ADDRESS]`, loopback if it names none."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from readygate.areas.firewall.knocking import knock_at

ROUNDS = 5
UNBOUNDED = 1e9


def median_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        work()
        times.append(time.monotonic() - began)
    return statistics.median(times)


def main(address: str) -> None:
    thousand = median_s(lambda: knock_at(address, range(1, 1001), UNBOUNDED, 2))
    every = median_s(lambda: knock_at(address, range(1, 65536), UNBOUNDED, 2))
    print(f"1,000 ports {thousand:7.3f} s   (to hold: 5 s)")
    print(f"65,535      {every:7.3f} s")
    if not shutil.which("nmap"):
        print("nmap is not here to compare with: apt-get install nmap")
        return
    command = ["nmap", "-sT", "-n", "-Pn", "-T4", "-p-", address]
    nmap = median_s(lambda: subprocess.run(command, capture_output=True, check=True))
    print(f"nmap        {nmap:7.3f} s   ratio {every / nmap:.2f} (to hold: 1.5)")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1")
