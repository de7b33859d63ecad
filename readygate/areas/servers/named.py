"""What is told of things that are counted: their names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """Things of which there should be few, or none: `said` comes before their names."""

    said: str
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def told(self) -> str:
        return f"{self.said} {', '.join(self.names)}"
