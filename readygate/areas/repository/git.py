"""Asks git about a checkout here: what is tracked, what differs from the commit, and where the commit stands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from readygate.errors import CouldNotLook

_EXECUTABLE = "100755"
_NOT_A_FILE = "160000"  # the commit of a submodule


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout as it is; `tracked` has the mode of each file in the index, by its path."""

    root: Path
    head: str
    committed_at: int
    branch: str | None
    tags: frozenset[str]
    changed: tuple[str, ...]
    tracked: Mapping[str, str] = field(repr=False)

    @property
    def clean(self) -> bool:
        return not self.changed

    @property
    def told(self) -> str:
        return f"changed are {', '.join(self.changed[:5])}" if self.changed else ""

    def is_executable(self, path: str) -> bool:
        return self.tracked.get(path) == _EXECUTABLE

    def read(self, path: str) -> bytes | None:
        """What a tracked file holds here; None where it isn't tracked, since then no pipeline sees it."""
        if path not in self.tracked:
            return None
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            raise CouldNotLook(f"{path} can't be read: {error.strerror}") from None

    def text(self, path: str) -> str | None:
        content = self.read(path)
        return None if content is None else content.decode(errors="replace")


def git(root: Path, *words: str, within: float = 60, stdin: bytes | None = None) -> bytes:
    """What git prints. It only looks: without its lock `status` would write what it learnt into the index.

    CouldNotLook: git isn't there, is too slow, or fails; it tells why.
    """
    answer = _run(root, words, within, stdin)
    if answer.returncode:
        raise _cannot(root, answer.stderr.decode(errors="replace"))
    return answer.stdout


def answers_yes(root: Path, *words: str) -> bool:
    """Whether git ends with 0, and not with 1. CouldNotLook: it ends otherwise."""
    answer = _run(root, words, 60, None)
    if answer.returncode not in (0, 1):
        raise _cannot(root, answer.stderr.decode(errors="replace"))
    return answer.returncode == 0


def _run(root: Path, words: tuple[str, ...], within: float, stdin: bytes | None) -> CompletedProcess[bytes]:
    # Within a hook, variables such as GIT_DIR would lead to another repository than the one that is named.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -oBatchMode=yes", "LC_ALL": "C"}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(root), *words]
    try:
        return subprocess.run(
            command, input=stdin or b"", capture_output=True, check=False, timeout=within, env=environ
        )
    except FileNotFoundError:
        raise CouldNotLook("git is not installed here", mend="install git") from None
    except subprocess.TimeoutExpired:
        raise CouldNotLook(f"git had no answer on {root} within {within:g} s", cause=f"too slow:{root}") from None


def _cannot(root: Path, said: str) -> CouldNotLook:
    last = next((line.strip() for line in said.splitlines() if line.strip()), "git told no reason")
    return CouldNotLook(
        f"git can't tell of {root}: {last}", cause=f"git:{root}", mend="see that `path` is a checkout of git"
    )


def look(root: Path) -> Checkout:
    """What git says of the checkout that this folder is, or is in."""
    head = git(root, "rev-parse", "--verify", "HEAD").decode().strip()
    committed_at = int(git(root, "log", "-1", "--format=%ct"))
    branch = git(root, "branch", "--show-current").decode().strip()
    tags = git(root, "tag", "--points-at", "HEAD").decode().split()
    entries = _texts(git(root, "ls-files", "--stage", "-z"))
    tracked = {path: told.split()[0] for told, tab, path in (entry.partition("\t") for entry in entries) if tab}
    return Checkout(
        root=root,
        head=head,
        committed_at=committed_at,
        branch=branch or None,
        tags=frozenset(tags),
        changed=_changed(root),
        tracked={path: mode for path, mode in tracked.items() if mode != _NOT_A_FILE},
    )


def _changed(root: Path) -> tuple[str, ...]:
    """What differs from the commit, and what git knows nothing of, but for what Readygate itself writes there."""
    status = git(root, "status", "--porcelain", "-z", "--untracked-files=no", "--", ".")
    ours = [":(exclude,glob)**/.readygate/**"]
    out = Path(os.environ.get("READYGATE_OUT", "")).resolve()
    if root.resolve() in out.parents:
        ours.append(f":(exclude,literal){out.relative_to(root.resolve())}")
    added = git(
        root,
        "ls-files",
        "--others",
        "--exclude-standard",
        "--directory",
        "--no-empty-directory",
        "-z",
        "--",
        ".",
        *ours,
    )
    differ = (entry[3:] for entry in _texts(status) if entry[2:3] == " ")
    return (*differ, *_texts(added))


def _texts(told: bytes) -> list[str]:
    return [each for each in told.decode(errors="surrogateescape").split("\0") if each]


def holds_newest_of(root: Path, branch: str) -> bool:
    """Whether the commit here holds the newest one of a remote's branch, as the remote now tells.

    CouldNotLook: the remote can't be asked, or has no such branch.
    """
    remote, _, name = branch.partition("/")
    told = git(root, "ls-remote", "--", remote, f"refs/heads/{name}").decode().split()
    if not told:
        raise CouldNotLook(f"{remote} has no branch {name}", mend="write e.g. origin/main")
    newest = told[0]
    # What the remote has, and isn't here, can't be part of the history here.
    known = _run(root, ("cat-file", "-e", f"{newest}^{{commit}}"), 60, None).returncode == 0
    return known and answers_yes(root, "merge-base", "--is-ancestor", newest, "HEAD")


def ignores(root: Path, path: str) -> bool:
    """Whether a file of this name would be ignored, wherever it came from."""
    return answers_yes(root, "check-ignore", "--quiet", "--no-index", "--", path)
