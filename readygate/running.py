"""`readygate run`, `report` and `merge`: from an inventory, or from stored runs, to the written answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path
from shutil import get_terminal_size
from time import monotonic, sleep

import pytest

from readygate.afterwards import follow_up, keep
from readygate.errors import ExitCode, ReadygateError, UsageError
from readygate.grounds import Grounds
from readygate.inventory import Inventory, load
from readygate.load.intent import HELD_BACK, ONCE
from readygate.merging import Shard, merged
from readygate.policy import Policy
from readygate.redaction import REDACTOR
from readygate.reporting.annotations import render_annotations
from readygate.reporting.badge import render_badge
from readygate.reporting.codequality import render_codequality
from readygate.reporting.html import render_html
from readygate.reporting.intoto import render_intoto
from readygate.reporting.junit import render_junit
from readygate.reporting.load_page import bring_outcomes, load_outcomes
from readygate.reporting.markdown import render_markdown
from readygate.reporting.prometheus import render_prometheus
from readygate.reporting.terminal import render_terminal
from readygate.results import Outcome, Run, State
from readygate.session import Session
from readygate.store import Store, hold, unwritable, write_atomically
from readygate.store import load as load_run
from readygate.units import show_duration
from readygate.verdict import Verdict
from readygate.witness import EndedEarly

LONGEST_PAUSE = 15.0  # seconds between two looks of a run that waits
TREND = 12  # earlier runs that the page draws trends from
CHECK_LIMIT = 120  # seconds that one check may take, unless pytest's configuration says otherwise

_CONFIGURATIONS = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


@dataclass(frozen=True, slots=True)
class Judged:
    """A run, its verdict, and what that rests on."""

    run: Run
    verdict: Verdict
    grounds: Grounds

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.INTERRUPTED if self.run.state is State.INTERRUPTED else self.verdict.exit_code


def run(
    path: Path,
    environment: str | None,
    profile: str,
    out: Path,
    *,
    extra: Sequence[str] = (),
    cache: bool = True,
    shard: str | None = None,
    wait_s: float = 0.0,
    loaded: Inventory | None = None,
) -> int:
    """Look at everything that the inventory declares, write the outputs, return the exit code.

    Without a GO it looks again, for `wait_s`, each time with the inventory loaded anew unless it was `loaded` for the
    only look. Load is sent once, in a last look after one in which all else was so. Of a shard nothing is kept or
    told: that is for the merged run.
    `cache` False leaves nothing in the inventory's folder. Raises UsageError before anything is looked at.
    """
    deadline, pause_s = 0.0, 1.0
    look = partial(_look, path, environment, profile, out, extra, cache, shard, None if wait_s else loaded)
    if wait_s:
        _ready(path, environment, profile)  # here too, so that mistakes end it and secrets are known
        os.environ[HELD_BACK] = "1"
        hold(out)
    while True:
        judged = _afresh(look) if wait_s else look()
        if judged is None:
            return ExitCode.USAGE
        deadline = deadline or monotonic() + wait_s  # what the first look takes is not waiting
        left_s = deadline - monotonic()
        if HELD_BACK in os.environ and _only_waits_for_load(judged):
            del os.environ[HELD_BACK]
            continue
        if judged.exit_code in (ExitCode.GO, ExitCode.INTERRUPTED) or HELD_BACK not in os.environ:
            break
        if left_s <= 0:
            break
        print(f"looking again, for {show_duration(round(left_s) or 1)} more", flush=True)  # noqa: T201
        sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 2, LONGEST_PAUSE)
    os.environ.pop(HELD_BACK, None)
    _conclude(judged, out.absolute(), path.resolve().parent, is_kept=cache)
    return judged.exit_code


def watch(
    path: Path,
    environment: str | None,
    profile: str,
    out: Path,
    *,
    lasting_s: float,
    every_s: float,
    tolerate: int,
) -> int:
    """Look again and again for `lasting_s`, as after a switch of traffic; returns the exit code.

    It ends at once where more than `tolerate` looks were no GO. Fewer are forgiven, if the last one is a GO.
    Load is sent in the first look alone, and what it showed holds for all.
    """
    look = partial(_quiet_look, path, environment, profile, out)
    _ready(path, environment, profile)
    hold(out)
    os.environ[ONCE] = f"{os.getpid()} {datetime.now(UTC).isoformat()}"
    ends_at, looks, bad = monotonic() + lasting_s, 0, 0
    while True:
        begun = monotonic()
        judged = _afresh(look)
        if judged is None:
            return ExitCode.USAGE
        looks, bad = looks + 1, bad + (judged.exit_code is not ExitCode.GO)
        left_s = max(0.0, ends_at - monotonic())
        line = f"look {looks}: {judged.verdict.word}; {bad} of {looks} no GO, {tolerate} tolerated; "
        line += f"{show_duration(round(left_s))} left"
        print(f"\r{line}\x1b[K" if sys.stdout.isatty() else line, end="" if sys.stdout.isatty() else "\n", flush=True)  # noqa: T201
        pause_s = begun + every_s - monotonic()
        if bad > tolerate or judged.exit_code is ExitCode.INTERRUPTED or left_s <= max(0.0, pause_s):
            break
        sleep(max(0.0, pause_s))
    del os.environ[ONCE]
    print()  # noqa: T201
    _print(judged.run, judged.verdict)
    _conclude(judged, out.absolute(), path.resolve().parent, is_kept=True)
    return judged.exit_code


def _only_waits_for_load(judged: Judged) -> bool:
    """Whether load was held back, be it excused by a waiver, and all else is so."""
    is_held = any(each.cause == HELD_BACK for each in judged.verdict.results)
    unseen = [each for each in judged.verdict.results if each.outcome in (Outcome.ERROR, Outcome.NOT_RUN)]
    may_be_go = judged.exit_code in (ExitCode.GO, ExitCode.INCOMPLETE) and not judged.run.problems
    return is_held and may_be_go and all(each.cause == HELD_BACK for each in unseen)


def _quiet_look(path: Path, environment: str | None, profile: str, out: Path) -> Judged | None:
    """A look in a process of its own that says nothing; a line of ours tells how it goes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _look(path, environment, profile, out, (), True, None)


