"""Files on a server: who owns them, who may read them, how old they are, what they hold."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from posixpath import normpath
from shlex import quote
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.asking import ask
from readygate.areas.servers.secrets import Secret, SecretValue
from readygate.areas.servers.settings import Format, SettingKey, Settings, format_of, parse_settings
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Count, Expectation, Flag, Json, Mode, Size, Text, among
from readygate.spec import Spec

# A configuration file is smaller; a log is not what `contains` is for.
_MOST_READ = 4 * 1024 * 1024
# Clocks of file servers differ by some seconds.
_CLOCK_SKEW_S = 60

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def absolute(path: str) -> str:
    """The path, if it says where it is without a folder to start from."""
    if not path.startswith("/") or "\0" in path:
        meant = path.replace("~", "/home/deploy", 1) if path.startswith("~/") else f"/{path.lstrip('~./')}"
        raise Mistake(f"'{path}' is not an absolute path", f"write e.g. {meant}")
    if path != normpath(path):
        raise Mistake(f"'{path}' is a roundabout path", f"write {normpath(path)}")
    return path


def pattern(text: str) -> str:
    """The regular expression, if it can be used and does not match everything."""
    try:
        compiled = re.compile(text, re.MULTILINE)
    except re.error as error:
        raise Mistake(f"'{text}' is not a regular expression: {error}", "mend the pattern") from None
    if compiled.search(""):
        raise Mistake(f"'{text}' matches even an empty text", "write what sets the right text apart")
    return text


AbsolutePath = Annotated[str, AfterValidator(absolute)]
Pattern = Annotated[str, AfterValidator(pattern)]
FileType = Annotated[Text, among("file", "directory", "link", "socket", "pipe", "device")]


class File(Spec):
    """A file, a directory or a link on a server; of a link, all but its type is that of what it leads to."""

    area: ClassVar[str] = "file"
    noun: ClassVar[str] = "file"

    path: AbsolutePath | None = Field(
        None, description="A setting: where it is, if the key is a name of your own and not its absolute path."
    )
    exists: Flag | None = Field(
        None, description="Whether there is anything at this path; with a dead link, neither."
    )
    type: FileType | None = Field(None, description="file, directory, link, socket, pipe or device.")
    mode: Mode | None = Field(None, description='Who may read, write and run it, in quotes: "0600".')
    owner: Text | None = Field(None, description="Name of the user who owns it.")
    group: Text | None = Field(None, description="Name of the group that owns it.")
    uid: Count | None = Field(None, description="Number of the user who owns it.")
    gid: Count | None = Field(None, description="Number of the group that owns it.")
    size: Size | None = Field(None, description="Its size in bytes.")
    age: AtMostDuration | None = Field(None, description="How long ago it was last written.")
    links_to: Text | None = Field(None, description="Where the link leads, as it is written in the link.")
    sha256: Text | None = Field(None, description="SHA-256 of what it holds, in hexadecimal.")
    contains: dict[Pattern, Flag] | None = Field(
        None,
        description="By regular expression: whether some line holds it. What is in the file is never shown.",
    )

    keys: dict[SettingKey, Json] | None = Field(
        None, description="What the file says by key, or by dotted path: {DEBUG: false, server.port: 8080}."
    )
    secrets: dict[str, Secret] | None = Field(None, description="Secrets in it by key; none is ever shown.")
    format: Format | None = Field(None, description="A setting: env, ini, json, yaml or toml, if no name says it.")

    def refuse_name(self, name: str) -> None:
        if self.path is None:
            absolute(name)
        if (self.keys or self.secrets) and self.format is None:
            format_of(self.path or name)

    @property
    def place(self) -> str:
        """Its absolute path."""
        return self.path or self.name


@dataclass(frozen=True, slots=True)
class ActualFile:
    """What is at a path, if anything; times are in seconds of the server's clock.

    `exists` is None of a link that leads to nothing: whoever opens it finds nothing, and yet the path isn't free.
    """

    exists: bool | None
    type: str | None = None
    mode: int | None = None
    owner: str | None = None
    group: str | None = None
    size: int | None = None
    changed_at: int | None = None
    asked_at: int | None = None
    links_to: str | None = None
    leads_to_file: bool = False
    uid: int | None = None
    gid: int | None = None

    @property
    def age_s(self) -> int | None:
        if self.changed_at is None or self.asked_at is None:
            return None
        return age_s(self.changed_at, self.asked_at)

    @property
    def told(self) -> str:
        return f"it leads to {self.links_to}, and there is nothing" if self.exists is None else ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds; None where there is no file. No traceback shows it."""

    text: str | None = field(repr=False)

    def has(self, pattern: str) -> bool | None:
        """Whether some line holds it. CouldNotLook: that depends on how one takes the ends of its lines."""
        if self.text is None:
            return None
        found, other = (
            bool(re.search(pattern, text, re.MULTILINE)) for text in (self.text, self.text.replace("\r\n", "\n"))
        )
        if found != other:
            raise CouldNotLook(
                "its lines end as on Windows, and programs differ in what they make of that",
                mend="convert it, e.g. by `sed -i 's/\\r$//'`",
            )
        return found


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What a file of settings says; nothing where there is no file."""

    settings: Settings | None

    def at(self, key: str, expected: Expectation) -> Any:
        return None if self.settings is None else self.settings.at(key, expected)


def age_s(changed_at: int, asked_at: int) -> int:
    """Seconds since the change. CouldNotLook: it lies in the future, so nothing would ever be too old."""
    if changed_at > asked_at + _CLOCK_SKEW_S:
        raise CouldNotLook(
            f"it is dated {changed_at - asked_at} s in the future, so its age is not known",
            mend="set the clock right, then write the file anew",
        )
    return max(0, asked_at - changed_at)


# Prints what `stat` says, or nothing where nothing is; any other trouble is an error.
LOOK = """
look() {
    if out=$(stat "$@" 2>&1); then printf '%s\\n' "$out"; return; fi
    case $out in
        *"No such file"*|*"Not a directory"*|*"Too many levels"*) ;;
        *) printf '%s\\n' "$out" >&2; exit 1 ;;
    esac
}
"""


def observe_file(host: Any, server: Spec, file: File) -> ActualFile:
    """What `stat` says of the path, by one command."""
    path = quote(file.place)
    format_ = "'%f\n%u %U\n%g %G\n%s\n%Y'"
    script = f"""{LOOK}
