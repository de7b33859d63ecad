"""What is seen in a repository or a pipeline, and why it is not what one would want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Observed:
    """A fact; None is what there is not. `reason` is told where the fact does not meet what is expected."""

    value: Any
    reason: str = ""
