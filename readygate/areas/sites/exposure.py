"""What a site gives away that it never meant to: repositories, secrets, backups, debug pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from readygate.areas.mentioned import members
from readygate.areas.sites.fetch import Request, Response, fetch
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.site import Site
from readygate.results import Evidence
from readygate.spec import Spec

NO_SUCH_PAGE = "/readygate-looks-for-a-page-that-is-not-there"
_AT_A_TIME = 4

# Names in small are as good, but a line of a page may begin like one, too.
_ENVIRONMENT = r"^\s*(?:export\s+)?[A-Z][A-Z0-9_]*\s*=|\A(?:\s*#.*\n|\s)*(?:export\s+)?[a-z][a-z0-9_.]*\s*=\s*\S"
_DUMP = r"^-- (?:PostgreSQL database|MySQL dump|MariaDB dump)|CREATE TABLE|^PGDMP"
_ARCHIVE = r"\A(?:PK\x03\x04|\x1f\x8b)"
# What is found there gives itself away, so that a site that answers 200 to anything is not accused.
_GIVEAWAYS = {
    "/.git/HEAD": r"^ref: refs/|^[0-9a-f]{40}\s*$",
    "/.git/config": r"^\[core\]",
    "/.svn/entries": r"\A\d+\s",
    "/.hg/requires": r"^(?:revlogv1|store)$",
    **dict.fromkeys(("/.env", "/.env.prod", "/.env.production", "/.env.local", "/.env.bak"), _ENVIRONMENT),
    **dict.fromkeys(("/backup.sql", "/dump.sql", "/db.sql", "/database.sql"), _DUMP),
    **dict.fromkeys(("/backup.zip", "/backup.tar.gz", "/backup.sql.gz", "/www.zip", "/site.tar.gz"), _ARCHIVE),
    "/docker-compose.yml": r"^services:",
    "/.htpasswd": r"^[^:\s]+:(?:\$apr1\$|\$2[aby]\$|\{SHA\})",
    "/.aws/credentials": r"^\[default\]|aws_secret_access_key",
    "/id_rsa": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "/.DS_Store": r"\A\x00\x00\x00\x01Bud1",
    "/phpinfo.php": r"<title>(?:PHP .* - )?phpinfo\(\)",
    "/server-status": r"Apache Server Status",
    "/actuator/env": r'"propertySources"',
    "/debug/pprof/": r"/debug/pprof/",
    "/debug/vars": r'"memstats"',
    "/__debug__/": r"djdt|Django Debug Toolbar",
    "/_profiler/": r"Symfony Profiler",
}
_DEBUG = (
    r"You're seeing this (?:error|page) because you have <code>DEBUG = True</code>",
    r"Traceback \(most recent call last\)",
    r"Werkzeug Debugger|__debugger__",
    r"Whoops\\Exception|Whoops, looks like something went wrong",
    r"<title>Action Controller: Exception caught",
    r"^\s+at [\w.$]+\([\w]+\.java:\d+\)",
    r"^\s+at .+ \(?(?:file://|/|node:)[^\s)]+:\d+:\d+\)?",
    r"Stack trace:\s*#0",
    r"^goroutine \d+ \[running\]:",
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The paths that are served though they shouldn't be, of those that were tried."""

    paths: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()

    @property
    def any(self) -> bool:
        return bool(self.paths)

    @property
    def told(self) -> str:
        return ", ".join(self.paths) or "nothing"


@dataclass(frozen=True, slots=True)
class Hidden:
    """Those of the declared paths that are not served."""

    paths: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """What is answered to those who ask for nonsense; `missing` is for a page that isn't there."""

    missing: Response
    debug: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


def observe_exposure(origin: Origin) -> Exposure:
    """Ask for what is left lying about most often, and believe only what gives itself away."""
    answers = _ask_all(origin, tuple(_GIVEAWAYS))
    found = tuple(
        path
        for path, answer in answers.items()
        if answer.status == 200 and re.search(_GIVEAWAYS[path], answer.content[:4096].decode("latin-1"), re.MULTILINE)
    )
    told = f"served: {', '.join(found)}" if found else "none of them is served"
    return Exposure(found, (Evidence(f"{len(_GIVEAWAYS)} paths that should not be served by {origin.netloc}", told),))


def observe_hidden(origin: Origin, site: Site) -> Hidden:
    """A path is hidden if it's refused, or answered as a page is that doesn't exist."""
    declared = members(site.hides)
    answers = _ask_all(origin, (*declared, NO_SUCH_PAGE))
    nothing = answers.pop(NO_SUCH_PAGE)
    hidden = tuple(path for path, answer in answers.items() if answer.status >= 400 or _same(answer, nothing))
    told = ", ".join(f"{path} {answer.status}" for path, answer in answers.items())
    return Hidden(hidden, (Evidence(f"paths of {origin.netloc} that are to be hidden", told),))


def observe_error_pages(origin: Origin) -> ErrorPages:
    """Ask for a page that isn't there, with a query and with JSON that break what reads them carelessly."""
    missing = fetch(origin, NO_SUCH_PAGE)
    broken = Request("POST", (("Content-Type", "application/json"),), b"{", is_public=True)
    answers = (missing, fetch(origin, "/?page=%00%ff'\"[]={{"), fetch(origin, NO_SUCH_PAGE, broken))
    found = [each for each in _DEBUG if any(re.search(each, answer.text, re.MULTILINE) for answer in answers)]
    evidence = tuple(each for answer in answers for each in answer.evidence)
    return ErrorPages(missing, tuple(found), evidence)


def _ask_all(origin: Origin, paths: tuple[str, ...]) -> dict[str, Response]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return dict(zip(paths, pool.map(lambda path: fetch(origin, path), paths), strict=True))


def _same(answer: Response, nothing: Response) -> bool:
    """Whether this is the page that an application shows for every path; the path may be repeated in it."""
    return answer.status == nothing.status and (
        answer.content == nothing.content or answer.header("Location") == nothing.header("Location") is not None
    )


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {
    "exposure": observe_exposure,
    "hidden": observe_hidden,
    "error_pages": observe_error_pages,
}
AHEAD = frozenset({"exposure", "hidden"})
