"""Signed waivers and attestations: with real keys, by commit and by a signature beside the file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from readygate.profile import Signing
from readygate.signatures import Signature, signature_of
from tests.projects import Project

NEEDED = ("git", "ssh-keygen")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"{' and '.join(NEEDED)} have to be on the PATH"
)

KEY, COMMIT = Signing(by="key"), Signing(by="commit")


class Signers:
    """A repository, and two people with a key each, of whom ana may sign."""

    def __init__(self, root: Path, keys: Path) -> None:
        self.root, self.keys = root, keys
        keys.mkdir()
        for name in ("ana", "eve"):
            self.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys / name))
        (root / "allowed_signers").write_text(f"ana@shop.example {(keys / 'ana.pub').read_text()}")
        self.call("git", "init", "-q")

    def call(self, *command: str) -> None:
        own = {"HOME": str(self.keys), "GIT_CONFIG_NOSYSTEM": "1", "SSH_AUTH_SOCK": ""}
        subprocess.run(command, cwd=self.root, env={**os.environ, **own}, check=True, capture_output=True)

    def sign(self, name: str, who: str = "ana", namespace: str = "readygate") -> None:
        (self.root / f"{name}.sig").unlink(missing_ok=True)
        self.call("ssh-keygen", "-Y", "sign", "-f", str(self.keys / who), "-n", namespace, name)

    def commit(self, who: str | None = "ana") -> None:
        self.call("git", "add", "-A")
        person = ("-c", f"user.name={who}", "-c", f"user.email={who}@shop.example")
        key = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={self.keys / who}") if who else ()
        self.call("git", *person, *key, "commit", "-q", "-m", "said", *(["-S"] if who else ["--no-gpg-sign"]))


@pytest.fixture
def signers(tmp_path: Path) -> Signers:
    root = tmp_path / "repository"
    root.mkdir()
    made = Signers(root, tmp_path / "keys")
    (root / "waivers.yml").write_text("waivers: []\n")
    return made


def read(signers: Signers, signing: Signing) -> Signature:
    return signature_of(signers.root / "waivers.yml", signing, signers.root)


def test_a_signature_beside_the_file_names_who_signed(signers: Signers) -> None:
    signers.sign("waivers.yml")
    assert read(signers, KEY) == Signature(by="ana@shop.example")


def test_a_signed_commit_names_who_signed(signers: Signers) -> None:
    signers.commit()
    assert read(signers, COMMIT) == Signature(by="ana@shop.example")
    (signers.root / "other").write_text("not about the file\n")
    signers.commit(None)
    assert read(signers, COMMIT) == Signature(by="ana@shop.example")


def test_what_was_changed_after_it_was_signed_is_not_signed(signers: Signers) -> None:
    signers.sign("waivers.yml")
    signers.commit()
    (signers.root / "waivers.yml").write_text("waivers: [more]\n")
    assert read(signers, KEY).wrong == "waivers.yml.sig does not fit waivers.yml as it is now"
    assert read(signers, COMMIT).wrong == "waivers.yml is not committed as it is now"


def test_a_stranger_signs_nothing(signers: Signers) -> None:
    signers.sign("waivers.yml", "eve")
    signers.commit("eve")
    assert read(signers, KEY).wrong == "waivers.yml.sig is by nobody who is named in allowed_signers"
    assert "is signed by nobody in allowed_signers" in read(signers, COMMIT).wrong


def test_what_nobody_signed_is_not_signed(signers: Signers) -> None:
    assert read(signers, KEY).wrong == "there is no waivers.yml.sig"
    assert read(signers, COMMIT).wrong == "waivers.yml is not committed as it is now"
    signers.commit(None)
    assert "is signed by nobody in allowed_signers" in read(signers, COMMIT).wrong


def test_a_signature_for_something_else_does_not_count(signers: Signers) -> None:
    signers.sign("waivers.yml", namespace="file")
    assert read(signers, KEY).wrong


def test_a_later_unsigned_change_takes_the_signature_away(signers: Signers) -> None:
    signers.commit()
    (signers.root / "waivers.yml").write_text("waivers: [more]\n")
    signers.commit(None)
    assert read(signers, COMMIT).wrong


def test_a_key_that_has_run_out_signs_no_more(signers: Signers) -> None:
    signers.sign("waivers.yml")
    allowed = (signers.root / "allowed_signers").read_text()
    (signers.root / "allowed_signers").write_text(allowed.replace(" ", ' valid-before="20200101" ', 1))
    assert read(signers, KEY).wrong


def test_without_the_file_of_signers_nothing_is_signed(signers: Signers) -> None:
    signers.sign("waivers.yml")
    (signers.root / "allowed_signers").unlink()
    assert read(signers, KEY).wrong == "allowed_signers, which says who may sign, does not exist"


def test_a_shallow_clone_does_not_know_who_signed(signers: Signers, tmp_path: Path) -> None:
    signers.commit()
    (signers.root / "other").write_text("more\n")
    signers.commit()
    signers.call("git", "clone", "-q", "--depth=1", f"file://{signers.root}", str(tmp_path / "shallow"))
    shallow = tmp_path / "shallow"
    said = signature_of(shallow / "waivers.yml", COMMIT, shallow)
    assert said.wrong.startswith("a shallow clone does not know")


def test_without_git_or_a_repository_nothing_is_signed(
    signers: Signers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signers.sign("waivers.yml")
    shutil.rmtree(signers.root / ".git")
    assert read(signers, COMMIT).wrong == "waivers.yml is not committed as it is now"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read(signers, KEY).wrong == "ssh-keygen is not installed here, so no signature can be verified"


def test_only_what_is_signed_counts_in_a_run(signers: Signers) -> None:
    project = Project(signers.root)
    project.write("secret.env", "KEY=value\n").chmod(0o644)
    project.write(
        "inventory.yml",
        f"""\
        project: shop
        servers: {{here: {{connect: local://, files: {{{signers.root}/secret.env: {{mode: "0600"}}}}}}}}
        attestations: {{rollback-rehearsed: {{every: 90d}}}}
        """,
    )
    project.write("reports/release.yml", "question: May it?\nblocks_on: [blocker, major, minor]\nsigned: {by: key}\n")
    (signers.root / "waivers.yml").unlink()
    project.readygate("waive", "file.mode", "--reason", "known", "--owner", "ana", "--for", "14d")
    project.readygate("attest", "rollback-rehearsed", "--by", "ana", "--evidence", "drill of today")
    ended = project.readygate("run")
    said = " ".join(ended.stdout.split())
    assert ended.word == "NO-GO"
    assert "the waiver by ana does not count: there is no waivers.yml.sig" in said
    assert "the attestation by ana does not count: there is no attestations.yml.sig" in said
    signers.sign("waivers.yml")
    signers.sign("attestations.yml")
    ended = project.readygate("run")
    assert (ended.code, ended.word) == (0, "GO WITH WAIVERS")
    assert "(signed by ana@shop.example)" in " ".join(ended.stdout.split())
