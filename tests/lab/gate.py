"""Decide whether the lab can run on this machine, by trying: nothing is guessed from versions or names."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.docker import LabError, engine
from tests.lab.host import Lab, Target, new_lab

INSTALL = "tests/lab/install.sh installs what the lab needs"


@contextmanager
def open_lab() -> Iterator[tuple[Lab, Target]]:
    """The lab, and the sound host whose boot proved that it can run; raises LabError with the reason."""
    if os.geteuid():
        raise LabError("the lab needs root, to boot hosts and to build their image")
    for tool in ("docker", "mmdebstrap", "ssh", "ssh-keygen", "nsenter"):
        if not shutil.which(tool):
            raise LabError(f"there is no {tool} on this machine; {INSTALL}")
    with engine() as folder:
        lab = new_lab(folder)
        yield lab, lab.boot("sound")


def why_no_lab() -> str | None:
    """Why the lab can't run here, or None after it did."""
    try:
        with open_lab():
            return None
    except LabError as reason:
        return str(reason)


if __name__ == "__main__":
    sys.exit(why_no_lab())
