"""Asks an HTTP API for JSON: from here, or from a server that alone may reach it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from shlex import quote
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import AfterValidator, SecretStr

from readygate.areas.asking import run
from readygate.areas.sites.fetch import Request, Response, fetch
from readygate.areas.sites.origin import PORTS, Origin, parse_site_url
from readygate.errors import CouldNotLook, Mistake, NobodyListens

Hosts = Callable[[str], Any]
_TIMEOUT_S = 10.0
_MOST_BYTES = 5_000_000
_NOT_CONNECTED = 7

# bash speaks TCP by itself, so nothing has to be installed there. HTTP/1.0, as its answers come in one piece.
_FROM_THERE = """
export LC_ALL=C
exec bash -c '
exec 3<>"/dev/tcp/$0/$1" || exit {not_connected}
printf "%s" "$2" | base64 -d >&3
head -c {most} <&3' {host} {port} {request}
"""


def api_url(url: str) -> str:
    """A URL without user, password and query; raises Mistake."""
    parse_site_url(url)
    return url.rstrip("/")


ApiUrl = Annotated[str, AfterValidator(api_url)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered: a status, and a body."""

    url: str
    status: int
    body: bytes = field(repr=False)
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def header(self, name: str) -> str | None:
        """A header of the answer; None where it has none of this name, or came from a server."""
        return next((value for each, value in self.fields if each.lower() == name.lower()), None)

    def json(self) -> Any:
        """The body of a good answer. CouldNotLook: it isn't one."""
        if self.status != 200:
            reason = f"{self.url} answers {self.status}: {self._beginning}"
            mend = "give it the headers to log in" if self.status in (401, 403) else "see that the URL is right"
            raise CouldNotLook(reason, cause=f"refused:{self.url}" if self.status in (401, 403) else "", mend=mend)
        try:
            return json.loads(self.body)
        except ValueError:
            raise CouldNotLook(f"{self.url} answers no JSON", mend="see that the URL is right") from None

    def parsed(self) -> dict[str, Any]:
        """The body of any answer, if it is a JSON object, and else nothing."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}

    @property
    def _beginning(self) -> str:
        return " ".join(self.body[:200].decode(errors="replace").split())


@dataclass(frozen=True, slots=True)
class Api:
    """A base URL, and what every request to it carries."""

    name: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    ca: str | None
    server: str | None
    host: Any

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        plain: bool = False,
        login: tuple[str, str] | None = None,
        follow: bool = False,
    ) -> Answer:
        """One GET; `plain` leaves our headers out, and `login` is a user and a password for Basic.

        What it `follow`s to elsewhere is not given our headers either.
        """
        headers = () if plain else self.headers
        if login:
            headers = (("Authorization", f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"),)
        target = f"{path}?{urlencode(query)}" if query else path
        return self._exchange(target, Request("GET", headers), follow=follow)

    def post(self, path: str, data: object) -> Answer:
        """One POST of JSON."""
        headers = (*self.headers, ("Content-Type", "application/json"))
        return self._exchange(path, Request("POST", headers, json.dumps(data).encode()))

    def _exchange(self, target: str, request: Request, *, follow: bool = False) -> Answer:
        if self.server is None:
            answer: Response = fetch(self._origin, target, request, follow_redirects=follow)
            return Answer(f"{self.url}{target.partition('?')[0]}", answer.status, answer.whole, answer.fields)
        return self._from_there(target, request)

    @property
    def _origin(self) -> Origin:
        parts = parse_site_url(self.url)
        host = parts.hostname or ""
        port = parts.port or PORTS[parts.scheme]
        return Origin(
            site=self.name,
            scheme=parts.scheme,
            host=host,
            port=port,
            prefix=parts.path,
            connect_to=host,
            timeout_s=_TIMEOUT_S,
            ca=self.ca,
        )

    def _from_there(self, target: str, request: Request) -> Answer:
        origin = self._origin
        words = [f"{request.method} {origin.prefix}{target} HTTP/1.0", f"Host: {origin.netloc}"]
        words += [f"{name}: {value}" for name, value in request.headers]
        body = request.body or b""
        words += [f"Content-Length: {len(body)}"] if body else []
        sent = base64.b64encode("\r\n".join([*words, "", ""]).encode() + body).decode()
        script = _FROM_THERE.format(
            most=_MOST_BYTES,
            not_connected=_NOT_CONNECTED,
            host=quote(origin.host),
            port=origin.port,
            request=quote(sent),
        )
        answer = run(self.host, self.server or "", script, within=_TIMEOUT_S)
        head, found, content = answer.output.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1:2]
        if not (found and status and status[0].isdigit()):
            raise self._unreachable(answer.exit, answer.errors)
        length = BytesHeaderParser().parsebytes(head.partition(b"\r\n")[2]).get("Content-Length")
        if (length is not None and int(length) != len(content)) or len(answer.output) >= _MOST_BYTES:
            raise CouldNotLook(f"{self.url} was cut off in the middle on {self.server}")
        return Answer(f"{self.url}{target.partition('?')[0]}", int(status[0]), content)

    def _unreachable(self, code: int, errors: str) -> CouldNotLook:
        """In words of ours: bash speaks of its own /dev/tcp."""
        said = errors.rpartition(": ")[2].lower() if code == _NOT_CONNECTED else "what answers does not speak HTTP"
        refused = said == "connection refused"
        kind = NobodyListens if refused else CouldNotLook
        return kind(
            f"{self.url} {'refuses the connection' if refused else 'does not answer'} on {self.server}"
            f"{'' if refused else f': {said}'}",
            cause=f"unreachable:{self.server}:{self.url}",
            mend="see that it runs there",
        )


def api(
    name: str,
    url: str,
    headers: Mapping[str, SecretStr] | None = None,
    ca: str | None = None,
    on: str | None = None,
    hosts: Hosts | None = None,
) -> Api:
    """An API as the inventory has it."""
    given = tuple((each, value.get_secret_value()) for each, value in (headers or {}).items())
    return Api(name, url, given, ca, on, hosts(on) if on and hosts else None)


def refuse_from_there(url: str, headers: Mapping[str, SecretStr] | None) -> None:
    """Raise Mistake for what can't be asked from a server: TLS, and secrets, which its process list would show."""
    if url.startswith("https:"):
        raise Mistake("from a server only http:// is asked", "leave `on` out, or write the http:// URL there")
    if headers:
        raise Mistake("headers would stand in the process list of the server", "leave `on` or the headers out")
