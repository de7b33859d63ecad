"""Which suite verifies what: from a test's `check` mark to the leaves of the inventory that it answers for."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from readygate.areas import SECTIONS
from readygate.errors import UsageError
from readygate.inventory import Inventory
from readygate.inventory.model import AttestationSpec
from readygate.spec import Leaf, Path, Severity, known_checks

_MEND = re.compile(r"^\s*Mend:\s*(.+?)\s*(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Check:
    """What a suite's test promises: its id, what it means, and (for `x-` data) what it looks at."""

    id: str
    severity: Severity
    why: str
    mend: str
    each: str | None
    suite: str
    function: Callable[..., Any] | None = None

    @property
    def can_fail(self) -> bool:
        """Whether the test has anything in it that could fail, as far as its source shows."""
        return self.function is None or _can_fail(self.function)


@dataclass(frozen=True, slots=True)
class Bound:
    """What one test item answers for; `leaf` is None for a test that carries no check mark."""

    check: Check
    leaf: Leaf | None
    target: str


def read_mark(mark: Any, function: Callable[..., Any], suite: str, sections: Sequence[str] = ()) -> Check:
    """The check that a test's mark and docstring describe. Raises UsageError where the mark makes no sense.

    In `sections` of the inventory it is looked for first.
    """

    def refuse(wrong: str) -> UsageError:
        return UsageError(f"{suite}: {wrong}")

    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        raise refuse('the check mark takes one id; write @pytest.mark.check("tls.renew_before")')
    unknown = set(mark.kwargs) - {"severity", "each"}
    if unknown:
        raise refuse(f"the check mark knows `severity` and `each`, not {', '.join(sorted(unknown))}")
    check, each = mark.args[0], mark.kwargs.get("each")
    if each is None and not any(check in _checks_in(section) for section in (*sections, None, *SECTIONS)):
        every = [check for section in (*SECTIONS, None) for check in _checks_in(section)]
        close = get_close_matches(check, every, 1)
        hint = f"did you mean '{close[0]}'?" if close else "for data of your own add each='x-...'"
        raise refuse(f"no check is called '{check}'; {hint}")
    if each is not None and (not isinstance(each, str) or not each.startswith("x-")):
        raise refuse(f"each={each!r} must be a path under a key that begins with x-")
    if "." not in check:
        raise refuse(f"'{check}' is not a check id; write area.check")
    try:
        severity = Severity(mark.kwargs.get("severity", Severity.MAJOR))
    except ValueError:
        raise refuse(f"severity is one of {', '.join(Severity)}") from None
    why, mend = read_docstring(function)
    return Check(check, severity, why, mend, each, suite, function)


@cache
def _checks_in(section: str | None) -> frozenset[str]:
    """The checks of all that may stand in a section, or among the attestations."""
    return frozenset(known_checks(AttestationSpec if section is None else SECTIONS[section]))


def read_docstring(function: Callable[..., Any]) -> tuple[str, str]:
    """Why it matters (the first paragraph) and how to mend it (what follows `Mend:`)."""
    text = inspect.getdoc(function) or ""
    mend = _MEND.search(text)
    why = text.split("\n\n")[0] if not text.startswith("Mend:") else ""
    return " ".join(why.split()), " ".join(mend.group(1).split()) if mend else ""


def _can_fail(function: Callable[..., Any]) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return True
    return any(
        isinstance(node, ast.Assert | ast.Raise)
        or (isinstance(node, ast.Call) and "assert" in ast.unparse(node.func))
        or (isinstance(node, ast.Attribute) and node.attr in ("raises", "fail"))
        for node in ast.walk(tree)
    )


def leaves_of(check: Check, leaves: Sequence[Leaf], inventory: Inventory) -> tuple[Leaf, ...]:
    """Which of the leaves a check answers for; for `each`, one a match of the pattern in the inventory's own data."""
    if check.each is None:
        return tuple(leaf for leaf in leaves if leaf.check == check.id)
    return tuple(
        Leaf(
            check=check.id,
            target=":".join(target) or check.each.removeprefix("x-"),
            path=path,
            position=inventory.places.of(path),
            expected=data,
            owner=next((leaf.owner for leaf in inventory.leaves if leaf.path[: len(path)] == path), None),
        )
        for path, target, data in _matches(check.each.split("."), inventory.data)
    )


def _matches(pattern: list[str], data: Any) -> Iterator[tuple[Path, tuple[str, ...], Any]]:
    if not pattern:
        yield (), (), data
    elif isinstance(data, dict):
        for key, value in data.items():
            if pattern[0] in ("*", key):
                starred = (key,) if pattern[0] == "*" else ()
                for path, target, found in _matches(pattern[1:], value):
                    yield (key, *path), (*starred, *target), found