def _ready(path: Path, environment: str | None, profile: str) -> tuple[Inventory, Grounds]:
    """What is to be looked at, and on what it will be judged. Raises UsageError where either can't be used."""
    inventory = load(path, environment, os.environ)
    return inventory, _grounds(inventory.root, profile)


def _afresh(look: Callable[[], Judged | None]) -> Judged | None:
    """Look in a process of its own: this one would remember answers, and hosts that were down."""
    with ProcessPoolExecutor(1, get_context("fork")) as process:
        looking = process.submit(look)
        try:
            return looking.result()
        except BrokenProcessPool:
            raise EndedEarly from None
        except KeyboardInterrupt:
            for child in active_children():  # which hears of it from a terminal only
                child.terminate()
            return looking.result()


def _look(
    path: Path,
    environment: str | None,
    profile: str,
    out: Path,
    extra: Sequence[str],
    cache: bool,
    shard: str | None,
    loaded: Inventory | None = None,
) -> Judged | None:
    """Look once and judge; None where pytest has said already why it can't."""
    inventory, grounds = (loaded, _grounds(loaded.root, profile)) if loaded else _ready(path, environment, profile)
    policy = Policy(inventory.root)
    part = None if shard is None else Shard.parse(shard)
    suites = policy.suites_for({leaf.check for leaf in inventory.leaves}) or policy.suites()
    session = Session(inventory, grounds, out.absolute(), shard=part)
    config = next((inventory.root / name for name in _CONFIGURATIONS if (inventory.root / name).is_file()), None)
    status = pytest.main(
        [
            *(str(suite) for suite in suites),
            f"--rootdir={inventory.root}",
            f"--inventory={path.absolute()}",
            f"--results={session.out}",
            f"--profile={profile}",
            *([f"--env={environment}"] if environment else []),
            *([f"--shard={part}"] if part else []),
            f"--config-file={config or os.devnull}",
            f"--timeout={CHECK_LIMIT}",
            *("-p", "no:locust"),
            *([] if cache else ["-p", "no:cacheprovider"]),
            *("-q", "--no-header", "--no-summary", "--tb=no", "--show-capture=no"),
            *("--import-mode=importlib", "--continue-on-collection-errors"),
            *extra,
            # Testinfra's, by our own import; the last one counts.
            "-Wignore:Module already imported:pytest.PytestAssertRewriteWarning",
        ],
        plugins=[session],
    )
    if session.run is None or session.verdict is None:
        if status == pytest.ExitCode.USAGE_ERROR:
            return None
        if status == pytest.ExitCode.INTERNAL_ERROR:
            raise ReadygateError("pytest ended with an internal error before there was anything to judge")
        raise UsageError(
            "pytest ran nothing, so nothing was judged; leave out what ends it early, such as --collect-only"
        )
    return Judged(session.run, session.verdict, grounds)


