"""A report profile (reports/*.yml): which question is asked, what blocks, and what happens with the answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema, field_validator

from readygate.errors import Mistake
from readygate.expectation import Seconds
from readygate.spec import Setting, Severity
from readygate.units import not_a, parse_percent


def _share(raw: object) -> float:
    percent = parse_percent(raw)
    if not 0 < percent <= 100:
        raise not_a("a share", raw, "write e.g. 95%")
    return percent


# What is drawn from a run, by the name of its file.
Output = Literal[
    "report.html",
    "junit.xml",
    "summary.md",
    "annotations.txt",
    "readygate.prom",
    "badge.svg",
    "in-toto.json",
    "codequality.json",
]

Share = Annotated[float, PlainValidator(_share), WithJsonSchema({"type": "string", "examples": ["95%"]})]


class LeftOut(Setting):
    """Checks that this profile doesn't ask for, and why; they are named in the report."""

    check: str = Field(description="A check id, or a glob such as `load.*`.")
    reason: str = Field(description="Why this question does not need them.", min_length=1)


class WaiverRules(Setting):
    """What waivers this question accepts."""

    longest: Seconds | None = Field(None, description="How long a waiver may last, from `since` to `expires`.")
    needs: tuple[Literal["approver", "ticket"], ...] = Field(
        (), description="What each has to name; an approver is then somebody else than the owner."
    )


class Signing(Setting):
    """How waivers and attestations have to be signed so that they count."""

    by: Literal["commit", "key"] = Field(
        description="`commit`: the commit that last changed the file is signed. `key`: FILE.sig beside it is."
    )
    signers: str = Field(
        "allowed_signers",
        description="The SSH keys that may sign, in the format of ssh-keygen(1); a path from the inventory's folder.",
        min_length=1,
    )


class HistoryRules(Setting):
    """What becomes of the runs that are kept."""

    keep: Seconds | None = Field(None, description="Older runs of this profile are deleted; without it, none is.")


class Notice(Setting):
    """Somebody who is told when the answer changes."""

    to: str = Field(
        description="Name of the environment variable that holds where to, as an Apprise URL; it is a secret.",
        pattern=r"^[A-Za-z_]\w*$",
    )
    on: Literal["change", "every run"] = Field("change", description="`change`, or `every run`.")


class Profile(Setting):
    """One question to the inventory, such as `release`."""

    name: str = Field("", description="Filled from the file's name.")
    question: str = Field(description="What the verdict answers, in one sentence.")
    blocks_on: tuple[Severity, ...] = Field(
        (Severity.BLOCKER, Severity.MAJOR),
        description="Failures of these severities end in NO-GO; `blocker` is one of them.",
    )
    blocks_on_new: tuple[Severity, ...] = Field(
        (), description="And of these, unless the last green run failed in the same way already."
    )
    minimum_met: Share | None = Field(
        None, description="NO-GO where a smaller share of what was verified is met; waived counts as not met."
    )
    requires: tuple[str, ...] = Field(
        (), description="Areas, such as `tls` or `backup`, of which something has to be declared and asked for."
    )
    leave_out: tuple[LeftOut, ...] = Field((), description="What this question does not ask for.")
    valid_for: Seconds = Field(86400.0, description="How long the answer, and each shard of it, may be relied on.")
    waivers: WaiverRules = Field(WaiverRules(), description="What waivers this question accepts.")
    signed: Signing | None = Field(None, description="How waivers and attestations have to be signed to count.")
    history: HistoryRules = Field(HistoryRules(), description="How long runs are kept.")
    outputs: dict[Output, str] = Field(
        {}, description="By the name of an output, such as `readygate.prom`: a file that it is copied to as well."
    )
    on_go: str | None = Field(None, description="Shell command after GO and GO WITH WAIVERS.")
    on_no_go: str | None = Field(None, description="Shell command after NO-GO, such as a rollback.")
    hook_limit: Seconds = Field(300.0, description="How long such a command may take.")
    notify: tuple[Notice, ...] = Field((), description="Who is told.")

    @field_validator("blocks_on")
    @classmethod
    def _blocks(cls, severities: tuple[Severity, ...]) -> tuple[Severity, ...]:
        if Severity.BLOCKER not in severities:
            raise Mistake("would release what failed as a blocker", "write at least [blocker]")
        return severities
