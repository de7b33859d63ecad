"""Asks GitHub's REST API of one repository, and never takes a refusal for an empty answer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from readygate.areas.asking_http import Answer, Api
from readygate.areas.servers.files import age_s
from readygate.errors import CouldNotLook

_A_PAGE = 100
_MOST_PAGES = 20


@dataclass(frozen=True, slots=True)
class GitHubApi:
    """The way to one repository (docs.github.com/rest)."""

    api: Api
    repository: str

    def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """What GitHub tells at a path of the repository. CouldNotLook: it does not tell."""
        return self._told(self._get(path, query))

    def ask_or_none(self, path: str, *, unless: str) -> Any | None:
        """The same, or None where GitHub says just this, which means that there is none."""
        answer = self._get(path, None)
        if answer.status == 404 and answer.parsed().get("message") == unless:
            return None
        return self._told(answer)

    def ask_all(self, path: str, key: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Every member of a list that comes in pages. CouldNotLook: it has no end."""
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            told = self.ask(path, {**(query or {}), "per_page": str(_A_PAGE), "page": str(page)})
            found += told[key]
            if len(told[key]) < _A_PAGE:
                return found
        raise CouldNotLook(f"{path} of {self.repository} has more than {_A_PAGE * _MOST_PAGES} entries")

    def text(self, path: str) -> bytes:
        """A file that GitHub redirects to, such as a log."""
        answer = self.api.get(self._path(path), follow=True)
        if answer.status != 200:
            self._told(answer)
        return answer.body

    def _get(self, path: str, query: Mapping[str, str] | None) -> Answer:
        return self.api.get(self._path(path), query)

    def _path(self, path: str) -> str:
        return quote(f"/repos/{self.repository}{path}")

    def _told(self, answer: Answer) -> Any:
        if answer.status in (403, 429) and answer.header("X-RateLimit-Remaining") == "0":
            raise CouldNotLook(
                "GitHub answers no more questions for now: the rate limit is used up",
                cause="github:rate limit",
                mend="wait for an hour, or give a `token` of your own",
            )
        if answer.status == 404:
            raise CouldNotLook(
                f"{answer.url} answers 404: there is no such thing, or the token may not see it",
                cause=f"refused:{answer.url}",
                mend="see that the name is right, and give a `token` that may read it",
            )
        return answer.json()


def seconds_of(moment: str) -> float:
    """A time as GitHub writes it, in seconds since 1970."""
    return datetime.fromisoformat(moment).timestamp()


def seconds_since(moment: str) -> float:
    """How long ago it was. CouldNotLook: it lies in the future."""
    return age_s(int(seconds_of(moment)), int(time.time()))
