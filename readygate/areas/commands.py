"""What can be asked of a server by a command of the user's own, and the settings of its kernel."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from shlex import quote
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.asking import ask, run
from readygate.errors import Mistake
from readygate.expectation import Count, Seconds, Text
from readygate.spec import Spec


class Command(Spec):
    """A shell command to run on a server; it must only look, since it runs whenever the gate does."""

    area: ClassVar[str] = "command"
    noun: ClassVar[str] = "command"

    run: str = Field(description="A setting: the command, for sh.", min_length=1)
    within: Seconds = Field(30.0, description="A setting: how long it may take.")
    exit: Count | None = Field(None, description="The exit code that it ends with.")
    output: Text | None = Field(None, description="What it prints, without the white space around it.")


@dataclass(frozen=True, slots=True)
class ActualCommand:
    """How a command ended, and what it printed."""

    exit: int
    output: str


def kernel_setting(key: str) -> str:
    """The key, if it is one of sysctl's."""
    if not re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_/@:-]+)+", key):
        raise Mistake(f"'{key}' is not a kernel setting", "write e.g. vm.swappiness")
    return key


KernelSetting = Annotated[str, AfterValidator(kernel_setting)]


def observe_command(host: Any, server: Spec, command: Command) -> ActualCommand:
    """Run it. CouldNotLook: it isn't there, may not be run, or takes too long."""
    answer = run(host, server.name, command.run, within=command.within)
    return ActualCommand(answer.exit, answer.output.decode(errors="replace").strip())


def observe_sysctl(host: Any, server: Spec, key: str) -> int | str | None:
    """What the kernel's setting is now: a number, or words with a space between; None if there is no such."""
    # In a name such as net.ipv4.conf.eth0/100.rp_filter, sysctl writes the dot of an interface as a slash.
    path = quote("/proc/sys/" + key.translate(str.maketrans("./", "/.")))
    text = " ".join(ask(host, server.name, f"[ ! -e {path} ] || cat {path}").text.split())
    return int(text) if re.fullmatch(r"-?\d+", text) else text or None


FACTS: dict[str, Callable[..., Any]] = {"actual_command": observe_command, "kernel_setting": observe_sysctl}
