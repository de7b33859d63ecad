"""A workflow of GitHub Actions as GitHub reads its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from readygate.errors import CouldNotLook

FOLDER = ".github/workflows/"
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_LONGEST_JOB_MINUTES = 360  # what GitHub gives a job that says nothing


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the file has it; `shell` is the one in effect, None where the runner chooses."""

    run: str | None
    uses: str | None
    given: Mapping[str, Any]
    condition: str | None
    continues: str
    shell: str | None

    @property
    def action(self) -> str | None:
        """The action's name without its version."""
        return self.uses.partition("@")[0] if self.uses else None


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the file has it."""

    id: str
    needs: tuple[str, ...]
    condition: str | None
    continues: str
    steps: tuple[Step, ...]
    services: Mapping[str, Any]
    matrix: Mapping[str, Any]
    environment: str | None
    environment_url: str | None
    timeout_s: float | None
    permissions: Any
    uses: str | None
    runner: str
    concurrency: Any


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A whole file; `events` has by its name what each event is narrowed down to."""

    path: str
    name: str
    events: Mapping[str, Mapping[str, Any]]
    jobs: Mapping[str, Job]
    concurrency: Any
    text: str = field(repr=False)

    @property
    def schedules(self) -> tuple[str, ...]:
        entries = self.events.get("schedule", {}).get("", ())
        return tuple(str(each["cron"]) for each in entries if isinstance(each, dict) and "cron" in each)


@dataclass(frozen=True, slots=True)
class ActionFile:
    """An action of the repository's own; one that is no list of steps has none, or the image that it is."""

    steps: tuple[Step, ...]
    defaults: Mapping[str, Any]


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2: `on` is a word here, and 5432:5432 no time of day; a key that is there twice is refused, as there."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - the library's name

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(None, None, f"'{key}' is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), list(_first))


def read_workflow(path: str, text: str) -> WorkflowFile:
    """The workflow in a file. CouldNotLook: GitHub would not run it, as it can't be read."""
    tree = _tree(path, text)
    if not isinstance(tree, dict) or not isinstance(tree.get("jobs"), dict) or not (tree["jobs"] and tree.get("on")):
        raise _cannot(path, "a workflow has `on` and `jobs`")
    shell = _shell_of(tree)
    try:
        jobs = {str(name): _job(str(name), told, tree, shell) for name, told in tree["jobs"].items()}
        missing = {need for job in jobs.values() for need in job.needs} - set(jobs)
        if missing:
            raise _cannot(path, f"no job is called {', '.join(sorted(missing))}")
        return WorkflowFile(
            path, str(tree.get("name") or path), _events(tree["on"]), jobs, tree.get("concurrency"), text
        )
    except (AttributeError, TypeError, ValueError):
        raise _cannot(path, "its parts are not what GitHub wants there") from None


def read_action(path: str, text: str) -> ActionFile:
    """The action in a file. CouldNotLook: GitHub would not run it, as it can't be read."""
    tree = _tree(path, text)
    try:
        runs = tree["runs"]
        image = str(runs.get("image") or "")
        steps = [{"uses": image}] if image.startswith("docker://") else runs.get("steps") or ()
        inputs = {str(name): (told or {}).get("default") for name, told in (tree.get("inputs") or {}).items()}
        return ActionFile(tuple(_step(step, None) for step in steps), inputs)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _cannot(path, "its parts are not what GitHub wants there") from None


def _tree(path: str, text: str) -> Any:
    try:
        return yaml.load(text, _Yaml12)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise _cannot(path, f"{getattr(error, 'problem', None) or 'it is not YAML'}{line}") from None


def _cannot(path: str, reason: str) -> CouldNotLook:
    return CouldNotLook(
        f"GitHub would not run {path}: {reason}", cause=f"workflow:{path}", mend="mend it; `actionlint` tells more"
    )


def listed(value: Any) -> tuple[str, ...]:
    """One text or a list of them, as GitHub allows in many places."""
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def _events(told: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(told, dict):
        return {name: {} for name in listed(told)}
    return {
        str(name): narrowed if isinstance(narrowed, dict) else {"": narrowed} if narrowed else {}
        for name, narrowed in told.items()
    }


def _shell_of(told: Mapping[str, Any]) -> str | None:
    shell = ((told.get("defaults") or {}).get("run") or {}).get("shell")
    return None if shell is None else str(shell)


def _job(name: str, told: dict[str, Any], workflow: Mapping[str, Any], shell: str | None) -> Job:
    environment = told.get("environment")
    named = environment if isinstance(environment, dict) else {"name": environment}
    limit = told.get("timeout-minutes", _LONGEST_JOB_MINUTES)
    shell = _shell_of(told) or shell
    return Job(
        id=name,
        needs=listed(told.get("needs")),
        condition=_condition(told.get("if")),
        continues=_condition(told.get("continue-on-error")) or "false",
        steps=tuple(_step(step, shell) for step in told.get("steps") or ()),
        services=told.get("services") or {},
        matrix=_matrix(told),
        environment=None if named.get("name") is None else str(named["name"]),
        environment_url=None if named.get("url") is None else str(named["url"]),
        timeout_s=limit * 60 if isinstance(limit, int | float) else None,
        permissions=told.get("permissions", workflow.get("permissions")),
        uses=told.get("uses"),
        runner=" ".join(listed(told.get("runs-on"))),
        concurrency=told.get("concurrency"),
    )


def _step(told: dict[str, Any], shell: str | None) -> Step:
    own = told.get("shell")
    return Step(
        run=None if told.get("run") is None else str(told["run"]),
        uses=told.get("uses"),
        given=told.get("with") or {},
        condition=_condition(told.get("if")),
        continues=_condition(told.get("continue-on-error")) or "false",
        shell=shell if own is None else str(own),
    )


def _condition(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parts(matrix: Any) -> list[Any]:
    """What a matrix is made of; a text among it is an expression."""
    return [matrix, *matrix.values()] if isinstance(matrix, dict) else [matrix]


def _matrix(told: Mapping[str, Any]) -> dict[str, Any]:
    """By its name, every value that a job of the matrix really has; an expression as it is written."""
    matrix = (told.get("strategy") or {}).get("matrix") or {}
    made = next((each for each in _parts(matrix) if isinstance(each, str)), None)
    if made is not None:
        return {"": made}
    axes = {str(name): values for name, values in matrix.items() if name not in ("include", "exclude")}
    combinations: list[dict[str, Any]] = [{}]
    for name, values in axes.items():
        combinations = [{**each, name: value} for each in combinations for value in values]
    excluded = [each for each in matrix.get("exclude") or () if isinstance(each, dict)]
    left = [
        each for each in combinations if not any(all(each.get(k) == v for k, v in out.items()) for out in excluded)
    ]
    values_of: dict[str, Any] = {}
    for each in [*left, *(matrix.get("include") or ())]:
        for name, value in each.items():
            values_of.setdefault(str(name), set()).add(str(value))
    return {name: frozenset(values) for name, values in values_of.items()}
