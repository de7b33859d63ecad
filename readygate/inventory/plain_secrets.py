"""Secrets that stand in an inventory as they are: in headers to send, in commands to run, and in URLs."""

from __future__ import annotations

import re

from readygate.spec import Path as TreePath

_ASKED_WITH = ("prometheus", "alertmanager", "grafana", "loki")  # what has `headers` to send
_COMMANDS = ("run", "command", "up", "down")
_URLS = ("url", "connect")
_LOGGED_IN_BY_URL = ("backups", "databases", "servers")  # others refuse any password in a URL

_SECRET_HEADER = re.compile(r"(?i)authorization$|token|secret|password|credential|api-?key$|auth-?key$|access-?key$")
_SECRET_COOKIE = re.compile(r"(?i)(?:sess|sid|token|auth|jwt)[\w.-]*=")
# What is sent to see it refused.
_HARMLESS = re.compile(r"(?i)\b(?:dummy|invalid|wrong|fake|example|expired|placeholder|none|null|changeme)\b")

# A value that is there: no variable, no command's output, no option, and no placeholder of a usage text.
_VALUE = r"""(?P<value>(?!["']?[$`<])(?!-)["']?[^\s"'|;&)]+)"""
_IN_COMMANDS = {
    "the option {0}": re.compile(
        r"(?i)(?<!\S)(?P<name>--?(?:[\w-]*-)?(?:password|passwd|passphrase|pass|pwd|token|secret|api-?key))(?:=|\s+)"
        + _VALUE
    ),
    "{0}": re.compile(
        r"(?:^|(?<=[\s;&|(]))(?P<name>[A-Z_0-9]*(?:PASSWORD|PASSWD|PASS|_PWD|TOKEN|SECRET|API_KEY|ACCESS_KEY))="
        + _VALUE
    ),
    "the option -p of {0}": re.compile(
        r"(?P<name>\b(?:mysql|mariadb)(?:-?(?:dump|admin|check|import|show|slap|binlog))?(?![\w.-]))[^|;&\n]*?\s-p(?=\S)"
        + _VALUE
    ),
    "-p of {0}": re.compile(rf"(?P<name>\bsshpass|\b(?:docker|podman)\s+login)\b[^|;&\n]*?\s-p\s*{_VALUE}"),
    "the option -a of {0}": re.compile(rf"(?P<name>\bredis-cli)\b(?:[^|;&\n]*?)\s-a\s+{_VALUE}"),
    "the option -u of {0}": re.compile(
        rf"(?P<name>\b(?:curl|wget|http))\b(?:[^|;&\n]*?)\s(?:-u|--user)[=\s]*[\"']?[\w.@-]+:{_VALUE}"
    ),
    "the header {0}": re.compile(
        r"(?i)(?:-H|--header)[=\s]*[\"']?(?P<name>(?:proxy-)?authorization|[\w-]*(?:api-key|token))\s*:\s*"
        rf"(?:(?:basic|bearer|token)\s+)?(?!(?:basic|bearer|token)\s){_VALUE}"
    ),
    "a URL": re.compile(rf"(?P<name>)\w://[^\s:/?#@\"'<>]*:{_VALUE}@"),
}


def plain_secret(path: TreePath, text: str) -> str:
    """What in this value holds a secret in plain text, in words without it; empty where nothing does."""
    if _is_header(path):
        return f"the header {path[-1]}" if _is_secret_header(str(path[-1]), text) else ""
    if len(path) > 1 and path[0] in _LOGGED_IN_BY_URL and path[-1] in _URLS:
        found = _IN_COMMANDS["a URL"].search(text)
        return "the URL" if found and not _HARMLESS.search(found["value"]) else ""
    return secret_in_command(text) if path and path[-1] in _COMMANDS else ""


def secret_in_command(command: str) -> str:
    """The same of a command line."""
    for told, pattern in _IN_COMMANDS.items():
        for found in pattern.finditer(command):
            if not _HARMLESS.search(found["value"]):
                return told.format(found["name"]).strip()
    return ""


def _is_header(path: TreePath) -> bool:
    above = path[-2] if len(path) > 1 else ""
    return above == "request_headers" or (above == "headers" and len(path) > 2 and path[-3] in _ASKED_WITH)


def _is_secret_header(name: str, value: str) -> bool:
    if "${" in value or _HARMLESS.search(value):
        return False
    return bool(_SECRET_HEADER.search(name) or (name.lower() == "cookie" and _SECRET_COOKIE.search(value)))
