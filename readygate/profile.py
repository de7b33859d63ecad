"""A report profile (reports/*.yml): which question is asked, and what blocks."""

from __future__ import annotations

from pydantic import Field

from readygate.spec import Setting, Severity


class LeftOut(Setting):
    """Checks that this profile doesn't ask for, and why; they are named in the report."""

    check: str = Field(description="A check id, or a glob such as `load.*`.")
    reason: str = Field(description="Why this question does not need them.", min_length=1)


class Profile(Setting):
    """One question to the inventory, such as `release`."""

    name: str = Field("", description="Filled from the file's name.")
    question: str = Field(description="What the verdict answers, in one sentence.")
    blocks_on: tuple[Severity, ...] = Field(
        (Severity.BLOCKER, Severity.MAJOR), description="Failures of these severities end in NO-GO."
    )
    leave_out: tuple[LeftOut, ...] = Field((), description="What this question does not ask for.")
    valid_for: str = Field("24h", description="How long the answer may be relied on.")