date +%s
look -c %f -- {path}
[ -L {path} ] && readlink -- {path} || echo
look -L -c {format_} -- {path}"""
    return parse_stat(ask(host, server.name, script).text)


def parse_stat(text: str) -> ActualFile:
    """Read the server's time, the raw mode in hexadecimal, where a link leads, and what is found there."""
    asked_at, *lines = text.splitlines()
    if len(lines) < 2:
        return ActualFile(exists=False)
    kind = _KINDS.get(stat.S_IFMT(int(lines[0], 16)), "unknown")
    links_to = lines[1] or None
    if len(lines) < 7:
        return ActualFile(exists=None, type=kind, links_to=links_to)
    mode, owner, group, size, changed_at = lines[2:7]
    return ActualFile(
        exists=True,
        type=kind,
        mode=stat.S_IMODE(int(mode, 16)),
        owner=_name(owner),
        group=_name(group),
        size=int(size),
        changed_at=int(changed_at),
        asked_at=int(asked_at),
        links_to=links_to,
        leads_to_file=stat.S_ISREG(int(mode, 16)),
        uid=int(owner.split()[0]),
        gid=int(group.split()[0]),
    )


def _name(number_and_name: str) -> str:
    number, _, name = number_and_name.partition(" ")
    return number if name in ("", "UNKNOWN") else name


def observe_digest(host: Any, server: Spec, file: File, actual_file: ActualFile) -> str | None:
    """SHA-256 of the file in hexadecimal; None where there is no file that holds anything."""
    if not actual_file.leads_to_file:
        return None
    return ask(host, server.name, f"sha256sum < {quote(file.place)}", within=300).text.split()[0]


def observe_contents(host: Any, server: Spec, file: File, actual_file: ActualFile) -> Contents:
    """What the file holds. CouldNotLook: it is larger than 4 MiB."""
    if not actual_file.leads_to_file:
        return Contents(None)
    held = ask(host, server.name, f"head -c {_MOST_READ + 1} < {quote(file.place)}").output
    if len(held) > _MOST_READ:
        raise CouldNotLook(
            f"{file.place} is larger than 4 MiB, too large to search",
            mend="declare a command that searches it",
        )
    return Contents(held.decode(errors="replace"))


def observe_settings(file: File, contents: Contents) -> FileSettings:
    """What the file says by key. CouldNotLook: it is broken, or of another format."""
    if contents.text is None:
        return FileSettings(None)
    return FileSettings(parse_settings(contents.text, file.format or format_of(file.place), file.place))


def observe_secret(secret: Secret, file_settings: FileSettings) -> SecretValue:
    settings = file_settings.settings
    return SecretValue(None) if settings is None else settings.secret(secret.name)


FACTS: dict[str, Callable[..., Any]] = {
    "actual_file": observe_file,
    "digest": observe_digest,
    "contents": observe_contents,
    "file_settings": observe_settings,
    "secret_value": observe_secret,
}
