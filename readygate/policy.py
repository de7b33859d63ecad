"""Where suites, profiles and templates are found: in the user's folder first, then as they are shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from readygate.errors import InventoryError, UsageError
from readygate.inventory import source
from readygate.inventory.problems import problems_in
from readygate.profile import Profile

_PACKAGE = Path(__file__).parent
# The wheel carries the policy folders inside the package; in a checkout they stand beside it.
SHIPPED = _PACKAGE / "policy" if (_PACKAGE / "policy").is_dir() else _PACKAGE.parent

_MARK = re.compile(r'^@pytest\.mark\.check\("([^"]+)"', re.MULTILINE)
_TEST = re.compile(r"^\s*(?:async )?def test|^class Test", re.MULTILINE)


class Policy:
    """The policy folders as seen from the folder of an inventory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def suites(self) -> list[Path]:
        """The suite files: each name once, the user's own first."""
        return sorted(self._files("suites", "test_*.py"), key=lambda path: path.name)

    def suites_for(self, checks: AbstractSet[str]) -> list[Path]:
        """The suite files to run: without those of ours that verify none of these checks, which cost time to read."""
        return [path for path in self.suites() if not _is_as_shipped(path) or _names_one_of(checks, path)]

    def template_folders(self) -> list[Path]:
        return [folder / "templates" for folder in self._folders()]

    def profile(self, name: str) -> Profile:
        """The profile of this name. Raises UsageError where there is none or it can't be used."""
        files = {path.stem: path for path in self._files("reports", "*.yml")}
        if name not in files:
            close = get_close_matches(name, files, 1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(sorted(files))}"
            raise UsageError(f"no report profile is called '{name}'; {hint}")
        tree = source.read(files[name])
        data = source.to_data(tree)
        try:
            return Profile.model_validate({**data, "name": name})
        except ValidationError as error:
            raise InventoryError(problems_in(error, source.positions(tree), Profile)) from None

    def _files(self, folder: str, pattern: str) -> Iterator[Path]:
        seen: set[str] = set()
        for root in self._folders():
            for path in sorted((root / folder).glob(pattern)):
                if path.name not in seen:
                    seen.add(path.name)
                    yield path

    def _folders(self) -> list[Path]:
        return [self.root] if self.root == SHIPPED else [self.root, SHIPPED]


def _is_as_shipped(suite: Path) -> bool:
    shipped = SHIPPED / "suites" / suite.name
    return shipped.is_file() and shipped.read_bytes() == suite.read_bytes()


def _names_one_of(checks: AbstractSet[str], suite: Path) -> bool:
    """Or doesn't look like one of ours: a clone that is edited in place holds the user's own, too."""
    text = suite.read_text(encoding="utf-8")
    named = _MARK.findall(text)
    is_ours = named and len(named) == len(_TEST.findall(text)) and "each=" not in text
    return not is_ours or not checks.isdisjoint(named)
