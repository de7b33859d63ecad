"""Saying beforehand what will be done to a target, and how far it is, where the user sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from readygate.redaction import REDACTOR

_listeners: list[Callable[[str], object]] = []


def announce(text: str) -> None:
    """Tell the user one line; what bursts, scans, loads or drills calls this before it begins."""
    line = REDACTOR.redact(text)
    if _listeners:
        _listeners[-1](line)
    else:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


@contextmanager
def announced_to(listener: Callable[[str], object]) -> Iterator[None]:
    """Send announcements to a listener for as long as the block lasts, such as past pytest's capture."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
