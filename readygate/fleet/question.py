"""A command on its way to a server, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import greenlet

from readygate.errors import CouldNotLook


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did; `seconds` is how long the shell was busy with it."""

    rc: int
    stdout: bytes
    stderr: bytes
    seconds: float = 0.0


class Question:
    """A command, and in time its answer or the reason why there is none.

    `within` is how long the command may take, in seconds, where that isn't what its shell grants to any. Whoever
    stops waiting before there is an answer calls `abandon`.
    """

    __slots__ = ("_outcome", "abandon", "command", "waiting", "within")

    def __init__(self, command: str, within: float | None = None) -> None:
        self.command = command
        self.within = within
        self.abandon: Callable[[], object] = lambda: None
        self.waiting: list[greenlet.greenlet] = []
        self._outcome: Answer | CouldNotLook | None = None

    @property
    def is_settled(self) -> bool:
        return self._outcome is not None

    def settle(self, outcome: Answer | CouldNotLook) -> None:
        self._outcome = outcome

    @property
    def answer(self) -> Answer:
        """Raises CouldNotLook where there is none."""
        match self._outcome:
            case Answer() as answer:
                return answer
            case CouldNotLook(reason=reason, cause=cause, mend=mend):
                raise CouldNotLook(reason, cause=cause, mend=mend)  # each asker's own, with its own traceback
            case _:
                raise RuntimeError(f"nobody has waited for the answer to `{self.command}`")
