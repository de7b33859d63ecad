"""What a fault is: one way in which a sound host goes wrong, and the checks that have to notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.host import Lab, Target


@dataclass(frozen=True, slots=True)
class Fault:
    """One deviation from the sound host.

    `plant` is a shell script that root runs on the host, or a function of the host; when it is done, the
    fault is in effect. `caught_by` are the ids of the checks that fail then: all of these, and no others. `unsure`
    are those that rightly say that they can't tell.
    """

    name: str
    caught_by: tuple[str, ...]
    plant: str | Callable[[Target], object]
    unsure: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """What is said of the host; that nobody can tell is no GO, though nothing is known to be wrong."""
        return "NO-GO" if self.caught_by else "INCOMPLETE"

    def plant_on(self, host: Target) -> None:
        """Break the host; raises LabError when that did not work."""
        if isinstance(self.plant, str):
            host.run(f"set -eu\n{self.plant}")
        else:
            self.plant(host)


@dataclass(frozen=True, slots=True)
class AreaFaults:
    """The faults of one area, beside the part of an inventory that a sound host meets to the letter.

    In `sound` the host stands as the server `target`, its `connect` is `${LAB_HOST}` (`Target.hostspec`),
    `${LAB_ADDRESS}` is where it answers (`Target.address`), and `${LAB_CA}` what to trust there
    (`Target.certificate`). It is the target as it boots, or another that `boot` makes of the lab.
    """

    area: str
    sound: str
    faults: tuple[Fault, ...]
    boot: Callable[[Lab], Target] | None = None

    def host(self, lab: Lab, name: str) -> Target:
        """A sound host of this area, to break."""
        return self.boot(lab) if self.boot else lab.boot(name)
