"""Whether a file is signed by somebody who may: by the commit that last changed it, or by a signature beside it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from readygate.profile import Signing

NAMESPACE = "readygate"  # what a signature beside a file is for; one that was made for mails is none

_LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, as the file of signers names them, or why it doesn't count; exactly one is set."""

    by: str = ""
    wrong: str = ""


def signature_of(file: Path, signing: Signing, root: Path) -> Signature:
    """Whose signature a file bears; whatever can't be verified is not signed."""
    signers = (root / signing.signers).absolute()
    if not signers.is_file():
        return Signature(wrong=f"{signing.signers}, which says who may sign, does not exist")
    try:
        return _of_commit(file, signers) if signing.by == "commit" else _of_key(file, signers)
    except FileNotFoundError as error:
        return Signature(wrong=f"{error.filename} is not installed here, so no signature can be verified")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Signature(wrong=f"its signature could not be verified: {error}")


def _of_key(file: Path, signers: Path) -> Signature:
    """From `ssh-keygen -Y sign -n readygate FILE`, which leaves FILE.sig."""
    beside = file.with_name(f"{file.name}.sig")
    if not beside.is_file():
        return Signature(wrong=f"there is no {beside.name}")
    found = _asked("ssh-keygen", "-Y", "find-principals", "-f", str(signers), "-s", str(beside))
    if found.returncode or not found.stdout.strip():
        return Signature(wrong=f"{beside.name} is by nobody who is named in {signers.name}")
    who = found.stdout.decode(errors="replace").splitlines()[0].strip()
    verify = ("-Y", "verify", "-f", str(signers), "-I", who, "-n", NAMESPACE, "-s", str(beside))
    if _asked("ssh-keygen", *verify, given=file.read_bytes()).returncode:
        return Signature(wrong=f"{beside.name} does not fit {file.name} as it is now")
    return Signature(by=who)


def _of_commit(file: Path, signers: Path) -> Signature:
    """From the commit that gave the file its present content, which has to be signed by an SSH key."""
    git = ("git", "--no-replace-objects", "-c", "log.showSignature=false", "-C", str(file.parent))
    if _said(*git, "rev-parse", "--is-shallow-repository") == "true":
        return Signature(wrong=f"a shallow clone does not know who last changed {file.name}; fetch the whole history")
    commit = _said(*git, "log", "-1", "--format=%H", "--", file.name)
    if not commit or _said(*git, "rev-parse", f"{commit}:./{file.name}") != _said(*git, "hash-object", file.name):
        return Signature(wrong=f"{file.name} is not committed as it is now")
    # Signatures of other kinds would be looked up in a keyring, where more people may be.
    settings = (f"gpg.ssh.allowedSignersFile={signers}", "gpg.program=false", "gpg.x509.program=false")
    only_ours = (word for setting in settings for word in ("-c", setting))
    status, _, who = _said(*git, *only_ours, "log", "-1", "--format=%G? %GS", commit).partition(" ")
    if status != "G":
        wrong = f"commit {commit[:12]}, which last changed {file.name}, is signed by nobody in {signers.name}"
        return Signature(wrong=wrong)
    return Signature(by=who)


def _said(*command: str) -> str:
    """What a command printed; nothing where it failed."""
    done = _asked(*command)
    return "" if done.returncode else done.stdout.decode(errors="replace").strip()


def _asked(*command: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, input=given, env=environ, capture_output=True, timeout=_LIMIT_S, check=False)
