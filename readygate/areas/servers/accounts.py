"""Users and groups of a server, as its name service knows them, and how users get in and become root."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.asking import ask
from readygate.areas.servers.files import LOOK
from readygate.areas.servers.named import Named
from readygate.areas.servers.sshd import RUNNING_SSHD
from readygate.errors import CouldNotLook
from readygate.expectation import Count, Flag, Text, TextSet
from readygate.spec import Spec


class User(Spec):
    """An account on a server."""

    area: ClassVar[str] = "user"
    noun: ClassVar[str] = "user"

    exists: Flag | None = Field(None, description="Whether the server knows the account.")
    uid: Count | None = Field(None, description="Its number.")
    gid: Count | None = Field(None, description="The number of its primary group.")
    groups: TextSet | None = Field(None, description="Names of all its groups, the primary one too.")
    home: Text | None = Field(None, description="Its home directory.")
    shell: Text | None = Field(None, description="What it is given at login.")
    password_login: Flag | None = Field(None, description="Whether it has a password that opens it.")
    expired: Flag | None = Field(None, description="Whether the account or its password has expired.")
    sudo: TextSet | None = Field(None, description="What sudo lets it do: (ALL : ALL) NOPASSWD: ALL.")
    sudo_rules: Count | None = Field(None, description="How many rules of sudo let it do anything.")
    authorised_keys: TextSet | None = Field(
        None, description="Fingerprints of the keys that sshd lets in as this user: SHA256:..."
    )
    authorised_key_count: Count | None = Field(None, description="How many keys sshd lets in as this user.")


class Group(Spec):
    """A group on a server."""

    area: ClassVar[str] = "group"
    noun: ClassVar[str] = "group"

    exists: Flag | None = Field(None, description="Whether the server knows the group.")
    gid: Count | None = Field(None, description="Its number.")
    members: TextSet | None = Field(None, description="Names of those who are in it beside their primary group.")


@dataclass(frozen=True, slots=True)
class ActualUser:
    """An account as it is; only `exists` is known of one that isn't there."""

    exists: bool
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] | None = None
    home: str | None = None
    shell: str | None = None


