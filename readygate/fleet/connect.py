"""From a Testinfra host spec to the command that puts us in front of a shell on that host."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.base import BaseBackend
from testinfra.backend.docker import DockerBackend
from testinfra.backend.kubectl import KubectlBackend
from testinfra.backend.local import LocalBackend
from testinfra.backend.podman import PodmanBackend
from testinfra.backend.ssh import SshBackend

from readygate.errors import CouldNotLook

# sudo writes the prompt to stderr when it wants the password, and the shell says that it has begun;
# so the password is sent only when asked for, once, and never to a shell.
SUDO_PROMPT = "readygate:password?"
SUDO_BEGUN = "readygate:begun"

# Run by the login shell, whichever it is: fish, csh and zsh agree on `exec` and on single quotes.
# Who logs in to bash writes bashisms, so bash stays bash; all others hand over to sh.
LOGIN_SHELL = "exec /bin/sh -c 'case $SHELL in */bash) exec \"$SHELL\" --norc;; esac; exec /bin/sh'"


@dataclass(frozen=True, slots=True)
class Sudo:
    """Who to become on the host; root when no user is named."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def argv(self) -> list[str]:
        become = ["-u", self.user] if self.user else []
        if self.password is None:
            return ["sudo", "-n", *become, "--", "/bin/sh"]
        begin = ["/bin/sh", "-c", f"echo {SUDO_BEGUN}; exec /bin/sh"]
        return ["sudo", "-S", "-p", SUDO_PROMPT, *become, "--", *begin]


@dataclass(frozen=True, slots=True)
class Transport:
    """A local process whose stdin, stdout and stderr are those of a shell on `server`."""

    server: str
    argv: tuple[str, ...]
    password: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def transport_of(stock: BaseBackend, sudo: Sudo | None, connect_timeout: float) -> Transport | None:
    """The transport that reaches what `stock` reaches, or None where only `stock` itself can.

    Testinfra has parsed the host spec; only what it understood is translated here. `connect_timeout` is in
    seconds.
    """
    far_shell = sudo.argv if sudo else ["/bin/sh"]
    environment: dict[str, str] = {}
    match stock:
        case AnsibleBackend():
            return _ansible(stock, sudo, connect_timeout)
        case LocalBackend():
            argv = far_shell
        case SshBackend():
            argv = _ssh(stock, "exec " + shlex.join(far_shell) if sudo else LOGIN_SHELL, connect_timeout)
            if stock.host.password:
                argv, environment = ["sshpass", "-e", *argv], {"SSHPASS": stock.host.password}
        case DockerBackend() | PodmanBackend():
            argv = [stock.NAME, "exec", "-i", *_option("-u", stock.user), stock.name, *far_shell]
        case KubectlBackend():
            argv = _kubectl(stock, far_shell)
        case _:
            return None
    return Transport(stock.hostname, tuple(argv), sudo.password if sudo else None, environment)


def _ssh(stock: SshBackend, command: str, connect_timeout: float) -> list[str]:
    """The system's own client: its configuration, jump hosts, agents and keys work as they do by hand.

    What a user asked for comes first, because ssh keeps the first value it sees.
    """
    settings = {
        "BatchMode": "no" if stock.host.password else "yes",
        "ConnectTimeout": str(math.ceil(connect_timeout)),
        "ServerAliveInterval": "5",  # with the count below, a link that was cut is noticed within 15 s
        "ServerAliveCountMax": "2",
        "ControlMaster": "no",  # join a master that is there, but never leave one behind
        "ClearAllForwardings": "yes",
        "RemoteCommand": "none",
    }
    return [
        *("ssh", "-T"),
        *shlex.split(stock.ssh_extra_args or ""),
        *_option("-F", stock.ssh_config),
        *_option("-l", stock.host.user),
        *_option("-p", stock.host.port),
        *_option("-i", stock.ssh_identity_file),
        *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")),
        *("--", stock.host.name, command),
    ]


def _kubectl(stock: KubectlBackend, far_shell: Sequence[str]) -> list[str]:
    return [
        "kubectl",
        *_option("--kubeconfig", stock.kubeconfig),
        *_option("--context", stock.context),
        *_option("-n", stock.namespace),
        *("exec", "-i", stock.name),
        *_option("-c", stock.container),
        "--",
        *far_shell,
    ]


def _ansible(stock: AnsibleBackend, sudo: Sudo | None, connect_timeout: float) -> Transport | None:
    """What Ansible's inventory says about the host, as far as Testinfra can do without Ansible itself."""
    if stock.force_ansible:
        return None
    files = {"ssh_config": stock.ssh_config, "ssh_identity_file": stock.ssh_identity_file}
    try:
        host = stock.ansible_runner.get_host(stock.host, **files)
    except (AssertionError, ValueError) as error:  # how Testinfra says that ansible-inventory failed
        raise CouldNotLook(
            f"Ansible's inventory could not be read: {error}",
            cause=f"unreachable:{stock.host}",
            mend="install ansible-core here, and try `ansible-inventory --list`",
        ) from error
    if host is None:
        return None
    become = Sudo(host.backend.sudo_user) if host.backend.sudo else None
    return transport_of(host.backend, sudo or become, connect_timeout)


def _option(name: str, value: str | None) -> list[str]:
    return [name, value] if value else []
