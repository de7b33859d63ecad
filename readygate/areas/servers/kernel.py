"""The kernel of a server: its settings as they are now, and the modules that it has loaded."""

from __future__ import annotations

import re
from collections.abc import Callable
from shlex import quote
from typing import Annotated, Any

from pydantic import AfterValidator

from readygate.areas.asking import ask
from readygate.errors import Mistake
from readygate.spec import Spec


def kernel_setting(key: str) -> str:
    """The key, if it is one of sysctl's."""
    if not re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_/@:-]+)+", key):
        raise Mistake(f"'{key}' is not a kernel setting", "write e.g. vm.swappiness")
    return key


def kernel_module(name: str) -> str:
    """The module's name as the kernel has it, with `_` for `-`."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise Mistake(f"'{name}' is not a kernel module", "write e.g. br_netfilter")
    return name


KernelSetting = Annotated[str, AfterValidator(kernel_setting)]
KernelModule = Annotated[str, AfterValidator(kernel_module)]


def observe_sysctl(host: Any, server: Spec, key: str) -> int | str | None:
    """What the kernel's setting is now: a number, or words with a space between; None if there is no such."""
    # In a name such as net.ipv4.conf.eth0/100.rp_filter, sysctl writes the dot of an interface as a slash.
    path = quote("/proc/sys/" + key.translate(str.maketrans("./", "/.")))
    text = " ".join(ask(host, server.name, f"[ ! -e {path} ] || cat {path}").text.split())
    return int(text) if re.fullmatch(r"-?\d+", text) else text or None


def observe_modules(host: Any, server: Spec) -> frozenset[str]:
    """Names of the modules that are loaded, or built in, and of what the kernel has by other signs of it."""
    # A kernel that was installed from elsewhere has no list of what is built in; these tell most of it.
    script = """
[ ! -d /sys/module ] || ls /sys/module || exit 1
sed 's/.*\\t//' /proc/filesystems
[ ! -e /proc/net/protocols ] || cut -d ' ' -f 1 /proc/net/protocols | tr A-Z a-z
[ ! -e /proc/modules ] || cut -d ' ' -f 1 /proc/modules || exit 1
builtin=/lib/modules/$(uname -r)/modules.builtin
[ ! -e "$builtin" ] || sed 's|.*/||; s|\\.ko.*||' "$builtin\""""
    return frozenset(name.replace("-", "_") for name in ask(host, server.name, script).text.split())


def observe_module(key: str, modules: frozenset[str]) -> bool:
    return key.replace("-", "_") in modules


FACTS: dict[str, Callable[..., Any]] = {
    "kernel_setting": observe_sysctl,
    "modules": observe_modules,
    "module_loaded": observe_module,
}
