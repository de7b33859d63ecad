"""What an expectation mentions, for observers that must know what to ask about before they look."""

from __future__ import annotations

from typing import Any

from readygate.conditions import Bound, Contains, Exactly, Lacks, OneOf
from readygate.expectation import Expectation


def members(expectation: Expectation | None) -> tuple[str, ...]:
    """Every member that an expectation of a collection mentions."""
    conditions = (*expectation.fail, *expectation.warn) if expectation else ()
    lists = (each.values for each in conditions if isinstance(each, Exactly | Contains | Lacks))
    return tuple(dict.fromkeys(member for values in lists for member in values))


def limit(expectation: Expectation) -> Any:
    """The value that the actual one is compared with; None where there is not exactly one."""
    conditions = (*expectation.fail, *expectation.warn)
    limits = [each.limit for each in conditions if isinstance(each, Bound)]
    limits += [value for each in conditions if isinstance(each, OneOf) for value in each.values]
    return limits[0] if len(limits) == 1 else None
