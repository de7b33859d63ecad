"""Sends a plan's load, in each generator process: arrivals that wait for nobody, and a pool of Locust users."""

from __future__ import annotations

import gc
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
from gevent import getcurrent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from locust.exception import StopUser

from readygate.load.plan import Plan
from readygate.load.tally import Tally
from readygate.load.visitor import Visitor

READY, DONE = "readygate-ready", "readygate-done"

_SIGN_INS_AT_ONCE = 10
_PROBE_S = 0.05  # how often the event loop is asked whether it is on time

clock = time.perf_counter


@dataclass(slots=True)
class Visit:
    """A task of one user: when it was due, and how late it began because no user was free."""

    due: float
    late: float = 0.0


class Sender:
    """The part of a run that one process has; times are seconds from the start of the run."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.tally = Tally()
        self.stranded = 0
        self._plan: Plan | None = None
        self._planned = Event()
        self._signing = BoundedSemaphore(_SIGN_INS_AT_ONCE)
        self._arrivals: Iterator[float] = iter(())
        self._next: float | None = None  # when the next visit is due
        self._timer: Any = None
        self._backlog: deque[float] = deque()  # when visits were due that no user was free for
        self._idle: deque[Any] = deque()  # the greenlets of users who are free
        self._hub: Any = gevent.get_hub()
        self._open: defaultdict[int, int] = defaultdict(int)  # visits not ended, by the second they were due in
        self._admitted = self._begun = self._under_way = 0
        self._start = 0.0
        self._over = False
        self._greenlets: list[Any] = []
        for user_class in environment.user_classes:
            self._conduct(user_class)
        environment.events.request.add_listener(self._on_request)
        environment.events.user_error.add_listener(self._on_user_error)

    # What the conductor says.

    def on_plan(self, msg: Any, **kwargs: Any) -> None:
        """Users may sign in."""
        self._plan = Plan.from_json(msg.data["plan"])
        self._index = msg.data["index"]
        self.tally.measured = frozenset(self._plan.schedule.measured)
        try:
            Visitor.follow(self._plan)
        except OSError as error:
            self._say_ready(f"{self._plan.target} can't be used: {error}")
            return
        self._planned.set()
        gevent.spawn(self._say_when_ready)

    def on_start(self, msg: Any, **kwargs: Any) -> None:
        """The run begins at a time that all generators know."""
        # A collection of all that Locust has loaded would stop the loop for tens of milliseconds.
        gc.collect()
        gc.freeze()
        self._start = clock() + msg.data["at"] - time.time()
        self._greenlets = [gevent.spawn(self._run), gevent.spawn(self._probe)]

    def on_halt(self, **kwargs: Any) -> None:
        """Send nothing more, and say what was measured."""
        if self._over:
            return
        gevent.killall(self._greenlets)
        self._next = None
        for due in self._backlog:
            self._open[int(due)] -= 1
            self._under_way -= 1
        self._backlog.clear()
        self._finish(patience=1.0)

    def _say_when_ready(self) -> None:
        plan = self._the_plan
        while plan.is_open and self._admitted + self.stranded < self.environment.runner.user_count:
            gevent.sleep(0.05)
        self._say_ready()

    def _say_ready(self, problem: str = "") -> None:
        users = self.environment.runner.user_count
        said = {"users": users, "stranded": self.stranded, "problem": problem, "clock": time.time()}
        said["code"] = self.environment.code
        self.environment.runner.send_message(READY, said)

    # Sending.

    def _run(self) -> None:
        plan = self._the_plan
        if plan.rate is not None:
            each, offset = plan.rate / plan.generators, (self._index + 0.5) / plan.generators
            seed = plan.seed * 1000 + self._index
            self._arrivals = plan.schedule.arrivals(each, poisson=plan.poisson, seed=seed, offset=offset)
            self._next = next(self._arrivals, None)
            self._send_due()
        gevent.sleep(max(0.0, self._start + plan.schedule.seconds - clock()))
        self._send_due()  # what the timer was too late for
        self._finish(patience=plan.timeout + 0.5)

    def _send_due(self) -> None:
        """Hand every visit that is due to a user. A timer calls again for the next: a greenlet would cost more."""
        while self._next is not None:
            ahead = self._start + self._next - clock()
            if ahead > 0:
                self._timer = self._hub.loop.timer(ahead)
                self._timer.start(self._send_due, update=True)
                return
            due, self._next = self._next, next(self._arrivals, None)
            self._is_due(due)
            if self._idle:
                user = self._idle.popleft()
                user.visit = Visit(due)
                self._hub.loop.run_callback(user.switch)
            else:
                self._backlog.append(due)

    def _is_due(self, at: float) -> None:
        self.tally.due(int(at))
        self._open[int(at)] += 1
        self._under_way += 1

    def _finish(self, patience: float) -> None:
        """Wait for what is under way, and count what never came back."""
        until = clock() + patience
        while self._under_way and clock() < until:
            gevent.sleep(0.02)
        self._over = True
        for second, count in self._open.items():
            if count > 0:
                self.tally.unanswered(second, count)
        self.environment.runner.send_message(DONE, self.report())

    def report(self) -> dict[str, Any]:
        return self.tally.take()

    @property
    def _the_plan(self) -> Plan:
        if self._plan is None:
            raise RuntimeError("the plan has not come yet")
        return self._plan

    # What is done to every class of users, the plan's own and those of a Locust file alike.

    def _conduct(self, user_class: Any) -> None:
        """Its users start when the plan says so, and take a task when a visit is due."""
        sign_in = user_class.on_start

        def on_start(user: Any) -> None:
            self._admit(user, sign_in)

        def wait(user: Any) -> None:
            self._visit_ended()
            if self._the_plan.is_open:
                self._await_arrival()
            else:
                thought = think(user)
                until = clock() - self._start + thought
                gevent.sleep(thought)
                self._was_late(until)
                self._await_turn(user)
                self._begin(clock() - self._start)

        def think(user: Any) -> float:
            return float((Visitor.wait_time if isinstance(user, Visitor) else thinks)(user))

        thinks = user_class.wait_time
        user_class.on_start = on_start
        user_class.conducted_wait = wait

    def _admit(self, user: Any, sign_in: Any) -> None:
        self._planned.wait()
        plan = self._the_plan
        user.turn = self._index + self._begun * plan.generators
        self._begun += 1
        if not plan.is_open:
            self._await_turn(user)
        try:
            with self._signing:
                sign_in(user)
        except Exception as error:
            self.stranded += 1
            raise StopUser from error
        self._admitted += 1
        if plan.is_open:
            self._await_arrival()
        else:
            self._begin(clock() - self._start)

    def _await_turn(self, user: Any) -> None:
        """In the closed model: until the schedule has room for this one; after the end, for ever."""
        plan = self._the_plan
        while not self._start or plan.schedule.share(clock() - self._start) * plan.users <= user.turn:
            gevent.sleep(0.05)

    def _await_arrival(self) -> None:
        # Waiting for a user who is free is the target's fault; a timer that is late is ours.
        user = _this()
        if self._backlog:
            due = self._backlog.popleft()
            late = clock() - self._start - due
            self.tally.waited("backlog", late)
            user.visit = Visit(due, late)
            return
        self._idle.append(user)
        try:
            self._hub.switch()
        except BaseException:
            if user in self._idle:
                self._idle.remove(user)
            raise
        self._was_late(user.visit.due)

    def _was_late(self, due: float) -> None:
        now = clock() - self._start
        self.tally.waited("late", now - due)
        self.tally.lagged(now, now - due)

    def _begin(self, now: float) -> None:
        self._is_due(now)
        _this().visit = Visit(now)

    def _visit_ended(self) -> None:
        visit = getattr(_this(), "visit", None)
        if visit is not None:
            self._open[int(visit.due)] -= 1
            self._under_way -= 1
            _this().visit = None

    # Counting.

    def _on_request(
        self, request_type: str, name: str, response_time: float, exception: Any = None, **kwargs: Any
    ) -> None:
        """What the users of a Locust file ask, by whatever client."""
        error = "" if exception is None else str(exception) or type(exception).__name__
        self.tally.unstamped()
        self.answered(f"{request_type} {name}", response_time / 1000, error)

    def answered(self, name: str, service: float, error: str) -> None:
        """A request ended now that was sent `service` seconds ago; `error` is empty where its answer is right."""
        if not self._start or self._over:
            return
        now = clock() - self._start
        due, late = now - service, 0.0
        visit = getattr(_this(), "visit", None)
        if visit is None and due < 0:
            return  # still signing in
        if visit is not None and visit.late >= 0:
            # Only the first request of a visit had a time to begin at; the others follow from answers.
            due, late, visit.late = visit.due, visit.late, -1.0
        self.tally.answer(name, due, now, service, service + late, error)

    def _on_user_error(self, exception: BaseException, **kwargs: Any) -> None:
        """A task that breaks before it has asked anything is no fast answer either."""
        visit = getattr(_this(), "visit", None)
        if visit is not None and not self._over:
            now = clock() - self._start
            error = f"the journey itself failed: {type(exception).__name__}"
            self.tally.answer("the journey", visit.due, now, 0.0, 0.0, error)

    def _probe(self) -> None:
        gevent.sleep(max(0.0, self._start - clock()))
        used, at, second, busy, backlog = _processor_s(), clock(), 0, 0, 0
        look = at + _PROBE_S
        while True:
            gevent.sleep(max(0.0, look - clock()))
            now = clock()
            self.tally.lagged(now - self._start, now - look)
            # One long lag is many moments at which the loop would not have answered.
            while look <= now:
                self.tally.waited("loop", now - look)
                look += _PROBE_S
            backlog = max(backlog, len(self._backlog))
            busy = max(busy, self._under_way - len(self._backlog))
            if int(now - self._start) > second:
                self.tally.gauge(second, busy, backlog)
                before, used = used, _processor_s()
                self.tally.worked(used[0] - before[0], used[1] - before[1], now - at)
                at, second, busy, backlog = now, int(now - self._start), 0, 0


def _processor_s() -> tuple[float, float]:
    """Seconds in which this process had a processor, and in which it could have run and waited for one."""
    try:
        queued = int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        queued = 0.0  # a kernel that doesn't count it
    return time.process_time(), queued


def _this() -> Any:
    """The greenlet that runs; what a user is about is noted on it, as requests don't say whose they are."""
    return getcurrent()
