"""Asking ahead: what the tests will want to know is asked of all targets at once, before pytest runs them.

Each test that only looks at a host is run once for the questions that it asks. Where it waits for an answer the
next one goes on, so that everything leaves in one burst. What needs no host, such as a certificate, is observed by
threads meanwhile. Pytest then runs the tests as ever, and finds the answers in memory.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import pytest

from readygate.areas.asking import script_in
from readygate.facts import Facts, Observers
from readygate.fleet import HUB, Body, Leader, Progress, run_ahead
from readygate.hosts import NO_SERVER, Hosts
from readygate.spec import Leaf, Path

SAY_EVERY = 2.0  # seconds between two lines of progress, where lines are all that can be written
SAY_FIRST = 1.0  # what takes less than this needs none
THREADS = 16  # sites and names that are looked at in one moment, each by one thread
LONGEST = 60.0  # seconds; what is not seen by then is waited for by the tests that ask for it, one by one


def rehearse(
    items: Sequence[pytest.Item],
    seen: Facts,
    ahead: AbstractSet[str],
    hosts: Hosts,
    say: Callable[[Progress], None],
) -> None:
    """Observe for `seen` what needs no host, and run the bodies of those items that only look at hosts.

    `ahead` are the facts that need no host. `say` hears how far it is. What can't be asked ahead is simply asked in
    its turn.
    """
    ends_at = time.monotonic() + LONGEST
    targets: SimpleQueue[list[tuple[str, Leaf]]] = SimpleQueue()
    for target in _targets_without_a_host(items, ahead):
        targets.put(target)
    # Nobody has to wait for them at the end, be it of the run or by Ctrl-C, so they are no executor's.
    many, ended = min(THREADS, targets.qsize()), Event()
    threads = [Thread(target=_observe, args=(targets, seen, ended), daemon=True) for _ in range(many)]
    for thread in threads:
        thread.start()
    try:
        _rehearse_hosts(items, seen.observers, hosts, say)
        for thread in threads:
            thread.join(max(0.0, ends_at - time.monotonic()))
    finally:
        ended.set()  # what is live wants to be alone with its target


def _targets_without_a_host(items: Sequence[pytest.Item], ahead: AbstractSet[str]) -> list[list[tuple[str, Leaf]]]:
    """The facts that are known without a host, those of one target together: nobody is asked in a crowd."""
    targets: dict[Path, list[tuple[str, Leaf]]] = {}
    for item in items:
        leaf = _leaf(item)
        if leaf is None or item.get_closest_marker("live") or any(spec.is_live for spec in leaf.trail):
            continue
        for name in ahead & set(getattr(item, "fixturenames", ())):
            targets.setdefault(leaf.path[:2], []).append((name, leaf))
    return list(targets.values())


def _observe(targets: SimpleQueue[list[tuple[str, Leaf]]], seen: Facts, ended: Event) -> None:
    with contextlib.suppress(Empty):
        while not ended.is_set():
            for name, leaf in targets.get_nowait():
                if ended.is_set():
                    return
                with contextlib.suppress(Exception):  # who asks in earnest hears of it
                    seen.get(name, leaf)


def _rehearse_hosts(
    items: Sequence[pytest.Item], observers: Observers, hosts: Hosts, say: Callable[[Progress], None]
) -> None:
    # Facts of its own: what the real tests observe has to be observed by them, with its evidence.
    facts = Facts(observers, hosts.of)
    bodies: dict[str, list[Body]] = {}
    for item in items:
        if (body := _body(item, facts, hosts)) is not None:
            bodies.setdefault(_server(item, hosts), []).append(body)
    if not bodies:
        return
    HUB.on_progress = say
    try:
        with _undisturbed():
            hosts.connect(_servers(items, hosts))
            run_ahead([Leader(partial(_acquaint, hosts, server), own) for server, own in bodies.items()])
    finally:
        HUB.on_progress = None


def _acquaint(hosts: Hosts, server: str) -> None:
    """What Testinfra finds out of each host first, and then remembers for all tests."""
    hosts.open(server).system_info.type  # noqa: B018


def _servers(items: Sequence[pytest.Item], hosts: Hosts) -> list[str]:
    """The servers that the items ask, each once, in their order."""
    asked = (hosts.name_for(leaf) for item in items if (leaf := _leaf(item)) is not None)
    return [name for name in dict.fromkeys(asked) if name != NO_SERVER]


def _server(item: pytest.Item, hosts: Hosts) -> str:
    leaf = _leaf(item)
    return hosts.name_for(leaf) if leaf is not None else str(_param(item, "_readygate_host"))


def _body(item: pytest.Item, facts: Facts, hosts: Hosts) -> Body | None:
    """The item's function with its arguments, if all of them are known without pytest and one is a host."""
    if not isinstance(item, pytest.Function) or item.get_closest_marker("live"):
        return None
    callspec = getattr(item, "callspec", None)
    params: Mapping[str, Any] = callspec.params if callspec else {}
    wanted = [name for name in item._fixtureinfo.argnames if name != "request"]
    if len(wanted) != len(item._fixtureinfo.argnames):
        return None
    leaf = _leaf(item)
    if leaf is not None:
        ours = facts.observers.keys() | {spec.noun for spec in leaf.trail} | {"expected", "key", "host"}
        if not ours.issuperset(wanted) or not any(_needs_host(name, facts.observers) for name in wanted):
            return None
        return lambda: item.obj(**{name: facts.get(name, leaf) for name in wanted})
    server = params.get("_readygate_host")
    if server is None or "host" not in wanted or not params.keys() >= set(wanted) - {"host"}:
        return None
    return lambda: item.obj(**{name: hosts.open(server) if name == "host" else params[name] for name in wanted})


