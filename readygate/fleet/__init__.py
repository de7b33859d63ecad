"""Asking many servers many things at once: one shell a server, commands in a row, plain Testinfra on top."""

from readygate.fleet.ahead import Body, Leader, run_ahead
from readygate.fleet.backend import EVIDENCE, WITHIN, ShellBackend, begin_check, forget_answers, open_host
from readygate.fleet.hanging import daemons_asked
from readygate.fleet.hub import HUB, Hub, Progress
from readygate.fleet.reasons import explain_connection_failure

__all__ = [
    "EVIDENCE",
    "HUB",
    "WITHIN",
    "Body",
    "Hub",
    "Leader",
    "Progress",
    "ShellBackend",
    "begin_check",
    "daemons_asked",
    "explain_connection_failure",
    "forget_answers",
    "open_host",
    "run_ahead",
]
