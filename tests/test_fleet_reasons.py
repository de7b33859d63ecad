"""Why a server can't be looked at, from what real clients printed."""

from __future__ import annotations

import pytest

from readygate.fleet.reasons import explain_connection_failure, was_turned_away

CHANGED = """@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.
Host key verification failed."""

RECORDED = [
    ("ssh: Could not resolve hostname app-1.invalid: Name or service not known", "does not resolve"),
    ("ssh: connect to host 10.0.0.1 port 22: Connection refused", "refused the connection"),
    ("ssh: connect to host 10.0.0.1 port 22: Connection timed out", "did not answer in time"),
    ("ssh: connect to host 10.0.0.1 port 22: No route to host", "did not answer in time"),
    ("Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out", "did not answer"),
    ("deploy@10.0.0.1: Permission denied (publickey).", "accepts neither the key nor the user"),
    ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", "too many keys"),
    (CHANGED, "has changed: another machine answers"),
    ("No ED25519 host key is known for app-1 and you have requested strict checking.", "is not known"),
    ("Host key verification failed.", "is not known"),
    ("sudo: a password is required", "needs a password"),
    ("sudo: a terminal is required to read the password; either use the -S option", "needs a password"),
    ("Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt", "refused the password"),
    ("sudo: sorry, you must have a tty to run sudo", "requiretty"),
    ("deploy is not in the sudoers file.", "may not use sudo"),
    ("Sorry, user deploy is not allowed to execute '/bin/sh' as root on app-1.", "may not use sudo"),
    ("sudo: unknown user ghost\nsudo: error initializing audit plugin sudoers_audit", "not known"),
    ("sh: 1: exec: sudo: not found", "there is no sudo"),
    ('OCI runtime exec failed: exec: "sudo": executable file not found in $PATH: unknown', "there is no sudo"),
    ("Error response from daemon: No such container: web", "there is no container app-1"),
    ("Error: No such container: web", "there is no container app-1"),
    ("unable to find user ghost: no matching entries in passwd file", "not known in app-1"),
    ("Error response from daemon: Container 4f5e6d is not running", "is not running"),
    ("Error response from daemon: container 4f5e6d is not running", "is not running"),
    ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?", "daemon"),
    ('Error: no container with name or ID "web" found: no such container', "there is no container"),
    ('Error from server (NotFound): pods "web-1" not found', "there is no pod"),
    ('Error from server (Forbidden): pods "web-1" is forbidden: cannot create resource "pods/exec"', "not let us"),
    ('error: context "prod" does not exist', "cannot reach the cluster"),
    ("The connection to the server localhost:8080 was refused - did you specify the right host?", "cluster"),
    ("This account is currently not available.", "login shell"),
    ("kex_exchange_identification: Connection closed by remote host", "closed the connection before the login"),
]


@pytest.mark.parametrize(("printed", "reason"), RECORDED, ids=[printed[:50] for printed, _ in RECORDED])
def test_reason_is_told_in_plain_words_with_a_mend(printed: str, reason: str) -> None:
    error = explain_connection_failure("app-1", f"Authorised use only.\n{printed}\n", 255)
    assert reason in error.reason
    assert error.cause == "unreachable:app-1"
    assert error.mend


def test_sudo_that_speaks_another_language_is_told_as_sudo() -> None:
    error = explain_connection_failure("app-1", "sudo: требуется указать пароль\n", 1)
    assert error.reason == "sudo on app-1 lets nobody in: sudo: требуется указать пароль"
    assert "sudo -n /bin/sh" in error.mend


def test_what_is_not_known_is_quoted() -> None:
    error = explain_connection_failure("app-1", "some new message\n", 42)
    assert error.reason == "no shell could be had on app-1 (exit code 42): some new message"


def test_what_answers_in_place_of_a_shell_is_quoted() -> None:
    error = explain_connection_failure("app-1", "backups only\n", 0)
    assert error.reason == "no shell could be had on app-1 (exit code 0): backups only"
    assert "ForceCommand" in error.mend


def test_silence_names_the_seconds() -> None:
    assert "no sign of a shell for 6 s" in explain_connection_failure("app-1", "", waited=6.0).reason


def test_only_a_server_without_room_is_asked_again() -> None:
    assert was_turned_away("kex_exchange_identification: read: Connection reset by peer")
    assert not was_turned_away("ssh: connect to host 10.0.0.1 port 22: Connection refused")
