"""Every declared line is accounted for: what no check has verified becomes a result that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from readygate.profile import Profile
from readygate.results import NotAsked, Outcome, Result
from readygate.spec import Leaf, Severity
from readygate.store import merge

NO_SUITE = "no suite verifies it"
NOT_REACHED = "the run stopped before it"
DESELECTED = "left out by the selection of this run"
ANOTHER_SHARD = "another shard looks at it"

MEND = {
    NO_SUITE: "bring back, or write, the suite with @pytest.mark.check({check!r})",
    NOT_REACHED: "run it again to the end",
    ANOTHER_SHARD: "bring all shards together with `readygate merge`",
    DESELECTED: "run without -k, -m, --lf, --deselect, --ignore or a path",
}
MEND_OWN = "write a suite with @pytest.mark.check('area.check', each='{key}.*'), or delete the data"


def asked(leaves: Sequence[Leaf], profile: Profile) -> tuple[tuple[Leaf, ...], tuple[NotAsked, ...]]:
    """The leaves that a profile asks about, and what it leaves out."""

    def left_out_by(leaf: Leaf) -> str | None:
        globs = (each.check for each in profile.leave_out)
        return next((glob for glob in globs if fnmatchcase(leaf.check, glob)), None)

    counts = Counter(left_out_by(leaf) for leaf in leaves)
    not_asked = (NotAsked(each.check, each.reason, counts[each.check]) for each in profile.leave_out)
    return tuple(leaf for leaf in leaves if left_out_by(leaf) is None), tuple(not_asked)


def planned(leaf: Leaf, reason: str = NO_SUITE) -> Result:
    """What is known of a leaf while nothing has verified it."""
    is_own = reason == NO_SUITE and leaf.check.startswith("x-")
    return Result(
        check=leaf.check,
        target=leaf.target,
        outcome=Outcome.NOT_RUN,
        severity=leaf.severity or Severity.MAJOR,
        owner=leaf.owner or "",
        path=leaf.dotted,
        file=leaf.position.file,
        line=leaf.position.line,
        expected=getattr(leaf.expected, "text", ""),
        message=reason,
        cause=reason,
        mend=MEND_OWN.format(key=leaf.check) if is_own else MEND.get(reason, "").format(check=leaf.check),
    )


def account(
    leaves: Sequence[Leaf],
    seen: Sequence[Result],
    reasons: Mapping[str, str],
    otherwise: str = NO_SUITE,
    unrun: Iterable[Result] = (),
) -> tuple[Result, ...]:
    """One result for each leaf, and for each test that verifies none; of several tests, the worst.

    `reasons` says by path why a leaf was not run; `unrun` are tests that were not, of no leaf or of one that has
    several.
    """
    verified = {result.path for result in seen if result.path}
    missing = _not_verified(leaves, verified)
    unverified = {leaf.id: planned(leaf, _reason(leaf, reasons, otherwise)) for leaf in missing}
    in_order = [unverified.get(leaf.id) or planned(leaf) for leaf in leaves if not _is_claimed(leaf, unverified)]
    return tuple(merge([*seen, *(each for each in unrun if not each.path or each.path in verified)], in_order))


def _reason(leaf: Leaf, reasons: Mapping[str, str], otherwise: str) -> str:
    """Why it was not run; a suite of the user's own may answer for all that stands below a path."""
    above = (why for path, why in reasons.items() if is_private(leaf) and _below(leaf.dotted, {path}))
    return reasons.get(leaf.dotted) or next(above, otherwise)


def _not_verified(leaves: Iterable[Leaf], verified: set[str]) -> Iterator[Leaf]:
    for leaf in leaves:
        if leaf.dotted not in verified and not (is_private(leaf) and _below(leaf.dotted, verified)):
            yield leaf


def _is_claimed(leaf: Leaf, unverified: Mapping[str, Result]) -> bool:
    """Whether a suite of the user's own answers for it, under an id of its own."""
    return is_private(leaf) and leaf.id not in unverified


def is_private(leaf: Leaf) -> bool:
    """Whether the leaf stands under an `x-` key, where a whole mapping may be verified as one."""
    return str(leaf.path[0]).startswith("x-")


def _below(path: str, verified: set[str]) -> bool:
    return any(path.startswith((f"{each}.", f"{each}[")) for each in verified)