@dataclass(frozen=True, slots=True)
class ActualGroup:
    """A group as it is; only `exists` is known of one that isn't there."""

    exists: bool
    gid: int | None = None
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class AuthorisedKeys:
    """The keys that open an account: fingerprint and comment of each."""

    keys: tuple[tuple[str, str], ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return tuple(fingerprint for fingerprint, _ in self.keys)

    @property
    def count(self) -> int:
        return len(self.keys)

    @property
    def told(self) -> str:
        return f"keys are {', '.join(' '.join(key) for key in self.keys)}"


def observe_user(host: Any, server: Spec, user: Spec) -> ActualUser:
    """What getent (or /etc/passwd where there is none) and id say."""
    name = quote(user.name)
    script = f"""
if command -v getent >/dev/null; then
    entry=$(getent passwd {name}) || [ $? = 2 ] || exit 1
else
    entry=$(grep -- {quote("^" + user.name + ":")} /etc/passwd) || [ $? = 1 ] || exit 1
fi
[ -n "$entry" ] || exit 0
printf '%s\\n' "$entry"
id -Gn -- {name}"""
    return parse_user(user.name, ask(host, server.name, script).text)


def parse_user(name: str, text: str) -> ActualUser:
    """Read a line of passwd, and one of the names of the groups."""
    entry, _, names = text.partition("\n")
    fields = entry.split(":")
    # Asked for `0`, getent answers with root.
    if len(fields) < 7 or fields[0] != name:
        return ActualUser(exists=False)
    return ActualUser(
        exists=True,
        uid=int(fields[2]),
        gid=int(fields[3]),
        groups=tuple(sorted(set(names.split()))),
        home=fields[5],
        shell=fields[6],
    )


def observe_group(host: Any, server: Spec, group: Spec) -> ActualGroup:
    """What getent says, or /etc/group where there is none."""
    name = quote(group.name)
    script = f"""
if command -v getent >/dev/null; then getent group {name} || [ $? = 2 ]
else grep -- {quote("^" + group.name + ":")} /etc/group || [ $? = 1 ]; fi"""
    fields = ask(host, server.name, script).text.strip().split(":")
    if len(fields) < 4 or fields[0] != group.name:
        return ActualGroup(exists=False)
    return ActualGroup(True, int(fields[2]), tuple(sorted(name for name in fields[3].split(",") if name)))


def observe_sudoers(host: Any, server: Spec) -> tuple[str, ...]:
    """Whom the rules of sudo are for, in /etc/sudoers and in the folder beside it. It takes root."""
    # Of the folder sudo takes no file with a dot in its name, nor one that ends with `~`.
    script = """
[ -e /etc/sudoers ] || exit 0
cat /etc/sudoers || exit 1
[ ! -d /etc/sudoers.d ] || ls /etc/sudoers.d >/dev/null || exit 1
for file in /etc/sudoers.d/*; do
    case ${file##*/} in *.*|*~|'*') ;; *) echo; cat -- "$file" || exit 1 ;; esac
done"""
    return parse_sudoers(ask(host, server.name, script).text)


def parse_sudoers(text: str) -> tuple[str, ...]:
    """Read rules such as `%sudo ALL=(ALL:ALL) ALL`; an alias stands for those that it has as members.

    CouldNotLook: there are rules in other files than those that are looked at.
    """
    for included in re.findall(r"^[ \t]*[#@]include(?:dir)?[ \t]+(.+?)[ \t]*$", text, re.MULTILINE):
        if included.strip('"') != "/etc/sudoers.d":
            raise CouldNotLook(
                f"/etc/sudoers takes rules from {included} too, where it is not looked",
                mend="move them into /etc/sudoers.d; or declare `sudo_rules` of the users",
            )
    aliases: dict[str, list[str]] = {}
    whom: set[str] = set()
    for line in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(?<!\S)#(?!\d|include).*", "", line).strip()
        if line.startswith("User_Alias"):
            for each in line.removeprefix("User_Alias").split(":"):
                name, _, members = each.partition("=")
                aliases[name.strip()] = _listed(members)
        elif not re.match(r"#(?!\d)|@include|Defaults|\w+_Alias\b", line) and (
            rule := re.match(r"(.+?)\s+[^,=\s]+\s*=", line)
        ):
            whom.update(_listed(rule[1]))
    return tuple(sorted({member for each in whom for member in _members(each, aliases)}))


def _members(name: str, aliases: Mapping[str, list[str]]) -> Iterator[str]:
    """The name, or all that an alias stands for, be it by others; sudo lets none stand for itself."""
    known = {other: members for other, members in aliases.items() if other != name}
    for each in aliases.get(name, ()):
        yield from _members(each, known)
    if name not in aliases:
        yield name


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


# Of the password only what tells a lock from one leaves the server; then when it was changed, how many days it may
# last, when the account ends, and what day it is.
_SHADOW = """
name={name}
mark=$(awk -F : -v user="$name" '$1 == user {{ print ":" substr($2, 1, 1); exit }}' /etc/passwd) || exit 1
entry=$(awk -F : -v user="$name" '$1 == user {{ print substr($2, 1, 1) " " $3 " " $5 " " $8; exit }}' /etc/shadow) ||
    exit 1
case $mark in
    '') echo "$name is not in /etc/passwd; others know of its password" >&2; exit 1 ;;
    :x) [ -n "$entry" ] || {{ echo "$name is not in /etc/shadow" >&2; exit 1; }} ;;
    *) entry="${{mark#:}} ${{entry#* }}"; case $entry in *' '*' '*' '*) ;; *) entry="${{mark#:}}   " ;; esac ;;
esac
printf '%s %s' "$entry" "$(($(date +%s) / 86400))"
"""


def observe_password_login(host: Any, server: Spec, user: Spec, actual_user: ActualUser) -> bool | None:
    """Whether the user has a password, even an empty one; `!` and `*` are none. It takes root."""
    if not actual_user.exists:
        return None
    return ask(host, server.name, _SHADOW.format(name=quote(user.name))).text.split(" ")[0] not in ("!", "*", "x")


def observe_expiry(host: Any, server: Spec, user: Spec, actual_user: ActualUser) -> bool | None:
    """Whether the account or its password has expired by /etc/shadow, as shadow(5) has it. It takes root."""
    if not actual_user.exists:
        return None
    _, changed, longest, ends, today = ask(host, server.name, _SHADOW.format(name=quote(user.name))).text.split(" ")
    return has_expired(changed, longest, ends, int(today))


def has_expired(changed: str, longest: str, ends: str, today: int) -> bool:
    """By the days of /etc/shadow: the last change, how long a password may last, and the account's end."""
    if ends and today >= int(ends):
        return True
    # A password that was last changed on day 0 has to be changed first of all.
    return bool(changed) and (changed == "0" or (longest not in ("", "-1") and today > int(changed) + int(longest)))


def observe_sudo_rules(host: Any, server: Spec, user: Spec, actual_user: ActualUser) -> tuple[str, ...] | None:
    """What `sudo -l -U` lists; None where there is no such user. CouldNotLook: it takes root."""
    if not actual_user.exists:
        return None
    script = f"command -v sudo >/dev/null || exit 0; sudo -n -l -U {quote(user.name)} || exit 1"
    return parse_sudo_rules(ask(host, server.name, script).text)


def parse_sudo_rules(text: str) -> tuple[str, ...]:
    """Read what stands indented below `User deploy may run the following commands on app-1:`."""
    _, _, rules = text.partition("may run the following commands")
    return tuple(line.strip() for line in rules.splitlines()[1:] if line.strip())


def observe_authorised_keys(host: Any, server: Spec, user: Spec, actual_user: ActualUser) -> AuthorisedKeys | None:
    """The keys in the files that sshd looks at for this user, and those whose certificates it takes from anyone.

    None where there is no such user.
    """
    if not actual_user.exists or actual_user.home is None:
        return None
    default = ".ssh/authorized_keys .ssh/authorized_keys2"
    whom = quote(f"user={user.name},host=localhost,addr=192.0.2.1")
    script = f"""{LOOK}
files=
if [ -x "$(command -v sshd || echo /usr/sbin/sshd)" ]; then
{RUNNING_SSHD}
    settings=$($sshd -T $options -C {whom}) || exit 1
    files=$(printf '%s\\n' "$settings" | sed -n 's/^authorizedkeysfile //p; s/^trustedusercakeys //p')
    case $settings in *"authorizedkeyscommand /"*) echo 'sshd asks a command for keys, too' >&2; exit 1 ;; esac
fi
for file in ${{files:-{default}}}; do
    file=$(printf '%s' "$file" | sed {quote(f"s|%u|{user.name}|g; s|%h|{actual_user.home}|g")})
    case $file in /*) ;; none) continue ;; *) file={quote(actual_user.home)}/$file ;; esac
    found=$(look -L -c %f -- "$file") || exit 1
    [ -z "$found" ] || cat -- "$file" || exit 1
done"""
    return parse_authorised_keys(ask(host, server.name, script).text)


# Between the words of a line sshd takes any number of blanks and tabs; how a key begins is the length of its type.
_KEY = re.compile(r"(?:^|[ \t])[A-Za-z0-9@.-]+[ \t]+(AAAA[A-Za-z0-9+/]+=*)(?:[ \t]+(.*))?$")


def parse_authorised_keys(text: str) -> AuthorisedKeys:
    """Read the lines of authorized_keys, options before a key and all; sshd(8) has their form."""
    keys = []
    for line in text.splitlines():
        found = _KEY.search(line.rstrip()) if not line.lstrip().startswith("#") else None
        if found and len(digits := found[1].rstrip("=")) % 4 != 1:
            blob = base64.b64decode(digits + "=" * (-len(digits) % 4))
            digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
            keys.append((f"SHA256:{digest}", (found[2] or "").strip()))
    return AuthorisedKeys(tuple(keys))


def observe_superusers(host: Any, server: Spec) -> tuple[str, ...]:
    """Names of all accounts with the number 0, by /etc/passwd."""
    zeros = ask(host, server.name, "grep -E '^[^:]+:[^:]*:0+:' /etc/passwd || [ $? = 1 ]").text.splitlines()
    return tuple(line.partition(":")[0] for line in zeros)


def observe_open_accounts(host: Any, server: Spec) -> Named:
    """Names of the accounts whose password is empty, by /etc/shadow and /etc/passwd. It takes root."""
    script = "grep -hE '^[^:]+::' /etc/passwd /etc/shadow || [ $? = 1 ]"
    lines = ask(host, server.name, script).text.splitlines()
    return Named("without a password are", tuple(sorted({line.partition(":")[0] for line in lines})))


FACTS: dict[str, Callable[..., Any]] = {
    "actual_user": observe_user,
    "actual_group": observe_group,
    "password_login": observe_password_login,
    "account_expired": observe_expiry,
    "sudo_rules": observe_sudo_rules,
    "authorised_keys": observe_authorised_keys,
    "sudoers": observe_sudoers,
    "superusers": observe_superusers,
    "open_accounts": observe_open_accounts,
}
