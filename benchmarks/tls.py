"""How long TLS takes to look at, and what is found: on nginx with one flaw an endpoint, beside sslyze and testssl.sh.

python -m benchmarks.tls [ENDPOINTS]

sslyze is taken from the PATH, or is what SSLYZE names; it has to have an environment of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from readygate.areas import FACTS, SECTIONS
from readygate.facts import Facts
from readygate.spec import leaves
from tests.test_transparency import ROOT, A, B, logged
from tests.tls_flaws import HOST, Served, serving
from tests.vouching import Log
from tests.web import failing, nginx, write_chain

EVERYTHING = ("certificate", "trust", "protocols", "ciphers", "met_profiles", "agreed", "stapling")
AT_A_TIME = 16
Scanner = Callable[[Served], set[str]]


def look(declared: dict[str, Any], names: tuple[str, ...] = EVERYTHING) -> float:
    """Seconds for every fact about the TLS of one endpoint, or for these."""
    (leaf, *_) = leaves(SECTIONS["sites"].model_validate(declared), "site", ("sites", "site"))
    facts = Facts(FACTS, lambda leaf, name=None: None)
    begun = time.monotonic()
    for name in names:
        facts.get(name, leaf)
    return time.monotonic() - begun


def readygate(served: Served) -> set[str]:
    """What fails of an endpoint that is declared as the sound one is."""
    return failing("sites", served.declared)


def sslyze(served: Served) -> set[str]:
    """What it has against the endpoint, with Mozilla's profile asked for."""
    command = [os.environ.get("SSLYZE", "sslyze"), f"--sni={HOST}", f"--certinfo_ca_file={served.ca}"]
    command += ["--mozilla_config=intermediate", f"127.0.0.1:{served.port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    against = {line.strip(" *").partition(":")[0] for line in said if line.startswith("        * ")}
    # Its other stores are those of the public CAs, which know nothing of ours.
    ours = ("Supplied CA file", "Hostname Validation")
    return against | {word for line in said for word in ours if word in line and "FAILED" in line}


def testssl(served: Served) -> set[str]:
    """What it finds worse than in order, of what is ours, too: no attacks, headers and simulated clients."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder, "findings.json")
        command = ["testssl", "-p", "-s", "-f", "-P", "-S", "--quiet", "--warnings", "off", "--ip", "127.0.0.1"]
        command += ["--add-ca", str(served.ca), "--jsonfile", str(told), f"{HOST}:{served.port}"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        findings = json.loads(told.read_text())
    return {each["id"] for each in findings if each["severity"] in ("LOW", "MEDIUM", "HIGH", "CRITICAL")}


def compare(served: list[Served], scanners: dict[str, Scanner]) -> None:
    """Of each endpoint what a scanner says that it doesn't say of the sound one, which is the first."""
    print("| endpoint | " + " | ".join(scanners) + " |\n" + "|---" * (len(scanners) + 1) + "|")
    usual: dict[str, set[str]] = {}
    took = dict.fromkeys(scanners, 0.0)
    for each in served:
        row = []
        for name, scan in scanners.items():
            begun = time.monotonic()
            found = scan(each)
            took[name] += time.monotonic() - begun
            usual.setdefault(name, found)
            mine = found if each is served[0] else found - usual[name]
            row.append(", ".join(sorted(mine)) or "-")
        print(f"| {each.endpoint.name} | {' | '.join(row)} |", flush=True)
    print("| seconds an endpoint | " + " | ".join(f"{each / len(served):.2f}" for each in took.values()) + " |")


def transparency(folder: Path, endpoints: int) -> None:
    """How long timestamps of two logs take: counted, and verified by a list of a hundred logs, as public ones are."""
    chain, key = write_chain(folder, logged(A, B), ROOT)
    with nginx(folder, f"ssl_certificate {chain}; ssl_certificate_key {key}; return 204;", "ssl") as port:
        listed = [A.listed(), B.listed(), *(Log(f"log {number}").listed() for number in range(98))]
        (folder / "log_list.json").write_text(json.dumps({"version": "1.0", "operators": [{"logs": listed}]}))
        declared = {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1", "tls": {"scts": 2}}
        verified = {**declared, "tls": {"scts": 2, "ct_logs": str(folder / "log_list.json")}}
        for how, each in (("counted", declared), ("verified", verified)):
            assert not failing("sites", each)
            one = min(look(each, ("transparency",)) for _ in range(5))
            begun = time.monotonic()
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                list(pool.map(lambda _, each=each: look(each, ("transparency",)), range(endpoints)))
            print(f"timestamps {how}: {one:.3f} s, {endpoints} at once: {time.monotonic() - begun:.2f} s")


def main(endpoints: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        transparency(Path(folder), endpoints)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served:
        sound = served[0].declared
        print(f"everything about one endpoint: {min(look(sound) for _ in range(5)):.2f} s")
        begun = time.monotonic()
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            slowest = max(pool.map(lambda _: look(sound), range(endpoints)))
        print(f"{endpoints} at once: {time.monotonic() - begun:.2f} s, the slowest {slowest:.2f} s\n")
        peers: dict[str, Scanner] = {"sslyze": sslyze, "testssl": testssl}
        here = {name: scan for name, scan in peers.items() if shutil.which(os.environ.get(name.upper(), name))}
        for name in peers.keys() - here.keys():
            print(f"{name} is not here to compare with\n")
        compare(served, {"readygate": readygate, **here})


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
