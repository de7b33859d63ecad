"""The Testinfra backend on top of a shell: suites stay plain, and the same question travels once a run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import greenlet
import testinfra.backend
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from readygate.errors import CouldNotLook, Mistake
from readygate.fleet.connect import Sudo, transport_of
from readygate.fleet.facts import FIRST_QUESTIONS, widen
from readygate.fleet.hanging import daemons_asked
from readygate.fleet.hub import HUB, Hub
from readygate.fleet.question import Answer, Question
from readygate.fleet.shell import Shell

# Hears each command that is asked and what came of it, as a check's evidence.
EVIDENCE: ContextVar[Callable[[str, int, str, str], object] | None] = ContextVar("EVIDENCE", default=None)

# How long, in seconds, a command that is asked now may take, if not as long as any.
WITHIN: ContextVar[float | None] = ContextVar("WITHIN", default=None)

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 60.0


class _Askings:
    """How often one check has asked what: a check that polls wants a fresh answer each time round.

    Questions that share a fact share its answers too, but none gets an older one than the check has seen.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[BaseBackend, str], int] = {}
        self._generation: dict[tuple[BaseBackend, str], int] = {}

    def generation(self, backend: BaseBackend, command: str, sent: str) -> int:
        asked = self._asked[backend, command] = self._asked.get((backend, command), 0) + 1
        newest = self._generation[backend, sent] = max(self._generation.get((backend, sent), 0), asked)
        return newest


_ASKINGS: ContextVar[_Askings | None] = ContextVar("_ASKINGS", default=None)
_BACKENDS: WeakSet[ShellBackend] = WeakSet()


def begin_check(*, live: bool = False) -> None:
    """A check starts asking; a `live` one gets every answer fresh, as does whoever never called this."""
    _ASKINGS.set(None if live else _Askings())


def forget_answers() -> None:
    """What was answered so far may no longer hold: something was changed."""
    for backend in _BACKENDS:
        backend.forget()


class _AsUser(str):
    """A command wrapped in sudo as stock Testinfra wraps it, that still knows who is to run what."""

    user: str | None
    inner: str


