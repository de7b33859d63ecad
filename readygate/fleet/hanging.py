"""Programs that ask a daemon: where that hangs, whoever calls one waits in vain, so it is called no more."""

from __future__ import annotations

import re
import time

from readygate.errors import CouldNotLook

_PROGRAMS = re.compile(
    r"(?<![\w./-])(?:systemctl|journalctl|timedatectl|resolvectl|chronyc|docker|podman|firewall-cmd)(?![\w./-])"
)
_AGAIN_AFTER_S = 300  # whoever watches for long will hear that it has come back


def daemons_asked(command: str) -> frozenset[str]:
    """The programs in a command that ask a daemon."""
    return frozenset(_PROGRAMS.findall(command))


class Hanging:
    """What has hung on one server so far, and until when that is believed."""

    def __init__(self) -> None:
        self._known: dict[frozenset[str], tuple[float, CouldNotLook]] = {}

    def note(self, programs: frozenset[str], why: CouldNotLook) -> None:
        """A command hung that calls all of these: which of them did isn't known."""
        self._known[programs] = (time.monotonic() + _AGAIN_AFTER_S, why)

    def why(self, command: str) -> CouldNotLook | None:
        """Why this command would hang, too: it calls all that one called which did."""
        if not self._known:
            return None
        asked, now = daemons_asked(command), time.monotonic()
        return next(
            (why for programs, (until, why) in self._known.items() if programs <= asked and now < until), None
        )
