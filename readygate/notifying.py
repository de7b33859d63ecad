"""Tells people through Apprise when the answer changes: once per change, and never with an influence on it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any

from readygate.errors import Mistake
from readygate.history import Kept
from readygate.profile import Notice, Profile
from readygate.redaction import REDACTOR
from readygate.reporting.visible import cut, one_line
from readygate.results import Outcome, Run
from readygate.verdict import Verdict, Word

_MOST_REASONS = 5
_LONGEST = 200
_LIMIT_S = 60  # for one notice
_FORK = get_context("fork")

_LEVELS = {Word.GO: "success", Word.GO_WITH_WAIVERS: "warning", Word.NO_GO: "failure", Word.INCOMPLETE: "warning"}


def notify(run: Run, verdict: Verdict, profile: Profile, before: Kept | None) -> Iterator[tuple[str, bool, str]]:
    """For each notice: which one, whether it was delivered, how that went; `before` is the run before this one."""
    is_change = before is None or _gist_of(verdict) != _gist_before(before)
    for notice in profile.notify:
        if is_change or notice.on == "every run":
            yield (f"notify {notice.to}", *_sent(notice, run, verdict))


def message(run: Run, verdict: Verdict) -> tuple[str, str]:
    """The title and the text, redacted."""
    subject = run.subject
    what = " ".join(part for part in (subject.project, subject.version, subject.environment) if part)
    lines = [one_line(verdict.sentence), *(f"looked for elsewhere: {each}" for each in subject.pointed)]
    for reason in verdict.reasons[:_MOST_REASONS]:
        owner = f" ({cut(one_line(reason.worst.owner), _LONGEST)})" if reason.worst and reason.worst.owner else ""
        lines.append(f"- {cut(one_line(reason.title), _LONGEST)}{owner}")
    if len(verdict.reasons) > _MOST_REASONS:
        lines.append(f"and {len(verdict.reasons) - _MOST_REASONS} more")
    return REDACTOR.redact(one_line(f"{verdict.word}: {what}")), REDACTOR.redact("\n".join(lines))


def _sent(notice: Notice, run: Run, verdict: Verdict) -> tuple[bool, str]:
    url = os.environ.get(notice.to)
    if not url:
        return False, f"the environment variable {notice.to} is not set"
    try:
        REDACTOR.add(url, notice.to)
    except Mistake as mistake:
        return False, str(mistake)
    try:
        apprise: Any = importlib.import_module("apprise")
    except ImportError:
        return False, "Apprise is not installed; pip install 'readygate[notify]'"
    sender = apprise.Apprise()
    if not sender.add(url):
        return False, "Apprise does not know such a URL"
    title, body = message(run, verdict)
    said: SimpleQueue[tuple[bool, str]] = _FORK.SimpleQueue()
    sending = _FORK.Process(target=_send, args=(sender, title, body, _LEVELS[verdict.word], said), daemon=True)
    sending.start()
    sending.join(_LIMIT_S)
    if sending.is_alive():
        sending.kill()
        return False, f"no answer from there in {_LIMIT_S}s"
    return said.get() if not said.empty() else (False, "sending it ended in a crash")


def _send(sender: Any, title: str, body: str, level: str, said: SimpleQueue[tuple[bool, str]]) -> None:
    """In a process of its own, since a messenger that hangs can't be ended otherwise."""
    try:
        delivered = sender.notify(title=title, body=body, notify_type=level)
        said.put((True, "delivered") if delivered else (False, "it was not accepted there"))
    except Exception as error:  # noqa: BLE001 - whatever a messenger does, the verdict stands
        said.put((False, f"{type(error).__name__}: {error}"))


def _gist_of(verdict: Verdict) -> tuple[str, frozenset[str]]:
    """The word and what is open: what somebody who was told would want to be told of again."""
    open_now = (each.id for each in verdict.results if each.outcome in (Outcome.FAILED, Outcome.ERROR))
    return verdict.word.value, frozenset(open_now)


def _gist_before(kept: Kept) -> tuple[str, frozenset[str]]:
    open_then = (each for each, outcome in kept.outcomes.items() if outcome in (Outcome.FAILED, Outcome.ERROR))
    return kept.word, frozenset(open_then)