class ShellBackend(BaseBackend):  # type: ignore[misc]  # Testinfra is untyped
    """Asks through a persistent shell; each user that `host.sudo()` becomes gets a shell of its own."""

    NAME = "readygate"

    def __init__(
        self,
        hostspec: str,
        *,
        stock: BaseBackend | None = None,
        sudo: bool = False,
        sudo_user: str | None = None,
        sudo_password: str | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        command_timeout: float = COMMAND_TIMEOUT,
        hub: Hub = HUB,
        **options: Any,
    ) -> None:
        """`stock` is the backend that would do without us; where it isn't given, ssh leads to `hostspec`."""
        options.pop("connection", None)
        self._stock = stock or testinfra.backend.get_backend(f"ssh://{hostspec}", **options)
        super().__init__(self._stock.hostname, sudo, sudo_user)
        self.HAS_RUN_ANSIBLE = self._stock.HAS_RUN_ANSIBLE
        self._hub = hub
        self._sudo_password = sudo_password
        self._connect_timeout = connect_timeout
        self._command_timeout = command_timeout
        self._shell = self._shell_for(Sudo(sudo_user, sudo_password) if sudo else None)
        self._shells_as: dict[str | None, Shell] = {}
        self._memory: dict[tuple[str, int], Question] = {}
        self._wrapping: WeakKeyDictionary[greenlet.greenlet, Callable[..., str]] = WeakKeyDictionary()
        _BACKENDS.add(self)

    def connect(self) -> None:
        """Begin to connect, and ask what nearly every suite asks first; doesn't wait."""
        for command in FIRST_QUESTIONS:
            self._question(command, 1)
        self._hub.send_out()

    def __getattr__(self, name: str) -> Any:
        """What only the stock backend can do, such as `run_ansible`."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stock, name)

    def get_pytest_id(self) -> str:
        return str(self._stock.get_pytest_id())

    def forget(self) -> None:
        """Ask everything anew from here on."""
        self._memory.clear()

    def give_up_on(self, command: str, why: CouldNotLook) -> None:
        """The command hung: from here on, whatever asks the same daemons is not asked, for the same reason."""
        if programs := daemons_asked(command):
            for shell in self.shells:
                shell.give_up_on(programs, why)

    @property
    def shells(self) -> tuple[Shell, ...]:
        """The shells that this host has had so far."""
        return (self._shell, *self._shells_as.values())

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        """Ask, and wait for the answer; raises CouldNotLook where there is none."""
        asked = self.quote(command, *args)
        fact = widen(asked)
        answer = fact.narrow(self._answer(asked, fact.command)) if fact else None
        if answer is None:
            answer = self._answer(asked, asked)
        if hear := EVIDENCE.get():
            hear(asked, answer.rc, _text(answer.stdout), _text(answer.stderr))
        return self.result(answer.rc, self.encode(self.get_command(asked)), answer.stdout, answer.stderr)

    # `host.sudo()` sets another get_command on the backend for a while. Greenlets share the backend, so
    # each keeps its own.

    @property
    def get_command(self) -> Callable[..., str]:
        return self._wrapping.get(greenlet.getcurrent()) or self.quote

    @get_command.setter
    def get_command(self, wrap: Callable[..., str]) -> None:
        self._wrapping[greenlet.getcurrent()] = wrap

    def get_sudo_command(self, command: str, sudo_user: str | None) -> str:
        wrapped = _AsUser(super().get_sudo_command(command, sudo_user))
        wrapped.user, wrapped.inner = sudo_user, command
        return wrapped

    # How an answer is had.

    def _answer(self, asked: str, sent: str) -> Answer:
        sent = self.get_command(sent)
        askings = _ASKINGS.get()
        if askings is None:
            question = self._ask(sent)
        else:
            if not self._memory:
                self.connect()
            question = self._question(sent, askings.generation(self, self.get_command(asked), sent))
        self._hub.wait(question)
        return question.answer

    def _question(self, sent: str, generation: int) -> Question:
        key = (sent, generation)
        if key not in self._memory:
            self._memory[key] = self._ask(sent)
        return self._memory[key]

    def _ask(self, sent: str) -> Question:
        """Commands for another user go to a shell of that user; from a sudo shell they go as they stand."""
        if not isinstance(sent, _AsUser) or self.sudo:
            return self._shell.ask(str(sent), WITHIN.get())
        if sent.user not in self._shells_as:
            self._shells_as[sent.user] = self._shell_for(Sudo(sent.user, self._sudo_password))
        return self._shells_as[sent.user].ask(sent.inner, WITHIN.get())

    def _shell_for(self, sudo: Sudo | None) -> Shell:
        transport = transport_of(self._stock, sudo, self._connect_timeout)
        if transport is None:
            raise Mistake(f"no shell can be kept on {self._stock.get_pytest_id()}", "use open_host")
        return Shell(
            transport, self._hub, connect_timeout=self._connect_timeout, command_timeout=self._command_timeout
        )


testinfra.backend.BACKENDS["readygate"] = f"{ShellBackend.__module__}.{ShellBackend.__qualname__}"


@functools.cache
def open_host(
    spec: str,
    *,
    sudo: bool = False,
    sudo_user: str | None = None,
    sudo_password: str | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
    command_timeout: float = COMMAND_TIMEOUT,
    ssh_config: str | None = None,
    identity: str | None = None,
) -> Host:
    """The Testinfra host that `spec` names, on a persistent shell wherever one can be had.

    Takes any Testinfra host spec, and a bare name as ssh. Timeouts are in seconds. Connects when first asked;
    `host.backend.connect()` does so ahead. The same arguments give the same host.
    """
    options = {"ssh_config": ssh_config, "ssh_identity_file": identity}
    given = {name: value for name, value in options.items() if value}
    spec = spec if "://" in spec else f"ssh://{spec}"
    scheme = spec.partition("://")[0]
    if scheme not in testinfra.backend.BACKENDS:
        raise Mistake(f"{scheme}:// is no connection that Testinfra knows", "write ssh://, docker:// or local://")
    stock = testinfra.backend.get_backend(spec, **given)
    sudo, sudo_user = sudo or stock.sudo, sudo_user or stock.sudo_user
    backend = stock
    if transport_of(stock, None, connect_timeout):
        backend = ShellBackend(
            spec,
            stock=stock,
            sudo=sudo,
            sudo_user=sudo_user,
            sudo_password=sudo_password,
            connect_timeout=connect_timeout,
            command_timeout=command_timeout,
        )
    else:
        stock.sudo, stock.sudo_user = sudo, sudo_user
    host = Host(backend)
    backend.set_host(host)
    return host


def _text(output: bytes) -> str:
    return output.decode(errors="replace")