def _leaf(item: pytest.Item) -> Leaf | None:
    leaf = _param(item, "_leaf")
    return leaf if isinstance(leaf, Leaf) else None


def _param(item: pytest.Item, name: str) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None


def _needs_host(name: str, observers: Observers) -> bool:
    """Whether a fact comes from a host alone, so that nothing else keeps the others waiting."""
    if name == "host":
        return True
    parameters = inspect.signature(observers[name]).parameters if name in observers else ()
    return any(_needs_host(each, observers) for each in parameters)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """What tests print is theirs to print when they really run, and so is stopping in a debugger."""
    hook, sys.breakpointhook = sys.breakpointhook, _not_yet
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        sys.breakpointhook = hook


def _not_yet(*_: Any, **__: Any) -> None:
    raise RuntimeError("a debugger stops in the real run")


class ProgressLine:
    """Says how far the asking is: on one line of a terminal, or in a plain line now and then."""

    def __init__(self, write: Callable[[str], object], *, is_terminal: bool) -> None:
        self._write = write
        self._is_terminal = is_terminal
        self._next = time.monotonic() + SAY_FIRST
        self._said = False

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (SAY_EVERY / 10 if self._is_terminal else SAY_EVERY)
        self._said = True
        line = in_words(progress)
        self._write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")

    def close(self) -> None:
        if self._said and self._is_terminal:
            self._write("\r\x1b[K")


def in_words(progress: Progress) -> str:
    """`asking: 37 of 40 hosts, 3 unreachable; 812 of 1900 answers; slowest so far 4.2 s, app-7: df -P`."""
    words = f"asking: {progress.connected} of {progress.hosts} hosts"
    if progress.unreachable:
        words += f", {progress.unreachable} unreachable"
    words += f"; {progress.answered} of {progress.asked} answers"
    if progress.slowest:
        server, command, seconds = progress.slowest
        words += f"; slowest so far {seconds:.1f} s, {server}: {' '.join(script_in(command).split())[:40]}"
    return words
