"""How long TLS takes to look at: everything about one endpoint, and fifty of them at once, on an nginx of our own.

python -m benchmarks.tls [ENDPOINTS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from readygate.areas import FACTS, SECTIONS
from readygate.facts import Facts
from readygate.spec import leaves
from tests.web import authority, nginx, write_chain

HOST = "shop.example"
ROOT = authority()
EVERYTHING = ("certificate", "trust", "protocols", "ciphers", "met_profiles", "agreed", "stapling")
AT_A_TIME = 16


def look(port: int, ca: Path) -> float:
    """Seconds for every fact about the TLS of one endpoint."""
    declared: dict[str, Any] = {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1"}
    declared["tls"] = {"ca": str(ca), "trusted": True}
    (leaf,) = leaves(SECTIONS["sites"].model_validate(declared), "site", ("sites", "site"))
    facts = Facts(FACTS, lambda leaf, name=None: None)
    begun = time.monotonic()
    for name in EVERYTHING:
        facts.get(name, leaf)
    return time.monotonic() - begun


def main(endpoints: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chain, key = write_chain(Path(folder), ROOT.issue(HOST))
        ca = Path(folder, "ca.pem")
        ca.write_bytes(ROOT.pem)
        rules = f"ssl_certificate {chain}; ssl_certificate_key {key}; return 204;"
        with nginx(Path(folder), rules, listen="ssl http2") as port:
            print(f"everything about one endpoint: {min(look(port, ca) for _ in range(5)):.2f} s")
            begun = time.monotonic()
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                slowest = max(pool.map(lambda _: look(port, ca), range(endpoints)))
            print(f"{endpoints} at once: {time.monotonic() - begun:.2f} s, the slowest {slowest:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