def redraw(results: Path, root: Path, profile: str | None, language: str) -> int:
    """Judge a stored run again and draw its outputs beside it; returns the exit code of the verdict."""
    stored = load_run(results)
    _learn_secrets(root, stored)
    grounds = _grounds(root, profile or stored.profile)
    verdict = grounds.judge(stored, datetime.now(UTC))
    out = results if results.is_dir() else results.parent
    hold(out)
    _write(stored, verdict, grounds, out, root.resolve(), language)
    _print(stored, verdict)
    print(f"report: {_shown(out / 'report.html')}")  # noqa: T201
    return verdict.exit_code


def merge(results: Sequence[Path], root: Path, profile: str | None, out: Path) -> int:
    """Judge several stored runs as one, as if it had been run here; returns the exit code of the verdict."""
    runs = [load_run(each) for each in results]
    _learn_secrets(root, runs[0])
    grounds = _grounds(root, profile or runs[0].profile)
    now = datetime.now(UTC)
    run = merged(runs, oldest_s=grounds.profile.valid_for, now=now)
    verdict = grounds.judge(run, now)
    store = Store(out.absolute())
    store.begin(run)
    bring_outcomes(results, out)
    store.finish(run, verdict)
    _print(run, verdict)
    _conclude(Judged(run, verdict, grounds), out.absolute(), root.resolve(), is_kept=True)
    return verdict.exit_code


def _learn_secrets(root: Path, run: Run) -> None:
    """What is stored has none, but waivers and hooks may; the ones that are unknown here can't be printed here."""
    with suppress(ReadygateError):
        load(root / "inventory.yml", run.subject.environment or None, os.environ)


def _grounds(root: Path, profile: str) -> Grounds:
    return Grounds.of(root.resolve(), Policy(root.resolve()).profile(profile), datetime.now(UTC))


def _conclude(judged: Judged, out: Path, root: Path, *, is_kept: bool) -> None:
    """Draw the outputs; then, for a whole run that came to its end, do what the profile asks for, and keep it."""
    run, verdict, grounds = judged.run, judged.verdict, judged.grounds
    _write(run, verdict, grounds, out, root, "en")
    deeds = []
    if run.state is State.FINISHED and not run.shard:
        before = grounds.history.last(run) if grounds.profile.notify else None
        deeds = follow_up(run, verdict, grounds.profile, out, root, before)
    if is_kept and not run.shard:
        deeds += keep(run, verdict, grounds)
    for deed in deeds:
        print(REDACTOR.redact(str(deed)))  # noqa: T201
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print((out / "annotations.txt").read_text(encoding="utf-8"), end="")  # noqa: T201
    print(f"report: {_shown(out / 'report.html')}")  # noqa: T201


def _print(run: Run, verdict: Verdict) -> None:
    is_terminal = sys.stdout.isatty()
    width = min(get_terminal_size().columns, 100) if is_terminal else 80
    colour = is_terminal and not os.environ.get("NO_COLOR")  # no-color.org
    text = render_terminal(run, verdict, width=width, colour=colour)
    print(REDACTOR.redact(text))  # noqa: T201


def _write(run: Run, verdict: Verdict, grounds: Grounds, out: Path, root: Path, language: str) -> None:
    page = render_html(
        run,
        verdict,
        now=datetime.now(UTC),
        language=language,
        template_dirs=Policy(root).template_folders(),
        question=grounds.profile.question,
        previous=grounds.previous(run),
        earlier=grounds.history.latest(run, TREND),
        loads=load_outcomes(run, out),
        valid_until=_valid_until(run, grounds.profile.valid_for),
    )
    outputs = {
        "report.html": page,
        "junit.xml": render_junit(run, verdict),
        "summary.md": render_markdown(run, verdict),
        "annotations.txt": render_annotations(run, verdict),
        "readygate.prom": render_prometheus(run, verdict),
        "badge.svg": render_badge(run, verdict),
        "in-toto.json": render_intoto(run, verdict),
        "codequality.json": render_codequality(run, verdict),
    }
    for name, text in outputs.items():
        if text is not None:
            try:
                write_atomically(out / name, REDACTOR.redact(text))
            except (PermissionError, IsADirectoryError) as error:
                raise unwritable(out / name, error) from None


def _valid_until(run: Run, valid_for_s: float) -> datetime | None:
    return datetime.fromisoformat(run.finished_at) + timedelta(seconds=valid_for_s) if run.finished_at else None


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
