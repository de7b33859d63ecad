"""Why a server could not be looked at, in plain words, and what to do about it."""

from __future__ import annotations

import re

from readygate.errors import CouldNotLook

# What a client prints before there is a shell -> what is wrong; what to do. The first match wins.
_REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host key of {server} has changed: another machine answers, or it was reinstalled",
        "find out which; if it was reinstalled, run `ssh-keygen -R {server}` and accept the new key by hand",
    ),
    (
        r"Host key verification failed|No \S+ host key is known",
        "the host key of {server} is not known",
        "connect once by hand and compare the fingerprint, or add the key to known_hosts",
    ),
    (
        r"Could not resolve hostname|Name or service not known|nodename nor servname",
        "the name of {server} does not resolve",
        "correct `connect:` or the DNS record",
    ),
    (
        r"Connection refused",
        "{server} refused the connection: nothing listens on that port",
        "check the port and that sshd runs",
    ),
    (
        r"timed out|Timeout, server|No route to host|Network is unreachable",
        "{server} did not answer in time",
        "check that it is up, and that a firewall lets this machine through",
    ),
    (
        r"Too many authentication failures",
        "{server} gave up after too many keys were offered",
        "name the one key: `IdentityFile` with `IdentitiesOnly yes` in ssh_config",
    ),
    (
        r"Permission denied \(",
        "{server} accepts neither the key nor the user that was offered",
        "check the user, the key and authorized_keys: `ssh {server}` has to work without a question",
    ),
    (
        r"Sorry, try again|incorrect password attempt",
        "sudo on {server} refused the password",
        "correct the secret that holds it",
    ),
    (
        r"sudo:.*(password is required|no password was provided|terminal is required)",
        "sudo on {server} needs a password",
        "allow the user `NOPASSWD: /bin/sh` in sudoers; `sudo -n true` has to work there",
    ),
    (
        r"sudo:.*must have a tty",
        "sudo on {server} works only on a terminal (requiretty)",
        "add `Defaults:USER !requiretty` for this user to sudoers",
    ),
    (
        r"is not in the sudoers file|is not allowed to (run sudo|execute)",
        "the user may not use sudo on {server}",
        "allow it in sudoers, or take `sudo: true` out of the inventory",
    ),
    (
        r"sudo: unknown user",
        "the user that sudo should become is not known on {server}",
        "correct the user's name",
    ),
    (
        r"sudo: (command )?not found|\"sudo\": executable file not found|exec: sudo",
        "there is no sudo on {server}",
        "install it, or connect as the user who may look",
    ),
    (
        r"No such container|no container with name or ID|no such container",
        "there is no container {server}",
        "correct its name, or start it",
    ),
    (
        r"unable to find user",
        "the user to look as is not known in {server}",
        "correct the user's name in `connect:`",
    ),
    (
        r"[Cc]ontainer \S+ is (not running|paused|restarting)|container state improper",
        "the container {server} is not running",
        "start it; its log says why it stopped",
    ),
    (
        r"Cannot connect to the Docker daemon|permission denied while trying to connect to the [Dd]ocker",
        "the docker daemon cannot be reached",
        "start docker, or let this user talk to it",
    ),
    (
        r"pods? \"[^\"]*\" not found|Error from server \(NotFound\)",
        "there is no pod {server}",
        "correct the pod's name and its namespace",
    ),
    (
        r"Error from server \(Forbidden\)|cannot create resource \"pods/exec\"",
        "the cluster does not let us into the pod {server}",
        "allow this account `create` on `pods/exec`",
    ),
    (
        r"error: context .* does not exist|error: .*kubeconfig|The connection to the server \S+ was refused",
        "kubectl cannot reach the cluster",
        "check the kubeconfig and its context",
    ),
    (
        r"account is currently not available|nologin",
        "the user's login shell on {server} lets nobody in",
        "connect as a user who may log in",
    ),
)

_TURNED_AWAY = re.compile(
    r"kex_exchange_identification|Connection (closed|reset) by|Exceeded MaxStartups|[Ss]ession open refused"
)


# By the exit code of a client that gave no shell, where nothing that was said is known.
_TRY: dict[int | None, str] = {
    0: "something else answers in place of a shell: look at ForceCommand, authorized_keys and the login shell",
    255: "try it by hand; `ssh -v` tells more, and `LogLevel` in ssh_config may keep it from telling",
}


def explain_connection_failure(
    server: str, stderr: str, rc: int | None = None, *, waited: float | None = None
) -> CouldNotLook:
    """Why there is no shell on `server`; all its checks share the one cause `unreachable:<server>`.

    `stderr` is what the client printed, `rc` its exit code, and `waited` the seconds after which we gave up.
    """
    cause = f"unreachable:{server}"
    for pattern, wrong, mend in _REASONS:
        if re.search(pattern, stderr):
            return CouldNotLook(wrong.format(server=server), cause=cause, mend=mend.format(server=server))
    said = f": {last}" if (last := last_line(stderr)) else ""
    if said.startswith(": sudo: "):  # in whatever language
        reason, mend = f"sudo on {server} lets nobody in", "let `sudo -n /bin/sh` work there without a question"
        return CouldNotLook(reason + said, cause=cause, mend=mend)
    if waited is not None:
        reason, mend = (
            f"{server} let us in and then gave no sign of a shell for {waited:g} s",
            "look at its load",
        )
        return CouldNotLook(reason + said, cause=cause, mend=mend)
    if was_turned_away(stderr):
        reason, mend = (
            f"{server} closed the connection before the login",
            "look at its sshd log and MaxStartups",
        )
        return CouldNotLook(reason + said, cause=cause, mend=mend)
    ended = "" if rc is None else f" (exit code {rc})"
    mend = _TRY.get(rc, "try it by hand")
    return CouldNotLook(f"no shell could be had on {server}{ended}{said}", cause=cause, mend=mend)


def was_turned_away(stderr: str) -> bool:
    """Whether a server that is there had no room for one more connection just now."""
    return _TURNED_AWAY.search(stderr) is not None


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
