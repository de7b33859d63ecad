"""What a generator counts while it runs: per second, per endpoint, and its own health.

All of it is nested dictionaries of numbers, so that the tallies of many generators merge by addition.
"""

from __future__ import annotations

from typing import Any

from readygate.load.histogram import bucket

_SHARES = ("cpu", "queued", "wall")

NO_ANSWER = "no answer"
NO_ANSWER_WITHIN = f"{NO_ANSWER} within"
DRAINS_IN = 10  # times as long as it took to queue, by a target with a tenth of its speed to spare
TIMER_S = 0.002  # what an idle loop's timers are late anyway, which no answer is slower for


def is_of_time(error: str) -> bool:
    """Whether an error only says that an answer was not there in time: ours, or that of a client in a Locust file."""
    return error.startswith(NO_ANSWER) or "timed out" in error


class Tally:
    """Counts one generator's requests; seconds are numbered from the start of the run.

    An answer belongs to the second that its request was due in. `ended` and `failed` are counted in the second
    in which they happened.
    """

    def __init__(self, measured: frozenset[int] = frozenset()) -> None:
        self.measured = measured
        self._lagging_until = 0.0  # when a target has worked off what was sent late
        self._clear()

    def _clear(self) -> None:
        self._seconds: dict[int, dict[str, Any]] = {}
        self._endpoints: dict[str, dict[str, Any]] = {}
        self._health: dict[str, Any] = {"loop": {}, "late": {}, "backlog": {}, **dict.fromkeys(_SHARES, 0.0)}
        self._health["unstamped"] = 0

    def _second(self, number: int) -> dict[str, Any]:
        found = self._seconds.get(number)
        if found is None:
            empty = {"due": 0, "bad": 0, "ended": 0, "failed": 0, "busy": 0, "backlog": 0}
            found = self._seconds[number] = {**empty, "response": {}, "service": {}}
        return found

    def due(self, number: int) -> None:
        self._second(number)["due"] += 1

    def answer(self, name: str, asked: float, ended: float, service: float, response: float, error: str) -> None:
        """One request ended: `service` seconds after it was sent, `response` seconds after it was due."""
        due, now = int(asked), int(ended)
        second = self._second(due)
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            endpoint = self._endpoints[name] = {"response": {}, "service": {}, "undisturbed": {}, "errors": {}}
        if error:
            second["bad"] += 1
            self._second(now)["failed"] += 1
            if due in self.measured:
                endpoint["errors"][error] = endpoint["errors"].get(error, 0) + 1
            return
        self._second(now)["ended"] += 1
        took, served = bucket(response), bucket(service)
        histogram = second["response"]
        histogram[took] = histogram.get(took, 0) + 1
        histogram = second["service"]
        histogram[served] = histogram.get(served, 0) + 1
        if due in self.measured:
            histogram = endpoint["response"]
            histogram[took] = histogram.get(took, 0) + 1
            histogram = endpoint["service"]
            histogram[served] = histogram.get(served, 0) + 1
            if asked > self._lagging_until:
                histogram = endpoint["undisturbed"]
                histogram[took] = histogram.get(took, 0) + 1

    def unanswered(self, number: int, count: int) -> None:
        """Requests that were due, and had no answer when the run was over."""
        self._second(number)["bad"] += count
        if number in self.measured:
            endpoint = self._endpoints.setdefault("", {"response": {}, "service": {}, "errors": {}})
            kind = f"{NO_ANSWER} by the end of the run"
            endpoint["errors"][kind] = endpoint["errors"].get(kind, 0) + count

    def waited(self, kind: str, seconds: float) -> None:
        """Loop lag (`loop`), a timer of ours that was late (`late`), or no user free in time (`backlog`)."""
        histogram = self._health[kind]
        number = bucket(seconds)
        histogram[number] = histogram.get(number, 0) + 1

    def lagged(self, now: float, seconds: float) -> None:
        """Until now, and for so long, this process did nothing of what it was to do."""
        if seconds > TIMER_S:
            self._lagging_until = max(self._lagging_until, now + DRAINS_IN * seconds)
            number = bucket(seconds)
            for each in range(max(0, int(now - seconds)), int(now) + 1):
                histogram = self._second(each).setdefault("lag", {})
                histogram[number] = histogram.get(number, 0) + 1

    def unstamped(self) -> None:
        """An answer ended when it was read, as nothing said when it was here."""
        self._health["unstamped"] += 1

    def gauge(self, number: int, busy: int, backlog: int) -> None:
        """The most users that were busy in a second, and the most visitors who waited for one."""
        second = self._second(number)
        second["busy"] += busy
        second["backlog"] += backlog

    def worked(self, cpu: float, queued: float, wall: float) -> None:
        """Seconds that this process used a processor and that it waited for one, in so many seconds."""
        for key, seconds in zip(_SHARES, (cpu, queued, wall), strict=True):
            self._health[key] += seconds

    def take(self) -> dict[str, Any]:
        """All that was counted since it was last taken."""
        taken = {"seconds": self._seconds, "endpoints": self._endpoints, "health": self._health}
        self._clear()
        return taken
