"""Fills in the `${…}` of an inventory: variables, and secrets from the environment, files and commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from readygate.errors import InventoryError, Mistake, Position, Problem
from readygate.inventory import source
from readygate.inventory.plain_secrets import plain_secret, secret_in_command
from readygate.inventory.source import Entry, Node, Scalar, Sequence
from readygate.redaction import SHORTEST, Redactor
from readygate.spec import Path as TreePath
from readygate.spec import dotted

COMMAND_SECONDS = 10

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SOUNDS_SECRET = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|TOKEN|SECRET|CREDENTIAL|WEBHOOK|PRIVATE|(KEYS?|PASS|(?<=_)PWD|DSN)(?=_|\d*$)",
    re.I,
)
_PASSWORD_IN_URL = re.compile(r"^[A-Za-z][\w+.-]*://[^\s:/?#]*:([^\s/?#]+)@")


def resolve(tree: source.Mapping, environ: Mapping[str, str], redactor: Redactor) -> source.Mapping:
    """The tree with every reference replaced by its text; raises InventoryError with all that can't be.

    `${NAME}`, `${NAME:-default}` and `${secret:NAME}` come from `environ`, `${file:path}` from a file (path
    relative to the inventory file), `${command:line}` from what `sh` prints; `$${` stands for `${`. What is
    filled in stays text and is not searched for references again. The redactor learns every secret.
    """
    filling = _Filling(environ, redactor)
    entries = filling.mapping(tree, ())
    if filling.problems:
        raise InventoryError(filling.problems)
    return entries


class _Filling:
    def __init__(self, environ: Mapping[str, str], redactor: Redactor) -> None:
        self.problems: list[Problem] = []
        self._environ = environ
        self._redactor = redactor
        self._printed: dict[tuple[Path, str], str] = {}  # a password manager asks once, not for every mention

    def mapping(self, tree: source.Mapping, path: TreePath) -> source.Mapping:
        entries = {}
        for key, entry in tree.entries.items():
            where = (*path, key)
            if "${" in key:
                mend = "write the name out; only values are filled in"
                self._refuse(entry.key_position, where, Mistake("a key can't hold ${…}", mend))
            elif held := secret_in_command(key):
                self._refuse(entry.key_position, where, _in_plain_text(held))
            entries[key] = Entry(entry.key_position, self._node(entry.node, where))
        return source.Mapping(tree.position, entries)

    def _node(self, node: Node, path: TreePath) -> Node:
        if isinstance(node, source.Mapping):
            return self.mapping(node, path)
        if isinstance(node, Sequence):
            items = tuple(self._node(item, (*path, index)) for index, item in enumerate(node.items))
            return Sequence(node.position, items)
        if isinstance(node.value, str) and (held := plain_secret(path, node.value)):
            self._refuse(node.position, path, _in_plain_text(held))
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        text = self._filled(node.value, node.position, path)
        return Scalar(node.position, text, text)

    def _filled(self, text: str, position: Position, path: TreePath) -> str:
        done = ""
        while (start := text.find("${")) >= 0:
            if text[:start].endswith("$"):
                done, text = done + text[: start - 1] + "${", text[start + 2 :]
                continue
            end = _end_of_reference(text, start)
            if end is None:
                mistake = Mistake("'${' is never closed", "close it with }, or write $${ for the text itself")
                self._refuse(position, path, mistake)
                return done
            try:
                value = self._value_of(text[start + 2 : end], position, path)
            except Mistake as mistake:
                self._refuse(position, path, mistake)
                value = ""
            done, text = done + text[:start] + value, text[end + 1 :]
        return done + text

    def _value_of(self, reference: str, position: Position, path: TreePath) -> str:
        """What a reference stands for; raises Mistake."""
        if name := _NAME.match(reference):
            rest = reference[name.end() :]
            if not rest:
                return self._variable(name[0])
            if rest.startswith(":-"):
                return (
                    self._variable(name[0]) if self._environ.get(name[0]) else self._filled(rest[2:], position, path)
                )
            argument = rest[1:].strip() if rest.startswith(":") else ""
            folder = Path(position.file).parent
            match name[0]:
                case "secret" if _NAME.fullmatch(argument):
                    return self._secret(self._variable(argument, "secret:"), argument)
                case "file" if argument:
                    return self._secret(_content(folder / Path(argument).expanduser(), reference), dotted(path))
                case "command" if argument:
                    return self._secret(self._output(argument, folder), dotted(path))
        wrong = f"${{{reference}}} is not a reference"
        raise Mistake(wrong, "write ${NAME}, ${NAME:-default}, ${secret:NAME}, ${file:path} or ${command:line}")

    def _variable(self, name: str, kind: str = "") -> str:
        value = self._environ.get(name)
        if not value:
            state = "is not set" if value is None else "is set to nothing"
            instead = "" if kind else f", or write ${{{name}:-default}}"
            raise Mistake(f"${{{kind}{name}}} {state}", f"export {name}{instead}")
        if _SOUNDS_SECRET.search(name):
            return self._secret(value, name)
        self._hide_password(value, name)
        return value

    def _secret(self, value: str, name: str) -> str:
        self._redactor.add(value, name)
        self._hide_password(value, name)
        return value

    def _hide_password(self, value: str, name: str) -> None:
        """Apart from its URL too; a very short one only inside of URLs, where the redactor always does."""
        if found := _PASSWORD_IN_URL.match(value):
            for password in {found[1], unquote(found[1])}:
                if len(password.strip()) >= SHORTEST:
                    self._redactor.add(password, name)

    def _output(self, line: str, folder: Path) -> str:
        if (folder, line) not in self._printed:
            self._printed[folder, line] = _printed_by(line, folder, self._environ)
        return self._printed[folder, line]

    def _refuse(self, position: Position, path: TreePath, mistake: Mistake) -> None:
        self.problems.append(Problem(position, dotted(path), mistake.wrong, mistake.mend))


def _in_plain_text(held: str) -> Mistake:
    mend = "export a variable, and write ${NAME} in its place, e.g. ${API_TOKEN} or ${DB_PASSWORD}"
    return Mistake(f"{held} holds a secret in plain text", mend)


def _end_of_reference(text: str, start: int) -> int | None:
    """Where the reference's closing brace stands; commands and defaults may hold braces of their own."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if text[index] == "}" and depth == 0:
            return index
    return None


def _content(path: Path, reference: str) -> str:
    try:
        content = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Mistake(
            f"${{{reference}}} can't be read: {error.strerror}", f"mend {path} or its permissions"
        ) from None
    except UnicodeDecodeError:
        raise Mistake(f"${{{reference}}} is not text", "name a file in UTF-8") from None
    if not content:
        raise Mistake(f"${{{reference}}} is empty", f"write the secret to {path}")
    return content


def _printed_by(line: str, folder: Path, environ: Mapping[str, str]) -> str:
    """What a command prints; neither that nor its complaints are ever shown: either may hold the secret."""
    reference, mend = f"${{command:{line}}}", "run it by hand to see why"
    process = subprocess.Popen(
        ["sh", "-c", line],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=COMMAND_SECONDS)
    except BaseException as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it started may hold the pipe open
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise Mistake(f"{reference} took longer than {COMMAND_SECONDS} s", mend) from None
    if process.returncode:
        raise Mistake(f"{reference} ended with exit status {process.returncode}", mend)
    try:
        printed = output.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise Mistake(f"{reference} printed something that is not text", mend) from None
    if not printed:
        raise Mistake(f"{reference} printed nothing", mend)
    return printed
