"""Secrets that were committed: found by shapes that nothing else has, told by place and kind, and never shown."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from readygate.areas.repository.git import Checkout, git
from readygate.areas.servers.secrets import Secret as Declared
from readygate.areas.servers.secrets import SecretValue, names_a_secret
from readygate.errors import CouldNotLook

# Of a history so much is held in memory at once, and no file that is longer is read.
_MOST_BYTES = 100_000_000
_MOST_FILES = 500

# By kind, how such a secret looks, and what stands in each: to look for that first is a hundred times quicker.
_SHAPES: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "a key of AWS": (
        r"\b(?:AKIA|ASIA)(?!IOSFODNN7EXAMPLE)[0-9A-Z]{16}\b",
        (
            b"AKIA",
            b"ASIA",
        ),
    ),
    "a token of GitHub": (
        r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{60,})",
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
    ),
    "a token of GitLab": (r"\bglpat-[0-9A-Za-z_-]{20,}", (b"glpat-",)),
    "a token of Slack": (r"\bxox[abeprs]-[0-9A-Za-z-]{20,}", (b"xox",)),
    "a webhook of Slack": (
        r"hooks\.slack\.com/services/T[0-9A-Z]{8,}/B[0-9A-Z]{8,}/[0-9A-Za-z]{20,}",
        (b"hooks.slack.com",),
    ),
    "a webhook of Discord": (r"discord(?:app)?\.com/api/webhooks/\d{17,}/[\w-]{60,}", (b"/api/webhooks/",)),
    "a token of Telegram": (r"(?<![\w-])\d{8,10}:AA[0-9A-Za-z_-]{33}(?![\w-])", (b":AA",)),
    "a key of Stripe": (r"\b[rs]k_live_[0-9A-Za-z]{20,}", (b"k_live_",)),
    "a key of Google": (r"\bAIza[0-9A-Za-z_-]{35}(?![\w-])", (b"AIza",)),
    "a key of SendGrid": (r"\bSG\.[\w-]{22}\.[\w-]{43}", (b"SG.",)),
    "a token of npm": (r"\bnpm_[0-9A-Za-z]{36}\b", (b"npm_",)),
    "a token of PyPI": (r"\bpypi-AgEI[\w-]{50,}", (b"pypi-AgEI",)),
    "a key of age": (r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b", (b"AGE-SECRET-KEY-1",)),
    # Code that handles keys mentions their first line; a key goes on with base64.
    "a private key": (
        r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----(?:\s|\\n|\\r)*[0-9A-Za-z+/=]{40}",
        (b"PRIVATE KEY-----",),
    ),
}
_KEY_STORES = (".p12", ".pfx", ".jks", ".keystore", ".kdbx")
_EXAMPLE = re.compile(r"\.(example|sample|template|dist|tmpl|tpl)\b|\.j2$", re.IGNORECASE)
_ENV_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")
_ANY_PLACEHOLDER = Declared.model_construct()


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a secret stands, and of what kind it is."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.kind}" if self.line else f"{self.path} {self.kind}"


def leaks_in(path: str, content: bytes) -> Iterator[Leak]:
    """The secrets in one file, however long it is; in a binary one, those that stand in it as text."""
    if path.endswith(_KEY_STORES):
        yield Leak(path, 0, "a store of keys")
    content = _readable(content)
    text = ""
    for kind, (shape, marks) in _SHAPES.items():
        if any(mark in content for mark in marks):
            text = text or content.decode(errors="replace")
            for found in re.finditer(shape, text):
                yield Leak(path, text.count("\n", 0, found.start()) + 1, kind)
    if _is_env_file(path):
        yield from _env_leaks(path, content.decode(errors="replace"))


def _readable(content: bytes) -> bytes:
    """Windows' own tools write UTF-16, where each letter has a zero beside it."""
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace").encode()
    return content


def _is_env_file(path: str) -> bool:
    name = PurePosixPath(path).name
    return (name == ".env" or name.startswith(".env.") or name.endswith(".env")) and not _EXAMPLE.search(name)


def _env_leaks(path: str, text: str) -> Iterator[Leak]:
    """Of a tracked .env whatever its name says is secret, unless it is a placeholder or refers to a variable."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _ENV_LINE.fullmatch(re.sub(r"\s#.*$", "", line))
        if not found or not names_a_secret(found[1]):
            continue
        value = SecretValue(found[2].strip("'\""))
        if value.set and not (value.value or "").startswith("$") and not value.is_placeholder(_ANY_PLACEHOLDER):
            yield Leak(path, number, f"a value of {found[1]}")


def _may_leak(path: str, allowed: Sequence[str]) -> bool:
    return any(fnmatchcase(path, each) for each in allowed)


def leaks_of(checkout: Checkout, allowed: Sequence[str]) -> tuple[Leak, ...]:
    """The secrets in the files that are tracked now; `allowed` are patterns of paths that may have some."""
    files = ((path, checkout.read(path)) for path in checkout.tracked if not _may_leak(path, allowed))
    return tuple(leak for path, held in files if held for leak in leaks_in(path, held))


def leaks_in_history(root: Path, allowed: Sequence[str]) -> tuple[Leak, ...]:
    """The secrets in any version of any file that a branch or a tag leads to.

    CouldNotLook: the clone is shallow, so the rest of its history isn't here; a file is too long to be read.
    """
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise CouldNotLook(
            "the clone is shallow, so most of its history is not here", mend="clone it whole: fetch-depth: 0"
        )
    return tuple(_history(root, allowed))


def _history(root: Path, allowed: Sequence[str]) -> Iterator[Leak]:
    listed = git(root, "rev-list", "--objects", "--all", within=300).decode(errors="surrogateescape").splitlines()
    named = (line.split(" ", 1) for line in listed if " " in line)
    paths = {name: path for name, path in named if not _may_leak(path, allowed)}
    asked = "".join(f"{name}\n" for name in paths).encode()
    sizes = git(root, "cat-file", "--batch-check", stdin=asked, within=300).decode().splitlines()
    told = (line.split() for line in sizes)
    wanted = [(name, int(size)) for name, kind, size in told if kind == "blob"]
    for names in _handfuls(wanted, paths):
        held = git(root, "cat-file", "--batch", stdin="".join(f"{name}\n" for name in names).encode(), within=300)
        begin = 0
        for name in names:
            head_end = held.index(b"\n", begin)
            size = int(held[begin:head_end].split()[2])
            yield from leaks_in(paths[name], held[head_end + 1 : head_end + 1 + size])
            begin = head_end + size + 2


def _handfuls(wanted: Sequence[tuple[str, int]], paths: Mapping[str, str]) -> Iterator[list[str]]:
    """A few at a time: a whole history does not fit into memory. CouldNotLook: one file alone does not."""
    names: list[str] = []
    held = 0
    for name, size in wanted:
        if size > _MOST_BYTES:
            told = f"{paths[name]} has a version of {size // 1_000_000} MB in the history, and that is not read"
            raise CouldNotLook(told, mend="take it out of the history, or name it in `may_leak`")
        if names and (held + size > _MOST_BYTES or len(names) == _MOST_FILES):
            yield names
            names, held = [], 0
        names.append(name)
        held += size
    if names:
        yield names
