"""The gate inside a pytest session: binds tests to the inventory, records what they saw, says the verdict."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from readygate.accounting import DESELECTED, NO_SUITE, NOT_REACHED, account, asked
from readygate.areas import FACTS, SECTIONS
from readygate.binding import Check, leaves_of, read_docstring, read_mark
from readygate.errors import CouldNotLook, UsageError
from readygate.facts import Facts
from readygate.hosts import Hosts
from readygate.inventory import Inventory, load
from readygate.lifecycle import brought_up
from readygate.policy import Policy
from readygate.profile import Profile
from readygate.recording import Recording, recorded, redact_report, result_of
from readygate.redaction import REDACTOR, redacting_stream
from readygate.results import Result, Run, State
from readygate.spec import Leaf, Severity, nouns
from readygate.store import Store, decode, encode
from readygate.subject import describe
from readygate.verdict import Verdict, decide

BOUND = pytest.StashKey["Bound"]()
_UNDECLARED = object()


@dataclass(frozen=True, slots=True)
class Bound:
    """What one test item answers for; `leaf` is None for a test that carries no check mark."""

    check: Check
    leaf: Leaf | None
    target: str


@dataclass(slots=True, eq=False)
class Session:
    """What a caller that has loaded everything hands to pytest.main, and where it finds the gate afterwards."""

    inventory: Inventory
    profile: Profile
    out: Path
    asks_for_all: bool = True
    gate: Gate | None = None


def engage(config: pytest.Config, path: Path) -> None:
    """Make this session a gate. Raises pytest.UsageError where the inventory can't be used."""
    plugins = config.pluginmanager.get_plugins()
    session = next((each for each in plugins if isinstance(each, Session)), None) or _session(config, path)
    gate = session.gate = Gate(config, session)
    config.pluginmanager.register(gate, "readygate-gate")
    config.pluginmanager.register(_fixtures(gate), "readygate-fixtures")


def _session(config: pytest.Config, path: Path) -> Session:
    try:
        inventory = load(path, config.getoption("env"), os.environ)
        profile = Policy(inventory.root).profile(config.getoption("profile") or "release")
    except UsageError as error:
        raise pytest.UsageError(REDACTOR.redact(str(error))) from None
    out = config.getoption("results") or inventory.root / "readygate-out"
    return Session(inventory, profile, Path(out), asks_for_all=False)


