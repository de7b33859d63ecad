"""The gate inside a pytest session: binds tests to the inventory, records what they saw, says the verdict."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from readygate.accounting import ANOTHER_SHARD, DESELECTED, NO_SUITE, NOT_REACHED, account, asked
from readygate.announcing import announced_to
from readygate.areas import ahead_of, facts_of
from readygate.binding import Bound, Check, leaves_of, read_docstring, read_mark
from readygate.drills import records
from readygate.errors import CouldNotLook, UsageError
from readygate.facts import Facts
from readygate.fixtures import fixtures_of
from readygate.hosts import Hosts
from readygate.lifecycle import brought_up
from readygate.merging import entry_of
from readygate.policy import Policy
from readygate.recording import Recording, recorded, redact_report, result_of, result_without_a_run
from readygate.redaction import REDACTOR, redacting_stream
from readygate.rehearsal import ProgressLine, rehearse
from readygate.results import Outcome, Result, Run, State
from readygate.session import Session
from readygate.signals import ending_alike
from readygate.spec import Leaf, Severity
from readygate.store import Store, decode, encode
from readygate.subject import describe

BOUND = pytest.StashKey["Bound"]()
SHORTEST_TIMEOUT = 1.0  # seconds; a shorter one rings while pytest itself is at work, and breaks it
_TOLD = "readygate"  # what a worker of xdist tells at its end
_UNDECLARED = object()
_UNCOLLECTED = ("lf", "ignore", "ignore_glob")


def engage(config: pytest.Config, session: Session) -> None:
    """Make this pytest session a gate. Raises pytest.UsageError where Python leaves asserts out."""
    if not __debug__:
        raise pytest.UsageError(
            "Python was told to leave out asserts, and with these suites nothing could fail; "
            "unset PYTHONOPTIMIZE, and leave out -O"
        )
    if 0 < (config.getoption("timeout", None) or 0) < SHORTEST_TIMEOUT:
        raise pytest.UsageError(f"--timeout: no check is known to hang in less than {SHORTEST_TIMEOUT:g} s")
    gc.unfreeze()  # an earlier session in this process is over
    if not hasattr(config, "workerinput"):
        ending = ExitStack()
        ending.enter_context(ending_alike())  # under plain `pytest`, too, SIGTERM leaves what was seen until then
        config.add_cleanup(ending.close)
    gate = Gate(config, session)
    config.pluginmanager.register(gate, "readygate-gate")
    config.pluginmanager.register(fixtures_of(gate.inventory, gate.facts, gate.hosts), "readygate-fixtures")


class Gate:
    """One session's hooks. In an xdist worker it binds and records; elsewhere it also judges."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self.config = config
        self.session = session
        self.inventory = session.inventory
        self.grounds = session.grounds
        self.shard = session.shard
        self.asks_for_all = session.asks_for_all
        self.store = Store(session.out)
        self.leaves, self.not_asked = asked(self.inventory.leaves, self.grounds.profile)
        self._entries = self.shard.entries(self.leaves) if self.shard else None
        self.hosts = Hosts(self.inventory, config)
        self.facts = Facts(facts_of(self.inventory.sections), self.hosts.of)
        self.is_worker = hasattr(config, "workerinput")
        self.started = datetime.now(UTC)
        self.seen: list[dict[str, Any]] = []  # encoded, as workers send them
        self.reasons: dict[str, str] = {}  # why a leaf was not run, by its path
        self.unrun: dict[str, Result] = {}  # what tests end in that nothing else would miss, by their node ids
        self.ran: set[str] = set()  # node ids
        self.mistakes: list[str] = []
        self.problems: list[str] = []
        self.interrupted = False
        self._cleanup = ExitStack()
        self._cleanup.callback(self.store.close)
        self._cleanup.enter_context(_exported({**self.inventory.variables, "READYGATE_OUT": str(session.out)}))
        self._checks: dict[Any, Check] = {}
        # Who hands a session over has chosen its suites already.
        self._idle = set() if self.asks_for_all else self._suites_without_a_leaf()
        here = config.invocation_params.dir
        self._asked = {Path(here, each.split("::")[0]).resolve() for each in config.args}
        records.keep_in(session.out)

    # Collecting: which test answers for which leaf.

    def _suites_without_a_leaf(self) -> set[Path]:
        policy = Policy(self.inventory.root)
        return {*policy.suites()} - {*policy.suites_for({leaf.check for leaf in self.inventory.leaves})}

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Suites of ours that verify nothing declared are only read where they are named."""
        return True if collection_path in self._idle and collection_path not in self._asked else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        mark = metafunc.definition.get_closest_marker("check")
        wants_host = "_readygate_host" in metafunc.fixturenames
        if mark is None:
            if wants_host:
                names = self.hosts.for_plain_test(metafunc.module)
                metafunc.parametrize("_readygate_host", names, ids=names, indirect=True, scope="module")
            return
        try:
            check = self._check(metafunc.definition, mark)
        except UsageError as error:
            self.mistakes.append(str(error))  # raised here it would only cost this one file
            return
        if "_leaf" not in metafunc.fixturenames:  # the test names no noun, and is run for each leaf all the same
            metafunc.fixturenames.append("_leaf")
        leaves = [leaf for leaf in leaves_of(check, self.leaves, self.inventory) if self._is_ours(leaf)]
        ids = [leaf.target for leaf in leaves]
        if not leaves:
            # Nothing of this kind is declared, so there is nothing to run, and nothing to say about it.
            metafunc.parametrize("_leaf", [_UNDECLARED], ids=["undeclared"], indirect=True)
        elif wants_host:
            pairs = [(leaf, self.hosts.name_for(leaf)) for leaf in leaves]
            metafunc.parametrize("_leaf,_readygate_host", pairs, ids=ids, indirect=True, scope="module")
        else:
            metafunc.parametrize("_leaf", leaves, ids=ids, indirect=True)

    def _is_ours(self, leaf: Leaf) -> bool:
        return self._entries is None or entry_of(leaf) in self._entries

    def _check(self, definition: pytest.Function, mark: pytest.Mark) -> Check:
        function = definition.obj
        if function not in self._checks:
            self._checks[function] = read_mark(mark, function, self._suite(definition), self.inventory.sections)
        return self._checks[function]

    def _suite(self, item: pytest.Item) -> str:
        path, line, _ = item.location
        return f"{path}:{(line or 0) + 1}"

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.mistakes:
            raise pytest.UsageError("\n".join(self.mistakes))
        items[:] = [item for item in items if _param(item, "_leaf") is not _UNDECLARED]
        for item in items:
            bound = self._bind(item)
            item.stash[BOUND] = bound
            if bound.leaf is not None:
                self.session.bound.setdefault(bound.leaf.dotted, []).append(bound.check)
        for item in items:
            self._leave_out(item, NOT_REACHED)
        self.reasons |= {leaf.dotted: ANOTHER_SHARD for leaf in self.leaves if not self._is_ours(leaf)}

    def _bind(self, item: pytest.Item) -> Bound:
        leaf = _param(item, "_leaf")
        mark = item.get_closest_marker("check")
        if isinstance(leaf, Leaf) and mark is not None and isinstance(item, pytest.Function):
            return Bound(self._check(item, mark), leaf, leaf.target)
        area = item.path.stem.removeprefix("test_")
        name = getattr(item, "originalname", item.name).removeprefix("test_")
        why, mend = read_docstring(getattr(item, "obj", type(item)))
        parameters = item.nodeid.partition("[")[2].removesuffix("]")
        check = Check(f"{area}.{name}", Severity.MAJOR, why, mend, None, self._suite(item))
        return Bound(check, None, parameters or self.inventory.project)

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            if BOUND in item.stash:
                self._leave_out(item, DESELECTED)

    def _leave_out(self, item: pytest.Item, reason: str) -> None:
        """A line is missed where none of its tests ran; that one of several did says nothing of the others."""
        bound = item.stash[BOUND]
        if bound.leaf is not None:
            self.reasons[bound.leaf.dotted] = reason
        if bound.leaf is None or len(self.session.bound[bound.leaf.dotted]) > 1:
            self.unrun[item.nodeid] = result_without_a_run(bound, reason)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        said = str(report.longrepr or "unknown error").strip().splitlines()[-1]
        if report.failed:
            self._note(f"{report.nodeid} can't be collected: {said}")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else said
            self._note(f"{report.nodeid} was left out as a whole: {reason}")

    def _note(self, problem: str) -> None:
        if problem not in self.problems:  # each worker meets the same ones
            self.problems.append(problem)

    # Running: bring the environment up, and record each test.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        gc.freeze()  # what was imported and collected stays to the end; to look it over again and again takes a tenth
        if self.is_worker or self.config.option.collectonly:
            return None
        try:
            self.store.begin(self._run(State.RUNNING, account(self.leaves, (), self.reasons, NOT_REACHED)))
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        try:
            self._cleanup.enter_context(
                brought_up(self.inventory.lifecycle, self.inventory.root, self.inventory.variables)
            )
        except CouldNotLook as error:
            self.problems.append(f"{error.reason}; {error.mend}" if error.mend else error.reason)
            return True
        if self.config.getoption("ahead") and not self.config.getoption("usepdb"):
            self._rehearse(session)
        return None

    def _rehearse(self, session: pytest.Session) -> None:
        writer = self.config.get_terminal_writer()
        progress = ProgressLine(lambda text: writer.write(text, flush=True), is_terminal=writer.hasmarkup)
        # With xdist only its workers have items, and which of them will run what isn't known beforehand.
        ahead = ahead_of(self.inventory.sections)
        rehearse(getattr(session, "items", ()), self.facts, ahead, self.hosts, progress)
        progress.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        with recorded(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        redact_report(report)
        recording = item.stash.get(Recording.KEY, None)
        if recording is not None and (report.when == "call" or call.excinfo or not report.passed):
            result = result_of(item.stash[BOUND], recording, report, call)
            report.readygate = encode(result)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.is_worker:
            return
        data = getattr(report, "readygate", None)
        if data is not None:
            self.ran.add(report.nodeid)
            self.seen.append(data)
            self.store.append(data)

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        from readygate.expectation import Expectation, explain

        return [explain(right, left)] if op == "in" and isinstance(right, Expectation) else None

    # Ending: account for every line, judge, say so.

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker of xdist knew of the tests that were not run; only workers collect."""
        told = getattr(node, "workeroutput", {}).get(_TOLD)
        if told:
            self.reasons |= told["reasons"]
            self.unrun |= {node: decode(result) for node, result in told["unrun"].items()}
            for problem in told["problems"]:
                self._note(problem)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # Pytest also stops itself in this way, such as for errors of collection: those are problems of their own.
        self.interrupted = not isinstance(excinfo.value, pytest.Session.Interrupted)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._cleanup.close()
        if self.is_worker:
            unrun = {node: encode(result) for node, result in self.unrun.items()}
            told = {"reasons": self.reasons, "unrun": unrun, "problems": self.problems}
            self.config.workeroutput[_TOLD] = told  # type: ignore[attr-defined]
            return
        if self.config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            self.problems.append("pytest ended with an internal error")
        state = State.INTERRUPTED if self.interrupted else State.FINISHED
        seen = [decode(each) for each in self.seen]
        missed = [result for node, result in self.unrun.items() if node not in self.ran]
        results = account(self.leaves, seen, self.reasons, self._otherwise(), missed)
        run = self._run(state, results)
        verdict = self.grounds.judge(run, datetime.now(UTC))
        self.session.run, self.session.verdict = run, verdict
        self.store.finish(run, verdict)
        if not self.config.getoption("desk") and exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = int(verdict.exit_code)

    def _otherwise(self) -> str:
        """Why a leaf was not run that no collected test answers for."""
        if not self.reasons:
            return NOT_REACHED
        suites = (self.inventory.root / "suites").resolve()
        is_narrowed = not self.asks_for_all and any(suites in each.parents for each in self._asked)
        # Of what these leave out pytest says nothing, as it is never collected.
        is_narrowed = is_narrowed or any(self.config.getoption(each, None) for each in _UNCOLLECTED)
        return DESELECTED if is_narrowed else NO_SUITE

    def _run(self, state: State, results: tuple[Result, ...]) -> Run:
        profile, problems = self.grounds.profile, tuple(map(REDACTOR.redact, self.problems))
        results = tuple(_as_stored(each) for each in results)
        run = describe(self.inventory, profile, state, results, problems, self.not_asked, self.started)
        return replace(run, shard=str(self.shard or ""))

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run, verdict = self.session.run, self.session.verdict
        if run is None or verdict is None:
            return
        from readygate.reporting.terminal import render_terminal

        writer = terminalreporter._tw
        terminalreporter.section("readiness")
        terminalreporter.write_line(
            REDACTOR.redact(render_terminal(run, verdict, width=writer.fullwidth, colour=writer.hasmarkup))
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = redacting_stream(reporter._tw._file, REDACTOR)
            if not self.is_worker:
                self._cleanup.enter_context(announced_to(lambda line: _write(reporter, line)))
        if self.config.getoption("capture") == "no" and not sys.stdout.isatty():  # at a terminal, a debugger may be
            for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
                redacted = self._cleanup.enter_context(redacting_stream(stream, REDACTOR))
                self._cleanup.enter_context(redirect(redacted))

    def pytest_unconfigure(self) -> None:
        self._cleanup.close()


def _as_stored(result: Result) -> Result:
    """Without secrets also where no test ran, and so nothing has taken them out yet."""
    return decode(encode(result)) if result.outcome is Outcome.NOT_RUN else result


@contextmanager
def _exported(variables: Mapping[str, str]) -> Iterator[None]:
    """Set in the environment for as long as the session lasts, so that xdist's workers agree on them."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _write(reporter: Any, line: str) -> None:
    reporter.ensure_newline()  # after the dots of the tests so far
    reporter.write_line(line)


def _param(item: pytest.Item, name: str) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None
