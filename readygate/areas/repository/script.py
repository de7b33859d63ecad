"""What a shell script of a step really runs, and whether the failure of each command ends the script with it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from readygate.areas.repository.shell_words import Token, tokens_of

_REDIRECTIONS = ("<", ">", "<<<", ">>", ">&", "<&", "<>", ">|", "&>", "&>>")
_ENDS = {"then", "do", "else", "elif", "fi", "done", "esac", "}", ")", ";;"}
# Programs that run what stands behind them; a word that begins with a dash is an option of theirs.
_RUNNERS = (
    ("poetry", "run"), ("uv", "run"), ("pipenv", "run"), ("pdm", "run"), ("hatch", "run"), ("rye", "run"),
    ("python", "-m"), ("python3", "-m"), ("py", "-m"), ("npx",), ("pnpm", "exec"), ("yarn", "run"), ("npm", "run"),
    ("bundle", "exec"), ("uvx",), ("pipx", "run"), ("go", "tool"), ("sudo",), ("env",), ("time",), ("command",),
    ("exec",), ("nice",), ("xvfb-run",),
)  # fmt: skip
# With one of these the tool looks at nothing, or finds what it will and ends well all the same.
_TOOTHLESS = ("--version", "--help", "--exit-zero", "--collect-only", "--continue-on-error", "--passWithNoTests")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a script; `blocks` where its failure fails the script, and else `reason` says why not."""

    words: tuple[str, ...]
    runs: bool = True
    blocks: bool = True
    reason: str = ""

    def is_call_of(self, wanted: tuple[str, ...]) -> bool:
        """Whether it calls the tool that `wanted` begins with, with all the other words among its own."""
        words = _without_runner(self.words)
        if not words or words[0].rpartition("/")[2] != wanted[0].rpartition("/")[2]:
            return False
        given = words[1:]
        if any(each in given and each not in wanted for each in _TOOTHLESS):
            return False
        return all(any(have == want or have.startswith(f"{want}=") for have in given) for want in wanted[1:])


def _without_runner(words: tuple[str, ...]) -> tuple[str, ...]:
    while words:
        if re.match(r"[A-Za-z_]\w*=", words[0]):
            words = words[1:]
            continue
        name = words[0].rpartition("/")[2]
        runner = next((each for each in _RUNNERS if (name, *words[1 : len(each)]) == each), None)
        if runner is None:
            return words
        words = words[len(runner) :]
        while words and words[0].startswith("-") and len(words) > 1:
            words = words[1:]
    return words


def commands_of(script: str, shell: str | None) -> tuple[Command, ...] | None:
    """The commands in their order; None where the shell is none that is understood.

    GitHub runs a script by `bash -e`, and where `shell: bash` is written also with pipefail
    (docs.github.com, "jobs.<job_id>.steps[*].shell").
    """
    name, *options = (shell or "bash -e").split()
    if name not in ("bash", "sh"):
        return None
    flags = "".join(option[1:] for option in options if option.startswith("-") and not option.startswith("--"))
    reader = _Reader(tokens_of(script), errexit="e" in flags or shell in ("bash", "sh"))
    reader.pipefail = shell == "bash" or "pipefail" in options
    return tuple(reader.commands(()))


def wanted_words(text: str) -> tuple[str, ...]:
    """The words of a command that is looked for."""
    return tuple(shlex.split(text))


@dataclass(frozen=True, slots=True)
class _Left:
    """Whether the script was left before a point, and was then said to have gone well."""

    reason: str = ""
    surely: bool = False
    well: bool = False

    def only_sometimes(self, before: _Left) -> _Left:
        """What is left of it where it stood under a condition: leaving by a failure fails the script anyway."""
        if self is before or not self.well:
            return before
        return _Left(f"{self.reason}, under a condition", surely=False, well=True)


_STAYED = _Left()