class Gate:
    """One session's hooks. In an xdist worker it binds and records; elsewhere it also judges."""

    def __init__(self, config: pytest.Config, session: Session) -> None:
        self.config = config
        self.inventory = session.inventory
        self.profile = session.profile
        self.asks_for_all = session.asks_for_all
        self.store = Store(session.out)
        self.leaves, self.not_asked = asked(self.inventory.leaves, self.profile)
        self.hosts = Hosts(self.inventory, config)
        self.facts = Facts(FACTS, self.hosts.of)
        self.is_worker = hasattr(config, "workerinput")
        self.started = datetime.now(UTC)
        self.seen: list[Result] = []
        self.reasons: dict[str, str] = {}
        self.bound: dict[str, list[Check]] = {}
        self.mistakes: list[str] = []
        self.problems: list[str] = []
        self.verdict: Verdict | None = None
        self.run: Run | None = None
        self._cleanup = ExitStack()
        self._cleanup.enter_context(_exported(self.inventory.variables))
        self._checks: dict[Any, Check] = {}

    # Collecting: which test answers for which leaf.

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
        leaves = leaves_of(check, self.leaves, self.inventory)
        ids = [leaf.target for leaf in leaves]
        if not leaves:
            # Nothing of this kind is declared, so there is nothing to run, and nothing to say about it.
            metafunc.parametrize("_leaf", [_UNDECLARED], ids=["undeclared"], indirect=True)
        elif wants_host:
            pairs = [(leaf, self.hosts.name_for(leaf)) for leaf in leaves]
            metafunc.parametrize("_leaf,_readygate_host", pairs, ids=ids, indirect=True, scope="module")
        else:
            metafunc.parametrize("_leaf", leaves, ids=ids, indirect=True)

    def _check(self, definition: pytest.Function, mark: pytest.Mark) -> Check:
        function = definition.obj
        if function not in self._checks:
            self._checks[function] = read_mark(mark, function, self._suite(definition))
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
                self.reasons[bound.leaf.dotted] = NOT_REACHED
                self.bound.setdefault(bound.leaf.dotted, []).append(bound.check)

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
            bound = item.stash.get(BOUND, None)
            if bound and bound.leaf:
                self.reasons[bound.leaf.dotted] = DESELECTED

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.is_worker:
            said = str(report.longrepr).strip().splitlines()
            self.problems.append(f"{report.nodeid} can't be collected: {said[-1] if said else 'unknown error'}")

    # Running: bring the environment up, and record each test.

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self.is_worker or self.config.option.collectonly:
            return None
        self.store.begin(self._run(State.RUNNING, account(self.leaves, (), self.reasons, NOT_REACHED)))
        try:
            self._cleanup.enter_context(
                brought_up(self.inventory.lifecycle, self.inventory.root, self.inventory.variables)
            )
        except CouldNotLook as error:
            self.problems.append(error.reason)
            return True
        return None

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
        if recording is not None and (report.when == "call" or not report.passed):
            result = result_of(item.stash[BOUND], recording, report, call)
            report.readygate = encode(result)  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.is_worker:
            return
        data = getattr(report, "readygate", None)
        if data is not None:
            result = decode(data)
            self.seen.append(result)
            self.store.append(result)

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        from readygate.expectation import Expectation, explain

        return [explain(right, left)] if op == "in" and isinstance(right, Expectation) else None

    # Ending: account for every line, judge, say so.

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self._cleanup.close()
        if self.is_worker or self.config.option.collectonly or exitstatus == pytest.ExitCode.USAGE_ERROR:
            return
        if exitstatus == pytest.ExitCode.INTERNAL_ERROR:
            self.problems.append("pytest ended with an internal error")
        state = State.INTERRUPTED if self._was_interrupted(session, exitstatus) else State.FINISHED
        results = account(self.leaves, self.seen, self.reasons, self._otherwise(session))
        self.run = self._run(state, results)
        self.verdict = decide(self.run, self.profile, now=datetime.now(UTC))
        self.store.finish(self.run, self.verdict)
        if not self.config.getoption("desk") and exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.TESTS_FAILED,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = int(self.verdict.exit_code)

    def _otherwise(self, session: pytest.Session) -> str:
        """Why a leaf was not run that no collected test answers for."""
        if not self.reasons:
            return NOT_REACHED
        suites = (self.inventory.root / "suites").resolve()
        asked = [
            Path(session.config.invocation_params.dir, each.split("::")[0]).resolve() for each in session.config.args
        ]
        return DESELECTED if not self.asks_for_all and any(suites in each.parents for each in asked) else NO_SUITE

    def _was_interrupted(self, session: pytest.Session, exitstatus: int) -> bool:
        return exitstatus == pytest.ExitCode.INTERRUPTED and not self.problems

    def _run(self, state: State, results: tuple[Result, ...]) -> Run:
        return describe(
            self.inventory, self.profile, state, results, tuple(self.problems), self.not_asked, self.started
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.run is None or self.verdict is None:
            return
        from readygate.reporting.terminal import render_terminal

        writer = terminalreporter._tw
        terminalreporter.section("readiness")
        terminalreporter.write_line(
            REDACTOR.redact(render_terminal(self.run, self.verdict, width=writer.fullwidth, colour=writer.hasmarkup))
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = redacting_stream(reporter._tw._file, REDACTOR)

    def pytest_unconfigure(self) -> None:
        self._cleanup.close()


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


def _param(item: pytest.Item, name: str) -> Any:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(name) if callspec else None


def _fixtures(gate: Gate) -> object:
    """A plugin with one fixture a noun and a fact, so that suites name what they need and nothing else."""
    fixtures: dict[str, Any] = {}

    def provide(name: str) -> None:
        def fixture(self: object, request: pytest.FixtureRequest, _leaf: Leaf | None) -> Any:
            if _leaf is None:
                raise UsageError(f"'{name}' is only known to a test with a check mark")
            fact = gate.facts.get(name, _leaf)
            request.node.stash[Recording.KEY].used(fact)
            return fact

        fixtures[name] = pytest.fixture(name=name)(fixture)

    for name in {*FACTS, "expected", "key", *(noun for spec in SECTIONS.values() for noun in nouns(spec))}:
        provide(name)

    class Fixtures:
        @pytest.fixture
        def _leaf(self, request: pytest.FixtureRequest) -> Leaf | None:
            return getattr(request, "param", None)

        @pytest.fixture(autouse=True)
        def _bound(self, _leaf: Leaf | None) -> None:
            """Makes every test parametrizable by leaf, also one that names no noun."""

        @pytest.fixture(scope="module")
        def _readygate_host(self, request: pytest.FixtureRequest) -> Any:
            return gate.hosts.open(request.param)

        @pytest.fixture(scope="module")
        def host(self, _readygate_host: Any) -> Any:
            """The Testinfra host of the server that the test is about."""
            return _readygate_host

        @pytest.fixture(scope="session")
        def inventory(self) -> Inventory:
            """The whole inventory, for suites of the user's own."""
            return gate.inventory

    return type("Fixtures", (Fixtures,), fixtures)()
