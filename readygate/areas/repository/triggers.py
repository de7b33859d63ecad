"""What starts a workflow, and what each of its jobs knows then: one event with its branch, by GitHub's own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from readygate.areas.repository.expressions import UNKNOWN
from readygate.areas.repository.workflow_file import WorkflowFile, listed
from readygate.errors import CouldNotLook, Mistake

_OF_A_BRANCH = ("push", "pull_request", "pull_request_target", "workflow_run", "merge_group")
_ANYWHERE = ("schedule", "workflow_dispatch", "repository_dispatch", "workflow_call", "release")
_USUAL = {"pull_request": {"opened", "synchronize"}, "pull_request_target": {"opened", "synchronize"}}


@dataclass(frozen=True, slots=True)
class Situation:
    """Something that happens; `what` is the branch, the tag, or of a release what is done to it."""

    event: str
    what: str = ""
    is_tag: bool = False
    failed: bool = False

    @property
    def context(self) -> dict[str, Any]:
        """What expressions see of it, by dotted name."""
        known: dict[str, Any] = {"github.event_name": self.event, "github.base_ref": "", "github.head_ref": ""}
        match self.event:
            case "push" | "merge_group":
                known |= _at("tags" if self.is_tag else "heads", self.what)
            case "schedule" | "workflow_dispatch" if self.what:
                known |= _at("heads", self.what)
            case "pull_request":
                known |= {
                    "github.ref": "refs/pull/1/merge",
                    "github.ref_name": "1/merge",
                    "github.ref_type": "branch",
                }
                known |= {"github.base_ref": self.what, "github.head_ref": UNKNOWN}
            case "pull_request_target":
                known |= _at("heads", self.what) | {"github.base_ref": self.what, "github.head_ref": UNKNOWN}
            case "workflow_run":
                known["github.event.workflow_run.conclusion"] = "failure" if self.failed else "success"
                known["github.event.workflow_run.head_branch"] = self.what
            case "release":
                known |= {"github.ref_type": "tag", "github.event.action": self.what or "published"}
        return known


def _at(kind: str, name: str) -> dict[str, str]:
    return {
        "github.ref": f"refs/{kind}/{name}",
        "github.ref_name": name,
        "github.ref_type": "tag" if kind == "tags" else "branch",
    }


def situation(text: str) -> Situation:
    """A situation as the inventory writes it. Raises Mistake."""
    event, *words = text.split()
    mend = "write e.g. push main, push tag v1.2.3, pull_request main, schedule, workflow_run main failed"
    if event not in (*_OF_A_BRANCH, *_ANYWHERE):
        raise Mistake(f"'{text}' is no event that starts a workflow", mend)
    is_tag, failed = words[:1] == ["tag"] and event == "push", words[1:] == ["failed"] and event == "workflow_run"
    named = words[1:] if is_tag else words[:1] if failed else words
    if len(named) > 1 or (event in _OF_A_BRANCH and not named):
        raise Mistake(f"'{text}' does not say which branch" if not named else f"'{text}' says too much", mend)
    if any(character in (named or [""])[0] for character in "*?[]!+"):
        raise Mistake(f"'{text}' has a pattern", "write one branch that there might be, such as push feature/prices")
    return Situation(event, named[0] if named else "", is_tag, failed)


def _checked(text: str) -> str:
    situation(text)
    return text


def _all_checked(raw: object) -> tuple[str, ...]:
    several = [raw] if isinstance(raw, str) else raw
    if not isinstance(several, list | tuple) or not several or not all(isinstance(each, str) for each in several):
        raise Mistake(f"'{raw}' names no situation", "write e.g. push main, or [push main, pull_request main]")
    return tuple(map(_checked, several))


SituationText = Annotated[str, AfterValidator(_checked)]
_TEXT = {"type": "string", "examples": ["push main"]}
Situations = Annotated[
    tuple[str, ...],
    PlainValidator(_all_checked),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]


@dataclass(frozen=True, slots=True)
class Started:
    """Whether a workflow starts, and why not."""

    starts: bool
    reason: str = ""


def starts(workflow: WorkflowFile, when: Situation, changing: Sequence[str]) -> Started:
    """Whether the event starts the workflow.

    CouldNotLook: that depends on the files which are changed, and `changing` names none.
    """
    if when.event not in workflow.events:
        return Started(False, f"it is started by {', '.join(workflow.events)}")
    filters = workflow.events[when.event]
    types = set(listed(filters.get("types")))
    match when.event:
        case "schedule":
            return Started(bool(workflow.schedules), "its schedule is empty")
        case "release" if types and (when.what or "published") not in types:
            return Started(False, f"only a release that is {', '.join(sorted(types))} starts it")
        case "workflow_run" if types and "completed" not in types:
            return Started(False, "it does not wait for the end of the other workflow")
        case "pull_request" | "pull_request_target" if types and not types & _USUAL[when.event]:
            return Started(False, f"only a request that is {', '.join(sorted(types))} starts it")
        case "push" | "pull_request" | "pull_request_target" | "workflow_run" | "merge_group":
            return _by_name(filters, when) or _by_path(filters, changing)
    return Started(True)


def _by_name(filters: Mapping[str, Any], when: Situation) -> Started | None:
    """A refusal because of the branch or the tag, if there is one."""
    kind, other = ("tags", "branches") if when.is_tag else ("branches", "tags")
    if not ({kind, f"{kind}-ignore"} & set(filters)):
        if when.event == "push" and {other, f"{other}-ignore"} & set(filters):
            return Started(False, f"it is only for {other}")
        return None
    if kind in filters and not passes(listed(filters[kind]), when.what):
        return Started(False, f"its {kind} are {', '.join(listed(filters[kind])) or 'none'}")
    if _matched(listed(filters.get(f"{kind}-ignore")), when.what):
        return Started(False, f"its {kind}-ignore holds it")
    return None


def _by_path(filters: Mapping[str, Any], changing: Sequence[str]) -> Started:
    named = sorted({"paths", "paths-ignore"} & set(filters))
    if not named:
        return Started(True)
    if not changing:
        raise CouldNotLook(
            f"whether it starts depends on the changed files ({named[0]})",
            mend="write `changing: [src/app.py]`, some files that a change might touch",
        )
    if "paths" in filters and not any(passes(listed(filters["paths"]), each) for each in changing):
        return Started(False, f"its paths are {', '.join(listed(filters['paths']))}")
    if "paths-ignore" in filters and all(_matched(listed(filters["paths-ignore"]), each) for each in changing):
        return Started(False, "its paths-ignore holds all of the changed files")
    return Started(True)


def passes(patterns: Sequence[str], name: str) -> bool:
    """Whether the last pattern that matches is none with a `!`."""
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            found = found and not _matched([pattern[1:]], name)
        else:
            found = found or _matched([pattern], name)
    return found


def _matched(patterns: Sequence[str], name: str) -> bool:
    return any(re.fullmatch(_regex(pattern), name) for pattern in patterns)


def _regex(pattern: str) -> str:
    """GitHub's patterns: `*` stops at a slash, `**` doesn't, and `?` and `+` repeat what stands before them."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        found = re.match(r"\*\*/|\*\*|\*|\[[^\]]+\]|\\.|[?+]", rest)
        token = found[0] if found else rest[0]
        position += len(token)
        match token:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?" | "+" if parts:
                parts[-1] = f"(?:{parts[-1]}){token}"
            case _ if token[0] == "[" and len(token) > 2:
                parts.append(token.replace("\\", "\\\\"))
            case _:
                parts.append(re.escape(token[-1]))
    return "".join(parts)
