"""Commands that are tried in a checkout: a gate that has to fail, a check that has to pass."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.repository.git import Checkout
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostDuration, Count, Seconds
from readygate.spec import Spec


class Tried(Spec):
    """A command of your own, run by `sh` in the folder of the repository; it must only look."""

    area: ClassVar[str] = "tried"
    noun: ClassVar[str] = "tried"

    run: str = Field(description="A setting: the command line: HEALTH_URL=http://127.0.0.1:1 ./health-check.sh.")
    timeout: Seconds = Field(60.0, description="A setting: how long it may take; a command without end says nothing.")
    exit: Count | None = Field(None, description='What it ends with: 0, or ">0" for a gate that has to refuse.')
    took: AtMostDuration | None = Field(None, description="How long it takes.")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended; what it printed is not kept, as it may be secret."""

    exit: int
    took_s: float


def observe_tried(checkout_here: Checkout, tried: Tried) -> Ending:
    """Run it, with all that it starts. CouldNotLook: it isn't there, or did not end."""
    begun = time.monotonic()
    process = subprocess.Popen(
        ["sh", "-c", tried.run],
        cwd=checkout_here.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = process.wait(tried.timeout)
    except subprocess.TimeoutExpired:
        raise CouldNotLook(f"it had not ended after {tried.timeout:g} s", mend="give it a longer `timeout`") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code in (126, 127):
        raise CouldNotLook(f"sh could not run it (exit {code})", mend="see that it is there, and may be run")
    return Ending(code if code >= 0 else 128 - code, time.monotonic() - begun)


FACTS: dict[str, Callable[..., Any]] = {"tried_ending": observe_tried}
