"""How sshd of a server is set, as sshd itself says it, with what the rules for some users make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from readygate.areas.asking import ask
from readygate.errors import Mistake
from readygate.expectation import Json
from readygate.results import Evidence
from readygate.spec import Spec


def sshd_keyword(key: str) -> str:
    """The keyword, if sshd_config(5) could have it."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]+", key):
        raise Mistake(f"'{key}' is not a keyword of sshd", "write e.g. PermitRootLogin")
    return key


def _yes_or_no(raw: object) -> object:
    return ("yes" if raw else "no") if isinstance(raw, bool) else raw


SshdKeyword = Annotated[str, AfterValidator(sshd_keyword)]
SshdValue = Annotated[Json, BeforeValidator(_yes_or_no)]


@dataclass(frozen=True, slots=True)
class SshdSettings:
    """The settings for everybody, and those for some by the condition of their `Match`; keywords in small."""

    everybody: Mapping[str, str]
    some: tuple[tuple[str, str, str], ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def value(self, keyword: str) -> int | str | None:
        """What holds; where another value holds for some, both of them, so that it equals neither."""
        value = self.everybody.get(keyword.lower())
        others = [
            f"{other} for {condition}"
            for condition, name, other in self.some
            if name == keyword.lower() and other != value
        ]
        if others:
            return f"{value}, but {' and '.join(others)}"
        return int(value) if value is not None and value.isascii() and value.isdigit() else value


# To begin a script with that asks `sshd -T`, which reads the files as they are now. $options are those that the sshd
# that runs was started with, $config is all that its files say; where one of them was changed after it read them, the
# script ends. A PidFile is written whenever the files are read; a folder is changed by a file that came or went. An
# sshd of inetd, or one that a socket starts for each connection, reads them for each.
RUNNING_SSHD = r"""
sshd=$(command -v sshd || echo /usr/sbin/sshd)
refuse() { echo "$1" >&2; exit 1; }
options= settings=$($sshd -T -C user=nobody,host=localhost,addr=192.0.2.1) || exit 1
read=$(printf '%s\n' "$settings" | sed -n 's/^pidfile //p')
if [ -e "$read" ] && pid=$(cat "$read") && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ]; then
    options=$(tr '\0' ' ' <"/proc/$pid/cmdline")
    case $options in
        'sshd: '*' [listener]'*) options=${options#sshd: } options=${options% \[listener\]*} ;;
        'sshd: '*) refuse 'how the running sshd was started can not be told' ;;
    esac
    case $options in *' '*) options=${options#* } ;; *) options= ;; esac
    case " $options" in *' -f'*) refuse "the running sshd was started with a file of its own: $options" ;; esac
else
    read=
    for each in $(grep -lx sshd /proc/[0-9]*/comm 2>/dev/null); do
        case $(tr '\0' ' ' 2>/dev/null <"${each%comm}cmdline") in
            *' -i '* | *' -i') ;;
            /* | 'sshd: '*'[listener]'*) refuse 'when the running sshd read its files only a PidFile would tell' ;;
        esac
    done
fi
read_before() {
    [ "$read" ] && [ -e "$1" ] || return 0
    newer=$(find "$1" -prune -cnewer "$read" 2>/dev/null && find -L "$1" -prune -cnewer "$read" 2>/dev/null) ||
        [ "$(stat -L -c %Z "$1")" -lt "$(stat -c %Y "$read")" ] || newer=1  # by busybox, to the second
    [ -z "$newer" ] || refuse "sshd has not read $1 since it was changed: reload it"
}
show() (
    [ -r "$1" ] || refuse "$1: Permission denied"
    read_before "$1"
    echo readygate:begin
    while read -r word rest || [ -n "$word" ]; do
        case $word in
            [Ii][Nn][Cc][Ll][Uu][Dd][Ee]*)
                set -f; patterns=$(printf '%s' "${word#???????} $rest" | tr -d '"=')
                for pattern in $patterns; do
                    case $pattern in *[*?[]*) read_before "$(dirname "$pattern")" ;; esac
                done
                set +f
                for file in $patterns; do
                    [ ! -f "$file" ] || show "$file" || exit 1
                done ;;
            *) printf '%s %s\n' "$word" "$rest" ;;
        esac
    done <"$1"
    echo readygate:end
)
config=$(cd /etc/ssh && show sshd_config) || exit 1
"""

# sshd needs a folder that only its own start would make; without it, it says so on its error output.
_ASK = f"""{RUNNING_SSHD}
$sshd -T $options -C user=nobody,host=localhost,addr=192.0.2.1 || exit 1
printf '=\n%s\n' "$config"
"""


def observe_sshd(host: Any, server: Spec) -> SshdSettings:
    """What `sshd -T` says, and the blocks of `Match` in its files.

    CouldNotLook: it takes root, or the sshd that runs has not read its files since they were changed.
    """
    text = ask(host, server.name, _ASK).text
    return parse_sshd(text, Evidence("sshd -T", text.partition("\n=\n")[0]))


def parse_sshd(text: str, *evidence: Evidence) -> SshdSettings:
    """Read a keyword and its value a line; a keyword that is there twice, such as `port`, has both values."""
    effective, _, files = text.partition("\n=\n")
    everybody: dict[str, str] = {}
    for line in effective.splitlines():
        keyword, _, value = line.partition(" ")
        value = "prohibit-password" if value == "without-password" else value  # the older of two names
        everybody[keyword] = f"{everybody[keyword]} {value}" if keyword in everybody else value
    return SshdSettings(everybody, tuple(_for_some(files)), evidence)


def _for_some(files: str) -> Iterator[tuple[str, str, str]]:
    """Condition, keyword and value; an included file belongs to the block that includes it."""
    condition, around = "all", ["all"]
    for line in files.splitlines():
        if line == "readygate:begin":
            around.append(condition)
        elif line == "readygate:end":
            condition = around.pop()
        words = re.split(r"\s*=\s*|\s+", line.strip(), maxsplit=1)
        if len(words) < 2 or words[0].startswith("#"):
            continue
        keyword, value = words[0].lower(), words[1].strip().strip('"')
        if keyword == "match":
            both = [each for each in (around[-1], value) if each.lower() != "all"]
            condition = " and ".join(both) or "all"
        elif condition.lower() != "all":
            yield condition, keyword, value


FACTS: dict[str, Callable[..., Any]] = {"sshd_settings": observe_sshd}
