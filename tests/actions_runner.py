"""Runs the jobs of a workflow as GitHub's runner would, with real files; steps of other actions are only noted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
OURS = "readygate/readygate@v0"
PREPARED = "Install Readygate"  # has a test of its own; elsewhere the tests' interpreter stands in

_SHELLS = {None: ("bash", "-e"), "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail")}


def read(path: str) -> dict[str, Any]:
    """A YAML file of the repository; `on:` stays a word."""
    loader = type(
        "Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {**yaml.SafeLoader.yaml_implicit_resolvers}}
    )
    for letter in "oO":
        loader.yaml_implicit_resolvers[letter] = []
    return yaml.load((ROOT / path).read_text(), loader)


@dataclass
class Runner:
    """One machine with its workspace; what ran on it stays readable."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    event: str = "workflow_dispatch"
    printed: str = ""
    codes: dict[str, int] = field(default_factory=dict)  # of each step that ran, by its name
    used: dict[str, dict[str, str]] = field(default_factory=dict)  # what other actions were given, by step or action
    has_failed: bool = False

    def __post_init__(self) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        python = self.temp / "readygate" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def temp(self) -> Path:
        return self.folder / "temp"

    def file(self, name: str) -> Path:
        path = self.folder / name
        path.touch()
        return path

    @property
    def summary(self) -> str:
        return self.file("GITHUB_STEP_SUMMARY").read_text()

    def job(self, workflow: str, job: str, inputs: Mapping[str, Any], **contexts: Any) -> dict[str, str]:
        """Run one job of a reusable workflow; returns its outputs."""
        declared = read(f".github/workflows/{workflow}.yml")
        defaults = {name: each.get("default", "") for name, each in declared["on"]["workflow_call"]["inputs"].items()}
        context = _context({**defaults, **inputs}, contexts)
        self._steps(declared["jobs"][job]["steps"], context)
        return _filled(declared["jobs"][job].get("outputs", {}), context)

    def action(self, **inputs: str) -> dict[str, str]:
        """Run the action by itself; returns its outputs."""
        declared = read("action.yml")
        defaults = {name: each["default"] for name, each in declared["inputs"].items()}
        assert inputs.keys() <= defaults.keys()
        context = _context({**defaults, **inputs}, {})
        self._steps(declared["runs"]["steps"], context)
        return _filled({name: each["value"] for name, each in declared["outputs"].items()}, context)

    def _steps(self, steps: list[dict[str, Any]], context: dict[str, Any]) -> None:
        for step in steps:
            condition = str(step.get("if", "success()"))
            if self.has_failed and "always()" not in condition:
                continue
            if not evaluate(condition.removeprefix("${{").removesuffix("}}"), context):
                continue
            outputs: dict[str, str] = {}
            name = step.get("name") or step.get("id") or step.get("uses", "")
            given = _filled(step.get("with", {}), context)
            if step.get("uses") == OURS:
                outputs = self.action(**given)
            elif "uses" in step:
                self.used[name] = given
            elif name != PREPARED:
                outputs = self._run(name, step, _filled(step.get("env", {}), context))
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": outputs}

    def _run(self, name: str, step: dict[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
        script = self.folder / "script.sh"
        script.write_text(step["run"])
        output = self.file("GITHUB_OUTPUT")
        output.write_text("")
        files = {each: str(self.file(each)) for each in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
        done = subprocess.run(
            [*_SHELLS[step.get("shell")], str(script)],
            cwd=self.workspace,
            env={
                **os.environ,
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_EVENT_NAME": self.event,
                "GITHUB_REPOSITORY": "shop/shop",
                "GITHUB_RUN_ID": "7",
                "GITHUB_SERVER_URL": "https://git.example",
                "RUNNER_TEMP": str(self.temp),
                **self.environ,
                **dict(pairs(self.file("GITHUB_ENV").read_text())),
                **environ,
                **files,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        self.printed += done.stdout
        self.codes[name] = done.returncode
        self.has_failed |= done.returncode != 0
        return dict(pairs(output.read_text()))


def pairs(text: str) -> Iterator[tuple[str, str]]:
    """What a step wrote to GITHUB_ENV or GITHUB_OUTPUT: NAME=value, or NAME<<END with lines until END."""
    lines = iter(text.splitlines())
    for line in lines:
        if marked := re.fullmatch(r"(\w[\w-]*)<<(.+)", line):
            value = []
            for each in lines:
                if each == marked[2]:
                    break
                value.append(each)
            yield marked[1], "\n".join(value)
        else:
            name, equals, value_text = line.partition("=")
            assert equals, f"the runner would refuse {line!r}"
            yield name, value_text


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """An expression of the few kinds that our workflows use."""
    text = re.sub(r"[a-z_]+(\.[\w-]+)+", lambda found: repr(_looked_up(found[0], context)), expression)
    text = re.sub(r"!(?!=)", " not ", text.replace("||", " or ").replace("&&", " and "))
    return eval(text, {"always": lambda: True, "success": lambda: True}, {})


def _looked_up(name: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


def _context(inputs: Mapping[str, Any], contexts: Mapping[str, Any]) -> dict[str, Any]:
    github = {"token": "the-job-token", "ref": "refs/heads/main", "run_id": "7", "run_attempt": "1"}
    return {"inputs": inputs, "steps": {}, "secrets": {}, "needs": {}, "github": github, **contexts}


def _filled(texts: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, str]:
    """As `env:`, `with:` and `outputs:` are: each expression replaced by its text."""
    return {
        name: re.sub(r"\$\{\{(.+?)\}\}", lambda found: _text(evaluate(found[1].strip(), context)), _text(value))
        for name, value in texts.items()
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
