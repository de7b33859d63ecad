"""Conducts a run from Locust's master, or from its only process: starts it, watches it, writes the outcome."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.runners import STATE_MISSING, MasterRunner

from readygate.load.histogram import add, merged, quantile
from readygate.load.plan import Plan
from readygate.load.sender import DONE, READY
from readygate.load.visitor import Visitor

_HEAD_START_S = 0.3
_APART_S = 0.5  # that the clock of a worker may be off; a message is there much sooner
_LATELY_S = 5  # what the progress line and the kill switch look back at
_ENOUGH_TO_STOP = 20  # requests, before their errors can stop a run


class Conductor:
    """Sends the plan and the start to every generator, and merges what they report."""

    def __init__(self, environment: Any, plan_file: Path, out: Path) -> None:
        self._runner = environment.runner
        self._sender = getattr(environment, "sender", None)
        self._plan = Plan.from_json(plan_file.read_text())
        self._out = out
        self._code = environment.code
        self._has_no_users_of_its_own = environment.user_classes == [Visitor]
        self._ids: list[str] = []
        self._ready: set[str] = set()
        self._done: set[str] = set()
        self._lost: set[str] = set()
        self._news = Event()
        self._stopped = ""
        self._problem = ""
        self._totals: dict[str, Any] = {"seconds": {}, "endpoints": {}}
        self._health: dict[str, dict[str, Any]] = {}
        self._users = self._stranded = 0
        self._start = self._began = 0.0  # by the clock that workers share, and by ours that nobody sets
        self._has_begun = False
        self._runner.register_message(READY, self._on_ready)
        self._runner.register_message(DONE, self._on_done)
        environment.events.worker_report.add_listener(self._on_report)
        gevent.signal_handler(signal.SIGINT, self._interrupt)

    def begin(self) -> None:
        """Called when all users are there; more than once where a worker joins late."""
        if not self._has_begun:
            self._has_begun = True
            gevent.spawn(self._conduct)

    def _conduct(self) -> None:
        try:
            self._prepare()
            if not self._problem and not self._stopped:
                self._watch()
        except Exception as error:  # noqa: BLE001 - the tool has to hear of it, whatever it was
            self._problem = f"the generator failed: {type(error).__name__}: {error}"
        self._write()
        self._runner.quit()

    def _prepare(self) -> None:
        self._ids = sorted(self._runner.clients) if isinstance(self._runner, MasterRunner) else ["local"]
        if self._plan.locustfile and self._has_no_users_of_its_own:
            self._problem = f"{self._plan.locustfile} has no users: a class of Locust's User, with a task"
            return
        plan = self._plan.to_json()
        for index, each in enumerate(self._ids):
            self._runner.send_message("readygate-plan", {"plan": plan, "index": index}, each)
        until = time.monotonic() + self._plan.sign_in_s
        while len(self._ready) < len(self._ids) and time.monotonic() < until and not self._stopped:
            self._wait(0.2)
            self._find_lost()
            if self._lost or self._problem:
                break
        if self._problem or self._stopped:
            return
        if self._stranded:
            self._problem = f"{self._stranded} of {self._plan.users} users could not sign in"
        elif len(self._ready) < len(self._ids):
            self._problem = f"the generator was not ready within {self._plan.sign_in_s:.0f} s"
        elif self._users < self._plan.users:
            self._problem = f"only {self._users} of {self._plan.users} users came"

    def _watch(self) -> None:
        self._start, self._began = time.time() + _HEAD_START_S, time.monotonic() + _HEAD_START_S
        for each in self._ids:
            self._runner.send_message("readygate-start", {"at": self._start}, each)
        until = time.monotonic() + self._plan.schedule.seconds + self._plan.timeout + 15
        while len(self._done) + len(self._lost) < len(self._ids) and time.monotonic() < until:
            self._wait(1.0)
            if self._sender is not None and "local" not in self._done:
                self._merge("local", self._sender.report())
            self._find_lost()
            self._stop_at_errors()
            self._say()
        self._lost |= set(self._ids) - self._done

    def _wait(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()

    def _find_lost(self) -> None:
        if isinstance(self._runner, MasterRunner):
            clients = self._runner.clients
            for each in set(self._ids) - self._done:
                if each not in clients or clients[each].state == STATE_MISSING:
                    self._lost.add(each)
            if len(clients) > self._plan.generators:
                # Locust moves users to it from the others, whose visits nobody would end.
                self._problem = f"{len(clients)} workers came, and the plan is for {self._plan.generators}"
            if self._lost or self._problem:
                self._halt("lost")

    def _stop_at_errors(self) -> None:
        now = int(time.monotonic() - self._began)
        last = [self._totals["seconds"].get(each, {}) for each in range(now - _LATELY_S, now + 1)]
        failed, ended = (sum(each.get(key, 0) for each in last) for key in ("failed", "ended"))
        if failed + ended >= _ENOUGH_TO_STOP and failed > self._plan.stop_at_errors * (failed + ended):
            self._halt("errors")

    def _halt(self, why: str) -> None:
        if not self._stopped:
            self._stopped = why
            for each in self._ids:
                self._runner.send_message("readygate-halt", {}, each)

    def _interrupt(self) -> None:
        self._halt("interrupted")
        self._news.set()
        if not self._has_begun:
            self._write()
            os._exit(0)

    # What the generators say.

    def _on_ready(self, msg: Any, **kwargs: Any) -> None:
        self._ready.add(msg.node_id)
        self._users += msg.data["users"] + msg.data["stranded"]
        self._stranded += msg.data["stranded"]
        self._problem = self._problem or msg.data["problem"]
        apart = msg.data["clock"] - time.time()
        if msg.data.get("code") != self._code:
            self._problem = f"{msg.node_id} has another version of Readygate, or of the Locust file, or none"
        elif abs(apart) > _APART_S:
            self._problem = f"the clock of {msg.node_id} is {apart:+.1f} s off, so it would start at another time"
        self._news.set()

    def _on_done(self, msg: Any, **kwargs: Any) -> None:
        self._merge(msg.node_id, msg.data)
        self._done.add(msg.node_id)
        self._news.set()

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        if "readygate" in data:
            self._merge(client_id, data["readygate"])

    def _merge(self, worker: str, report: dict[str, Any]) -> None:
        add(self._health.setdefault(worker, {}), report.pop("health"))
        add(self._totals, report)

    # What is said of it all.

    def _say(self) -> None:
        now = time.monotonic() - self._began
        last = [self._totals["seconds"].get(each, {}) for each in range(int(now) - _LATELY_S, int(now))]
        ended, failed = (sum(each.get(key, 0) for each in last) for key in ("ended", "failed"))
        line = {
            "second": int(now),
            "rate": (ended + failed) / max(1, min(_LATELY_S, int(now))),
            "users": max((each.get("busy", 0) for each in last[-2:]), default=0),
            "p95": quantile(merged(each.get("response", {}) for each in last), 0.95),
            "errors": failed / (ended + failed) if ended + failed else 0.0,
        }
        print(json.dumps(line), flush=True)  # noqa: T201
        sys.stdout.flush()

    def _write(self) -> None:
        outcome = {
            "plan": self._plan.name,
            "digest": self._plan.digest,
            "target": self._plan.target,
            "model": "open" if self._plan.is_open else "closed",
            "started_at": datetime.fromtimestamp(self._start or time.time(), UTC).isoformat(timespec="seconds"),
            "measured": list(self._plan.schedule.measured),
            "generators": len(self._ids),
            "lost": sorted(self._lost),
            "stopped": self._stopped,
            "problem": self._problem,
            **self._totals,
            "health": self._health,
        }
        scratch = self._out.with_suffix(".part")
        scratch.write_text(json.dumps(outcome))
        scratch.replace(self._out)
