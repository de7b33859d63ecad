"""The file that Locust runs, on a master, on workers or alone: users, and the part of this process in the run.

READYGATE_LOAD_PLAN and READYGATE_LOAD_OUT name the files of the plan and of the outcome; workers need neither.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import gevent
import locust
import locust.runners
from locust import TaskSet
from locust.runners import MasterRunner, WorkerRunner

from readygate.load.conductor import Conductor
from readygate.load.sender import Sender
from readygate.load.visitor import Visitor

__all__ = ["Visitor"]

events: Any = locust.events

locust.runners.WORKER_REPORT_INTERVAL = 1.0
locust.runners.MASTER_HEARTBEAT_TIMEOUT = 10  # seconds, after which a worker elsewhere ends whose master is gone


def wait(tasks: Any) -> None:
    """Locust's own wait ends in a turn of the event loop, which a visit that is due can't spare."""
    tasks.user.conducted_wait()


TaskSet.wait = wait  # type: ignore[method-assign]


def watch_parent() -> None:
    """Whoever ordered the load is gone: nobody would stop it any more."""
    parent = os.getppid()
    while os.getppid() == parent:
        gevent.sleep(1)
    os._exit(1)


def code_of(user_classes: Iterable[type]) -> str:
    """Eight digits of all that decides what is sent and how it is counted, the same wherever that is the same."""
    files = {Path(inspect.getfile(each)) for each in user_classes} | set(Path(__file__).parent.glob("*.py"))
    return sha256(b"".join(sorted(each.read_bytes() for each in files))).hexdigest()[:8]


def take_part(environment: Any, runner: Any, **kwargs: Any) -> None:
    if len(environment.user_classes) > 1:  # a Locust file brought users of its own
        environment.user_classes = [each for each in environment.user_classes if each is not Visitor]
    environment.code = code_of(environment.user_classes)
    if not isinstance(runner, MasterRunner):
        sender = Sender(environment)
        runner.register_message("readygate-plan", sender.on_plan)
        runner.register_message("readygate-start", sender.on_start)
        runner.register_message("readygate-halt", sender.on_halt, concurrent=True)
        environment.sender = sender
    if isinstance(runner, WorkerRunner):
        if environment.parsed_options.processes:  # forked by the master
            gevent.spawn(watch_parent)
        events.report_to_master.add_listener(lambda client_id, data: data.update(readygate=sender.report()))
        return
    conductor = Conductor(
        environment, Path(os.environ["READYGATE_LOAD_PLAN"]), Path(os.environ["READYGATE_LOAD_OUT"])
    )
    events.spawning_complete.add_listener(lambda **kwargs: conductor.begin())
    gevent.spawn(watch_parent)


events.init.add_listener(take_part)
