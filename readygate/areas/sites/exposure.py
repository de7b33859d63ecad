"""What a site gives away that it never meant to: repositories, secrets, backups, debug pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from readygate.areas.mentioned import members
from readygate.areas.sites.fetch import Request, Response, fetch
from readygate.areas.sites.origin import Origin
from readygate.areas.sites.patience import OUTAGES, look
from readygate.areas.sites.site import Site
from readygate.areas.sites.turnstile import LIMITED, TOO_MANY
from readygate.errors import ClosedUnanswered, CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

NO_SUCH_PAGE = "/readygate-looks-for-a-page-that-is-not-there"
_AT_A_TIME = 4

# Names in small are as good, but a line of a page may begin like one, too.
_ENVIRONMENT = r"^\s*(?:export\s+)?[A-Z][A-Z0-9_]*\s*=|\A(?:\s*#.*\n|\s)*(?:export\s+)?[a-z][a-z0-9_.]*\s*=\s*\S"
_DUMP = r"^-- (?:PostgreSQL database|MySQL dump|MariaDB dump)|CREATE TABLE|^PGDMP"
# A server may call the packing of a .gz its Content-Encoding; what is read then is what was packed.
_ARCHIVE = rf"\A(?:PK\x03\x04|\x1f\x8b|[\s\S]{{257}}ustar)|{_DUMP}"
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
    "/debug/pprof/": r"<title>/debug/pprof/</title>|full goroutine stack dump",
    "/debug/vars": r'"memstats"',
    "/__debug__/": r"djdt|Django Debug Toolbar",
    "/_profiler/": r"Symfony Profiler",
}
# Who is told this sees the limit, or the outage, and not what is behind it.
_TELLS_NOTHING = (TOO_MANY, *OUTAGES)
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

    def header(self, name: str) -> str | None:
        """A header of an error's. CouldNotLook: the page that isn't there is no error to the site."""
        if self.missing.status < 400:
            raise CouldNotLook(
                f"{self.missing.url}, which isn't there, is answered {self.missing.status}, so no error was seen",
                mend="let it answer 404, or declare `headers` of an endpoint with such a `status`",
            )
        return self.missing.header(name)

    def why_no_header(self, name: str) -> str:
        """Why a header of it is as good as none; empty where that isn't so."""
        return self.missing.why_no_header(name)


def observe_exposure(origin: Origin) -> Exposure:
    """Ask for what is left lying about most often, and believe only what gives itself away.

    It is asked for below the site's url, and at the root of its host. CouldNotLook: nothing was found, and some of
    it was not seen for a rate limit or an outage.
    """
    places = dict.fromkeys((origin, replace(origin, prefix="")))
    found: list[str] = []
    answered: dict[str, Response | None] = {}
    for place in places:
        answers = _ask_all(place, (*_GIVEAWAYS, NO_SUCH_PAGE))
        nothing = answers.pop(NO_SUCH_PAGE)
        found += [
            place.prefix + path
            for path, answer in answers.items()
            if answer
            and answer.status == 200
            and re.search(_GIVEAWAYS[path], answer.content[:4096].decode("latin-1"), re.MULTILINE)
            and not (nothing and _same(answer, nothing))
        ]
        answered |= {place.prefix + path: answer for path, answer in answers.items()}
    if not found:
        _refuse_what_tells_nothing(origin, answered)
    told = f"served: {', '.join(found)}" if found else "none of them is served"
    asked = f"{len(answered)} paths that should not be served by {origin.netloc}"
    return Exposure(tuple(found), (Evidence(asked, told),))


def observe_hidden(origin: Origin, site: Site) -> Hidden:
    """A path is hidden if it's refused, also without a word, or answered as a page is that doesn't exist.

    CouldNotLook: a rate limit or an outage answered for one of them.
    """
    declared = members(site.hides)
    answers = _ask_all(origin, (*declared, NO_SUCH_PAGE))
    nothing = answers.pop(NO_SUCH_PAGE)
    seen = {path: answer for path, answer in answers.items() if answer and 200 <= answer.status < 400}
    hidden = tuple(path for path in answers if path not in seen or (nothing and _same(seen[path], nothing)))
    _refuse_what_tells_nothing(origin, {path: answers[path] for path in hidden})
    told = ", ".join(f"{path} {answer.status if answer else 'closed'}" for path, answer in answers.items())
    return Hidden(hidden, (Evidence(f"paths of {origin.netloc} that are to be hidden", told),))


def observe_error_pages(origin: Origin) -> ErrorPages:
    """Ask for a page that isn't there, with a query and with JSON that break what reads them carelessly."""
    broken = Request("POST", (("Content-Type", "application/json"),), b"{", is_public=True)
    asked = ((NO_SUCH_PAGE, Request()), ("/?page=%00%ff'\"[]={{", Request()), (NO_SUCH_PAGE, broken))
    answers: list[Response] = []
    for path, request in asked:
        answers.append(look(origin, path, request, limited_by=LIMITED))
        if answers[-1].status in LIMITED:
            break
    found = [each for each in _DEBUG if any(re.search(each, answer.text, re.MULTILINE) for answer in answers)]
    if not found:
        _refuse_what_tells_nothing(origin, {answer.url: answer for answer in answers})
    evidence = tuple(each for answer in answers for each in answer.evidence)
    return ErrorPages(answers[0], tuple(found), evidence)


def _ask_all(origin: Origin, paths: tuple[str, ...]) -> dict[str, Response | None]:
    """What each path answers; None where only the connection was closed, as by `return 444` of nginx."""

    def ask(path: str) -> Response | None:
        try:
            return look(origin, path, limited_by=LIMITED)
        except ClosedUnanswered:
            return None

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        answers = dict(zip(paths, pool.map(ask, paths), strict=True))
    if not any(answers.values()):
        fetch(origin, "/")  # where that is closed as well, nothing was seen of the site at all
    return answers


def _refuse_what_tells_nothing(origin: Origin, answers: Mapping[str, Response | None]) -> None:
    for path, answer in answers.items():
        if answer and answer.status in _TELLS_NOTHING:
            raise origin.limited(path, answer.status)


def _same(answer: Response, nothing: Response) -> bool:
    """Whether this is the page that an application shows for every path; the path may be repeated in it."""
    (page, leads), (other, leads_too) = _but_for_its_path(answer), _but_for_its_path(nothing)
    return answer.status == nothing.status and (page == other or leads == leads_too is not None)


def _but_for_its_path(answer: Response) -> tuple[bytes, str | None]:
    path, location = urlsplit(answer.url).path, answer.header("Location")
    leads = location and location.replace(path, "").replace(quote(path, safe=""), "")
    return answer.content.replace(path.encode(), b""), leads


SECTIONS: Mapping[str, type[Spec]] = {}
FACTS: Mapping[str, Callable[..., Any]] = {
    "exposure": observe_exposure,
    "hidden": observe_hidden,
    "error_pages": observe_error_pages,
}
AHEAD = frozenset({"exposure", "hidden"})