class _Reader:
    """Reads a list of commands, and knows for each whether the shell would heed its failure."""

    def __init__(self, tokens: list[Token], *, errexit: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._errexit = errexit
        self.pipefail = False
        self._left = _STAYED

    def commands(self, ends: tuple[str, ...]) -> list[Command]:
        """All commands up to one of these words, which stays unread."""
        found: list[Command] = []
        while not self._is_over(ends):
            if self._sign("\n", ";", "&", ";;"):
                continue
            before = self._at
            found += self._chain(ends)
            if self._at == before:
                self._at += 1  # a stray sign; go on behind it
        return found

    def _is_over(self, ends: tuple[str, ...]) -> bool:
        token = self._peek()
        return token is None or (token.text in ends and (not token.is_sign or token.text in (")", ";;")))

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _sign(self, *signs: str) -> str | None:
        token = self._peek()
        if token and token.is_sign and token.text in signs:
            self._at += 1
            return token.text
        return None

    def _chain(self, ends: tuple[str, ...]) -> list[Command]:
        """Pipelines joined by `&&` and `||`, up to where the next line or command begins."""
        was_on = self._errexit
        links: list[list[Command]] = [self._pipeline(ends)]
        signs: list[str] = []
        while sign := self._sign("&&", "||"):
            while self._sign("\n"):
                pass
            signs.append(sign)
            left = self._left
            links.append(self._pipeline(ends))
            self._left = self._left.only_sometimes(left)
        in_background = (token := self._peek()) is not None and token.is_sign and token.text == "&"
        is_last = self._is_last()
        found: list[Command] = []
        for number, link in enumerate(links):
            following = signs[number:]
            if "||" in following and not _fails(links[number + 1 + following.index("||")]):
                link = _not_blocking(link, "its failure is caught by `||`")
            elif "&&" in following and not is_last:
                link = _not_blocking(link, "the shell does not heed a failure before `&&`, except in the last line")
            if "||" in signs[:number]:
                link = [
                    replace(each, blocks=False, reason=f"it runs only behind `{signs[number - 1]}`") for each in link
                ]
            if in_background:
                link = _not_blocking(link, "it runs in the background")
            if not was_on and not is_last:
                link = _not_blocking(link, "`set +e` has turned the failure of commands off")
            found += link
        return found

    def _is_last(self) -> bool:
        rest = self._tokens[self._at :]
        return all(token.is_sign and token.text in ("\n", ";") for token in rest)

    def _pipeline(self, ends: tuple[str, ...]) -> list[Command]:
        inverted = False
        while (token := self._peek()) and not token.is_sign and token.text == "!":
            self._at += 1
            inverted = True
        parts = [self._command(ends)]
        while self._sign("|", "|&"):
            while self._sign("\n"):
                pass
            parts.append(self._command(ends))
        if not self.pipefail:
            parts[:-1] = [_not_blocking(part, "the pipe hides its failure; set pipefail") for part in parts[:-1]]
        found = [each for part in parts for each in part]
        return _not_blocking(found, "`!` turns its failure into a success") if inverted else found

    def _command(self, ends: tuple[str, ...]) -> list[Command]:
        if self._sign("("):
            return self._group((")",))
        token = self._peek()
        if token is None or token.is_sign:
            return []
        match token.text:
            case "{":
                self._at += 1
                return self._group(("}",))
            case "if" | "while" | "until":
                self._at += 1
                return self._conditional()
            case "for" | "select":
                self._skip_to("do")
                return self._group(("done",))
            case "case":
                self._skip_to("in")
                return _sometimes(self._group(("esac",)))
            case "function":
                self._at += 2
                self._sign("(")
                self._sign(")")
                return self._function()
        words = self._simple()
        if len(words) == 1 and self._sign("("):
            self._sign(")")
            return self._function()
        return self._noted(words)

    def _group(self, ends: tuple[str, ...]) -> list[Command]:
        left = self._left
        found = self.commands(ends)
        self._at += 1
        self._redirections()
        if ends != ("}",):
            self._left = self._left.only_sometimes(left)
        return found

    def _conditional(self) -> list[Command]:
        left = self._left
        found = _not_blocking(self.commands(("then", "do")), "it is a condition, and those may fail")
        while (token := self._peek()) is not None:
            self._at += 1
            if token.text in ("fi", "done"):
                break
            if token.text == "elif":
                found += _not_blocking(self.commands(("then",)), "it is a condition, and those may fail")
            else:
                found += _sometimes(self.commands(("elif", "else", "fi", "done")))
        self._redirections()
        self._left = self._left.only_sometimes(left)
        return found

    def _function(self) -> list[Command]:
        while self._sign("\n"):
            pass
        before = self._left
        body = self._command(())
        self._left = before
        return [replace(each, runs=False, blocks=False, reason="it stands in a function") for each in body]

    def _skip_to(self, word: str) -> None:
        while (token := self._peek()) is not None:
            self._at += 1
            if not token.is_sign and token.text == word:
                return

    def _simple(self) -> tuple[str, ...]:
        words: list[str] = []
        while (token := self._peek()) is not None:
            if token.is_sign:
                if token.text not in _REDIRECTIONS:
                    break
                self._redirection()
                continue
            self._at += 1
            words.append(token.text)
        return tuple(words)

    def _redirection(self) -> None:
        self._at += 1
        token = self._peek()
        if token and not token.is_sign:
            self._at += 1

    def _redirections(self) -> None:
        while (token := self._peek()) is not None and token.is_sign and token.text in _REDIRECTIONS:
            self._redirection()

    def _noted(self, words: tuple[str, ...]) -> list[Command]:
        if not words:
            return []
        noted = Command(words, not self._left.surely, not self._left.reason, self._left.reason)
        name = words[0]
        if name == "set":
            self._set(words[1:])
        elif name in ("exit", "return") and not self._left.surely:
            self._left = _Left(f"the script is left before by `{' '.join(words[:2])}`", True, _is_zero(words[1:]))
        return [noted]

    def _set(self, options: tuple[str, ...]) -> None:
        for number, option in enumerate(options):
            if re.fullmatch(r"[-+][a-zA-Z]*e[a-zA-Z]*", option) or options[number : number + 1] == ("errexit",):
                self._errexit = option.startswith("-") or options[number - 1] == "-o"
            if option == "pipefail" and number:
                self.pipefail = options[number - 1].startswith("-")


def _sometimes(commands: list[Command]) -> list[Command]:
    return _not_blocking(commands, "it runs only under a condition of the script")


def _is_zero(words: tuple[str, ...]) -> bool:
    """Whether an exit code may be 0; without any it is that of the command before."""
    return not words or not words[0].isdigit() or int(words[0]) == 0


def _fails(commands: list[Command]) -> bool:
    """Whether this link, taken after a failure, is itself sure to fail: exit 1, or false."""
    words = commands[-1].words if commands else ()
    return words[:1] == ("false",) or (words[:1] == ("exit",) and not _is_zero(words[1:]))


def _not_blocking(commands: list[Command], reason: str) -> list[Command]:
    return [replace(each, blocks=False, reason=each.reason or reason) for each in commands]


def calls_of(commands: tuple[Command, ...], wanted: tuple[str, ...]) -> Iterator[Command]:
    """The calls of a tool among the commands."""
    return (each for each in commands if each.is_call_of(wanted))
