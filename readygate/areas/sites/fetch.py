"""Fetches one answer over HTTP, and never takes for true what an untrusted server says."""

from __future__ import annotations

import json
import math
import ssl
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning, SSLError
from urllib3.exceptions import TimeoutError as TookTooLong

from readygate import __version__
from readygate.areas.servers.settings import below
from readygate.areas.sites.connections import Bounded, BoundedTls
from readygate.areas.sites.metrics_text import metric_names
from readygate.areas.sites.origin import PORTS, Origin, ascii_name, parse_site_url
from readygate.areas.tls.trust import careful_client, describing_context, fault_of
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import Expectation
from readygate.results import Evidence

REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = f"readygate/{__version__}"
_BEGINNING = 60  # characters of an answer that tell what it is
_HSTS = "strict-transport-security"
_MOST_HOPS = 10
_MOST_BYTES = 5_000_000
_UNPACKED = ("identity", *urllib3.HTTPResponse.CONTENT_DECODERS)


@dataclass(frozen=True, slots=True)
class Response:
    """One complete answer; `elapsed_s` runs from opening the connection to the last byte, in seconds."""

    url: str
    status: int
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    content: bytes = field(repr=False)
    is_cut: bool
    elapsed_s: float
    samples_s: tuple[float, ...] = ()
    attempts: int = 1
    evidence: tuple[Evidence, ...] = ()

    def header(self, name: str) -> str | None:
        """The header's value or None; several of one name are joined (RFC 9110, section 5.3).

        Of Strict-Transport-Security browsers take the first, whatever comes after it, and over http:// they take
        none (RFC 6797, section 8.1).
        """
        values = [value for each, value in self.fields if each.lower() == name.lower()]
        if name.lower() == _HSTS:
            values = [] if self._ignores(name) else values[:1]
        return ", ".join(values) if values else None

    def why_no_header(self, name: str) -> str:
        """Why a header that was sent is as good as none; empty where that isn't so."""
        told = f"browsers ignore it over http://, as at {self.url}: declare it for https://"
        return told if self._ignores(name) else ""

    def _ignores(self, name: str) -> bool:
        return name.lower() == _HSTS and self.url.startswith("http:")

    @property
    def text(self) -> str:
        content_type = self.header("Content-Type") or ""
        charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip(' "')
        try:
            return self.whole.decode(charset or "utf-8", errors="replace")
        except LookupError:
            return self.whole.decode(errors="replace")

    @property
    def time_s(self) -> float:
        self._refuse_cut()
        return self.elapsed_s

    def percentile_s(self, percent: int) -> float:
        """The time that so many of 100 answers took at most, by the nearest rank."""
        self._refuse_cut()
        return self.samples_s[math.ceil(percent / 100 * len(self.samples_s)) - 1]

    def cookie(self, name: str, expected: Expectation) -> tuple[str, ...] | None:
        """The attributes of a cookie that is set, as RFC 6265 spells them; None where it isn't set.

        Where several of one name are set, as for two paths, those of the first that falls short. One that is only
        taken back beside them is none of these.
        """
        cookies = [value.split(";") for header, value in self.fields if header.lower() == "set-cookie"]
        found = [_attributes(rest) for first, *rest in cookies if first.partition("=")[0].strip() == name]
        found = [each for each in found if not _takes_back(each)] or found
        worst: tuple[str, ...] | None = expected.worst(found)
        return worst

    @property
    def metric_names(self) -> tuple[str, ...] | None:
        """The names in a text of Prometheus; None where it is none."""
        return metric_names(self.text)

    def value_at(self, path: str) -> Any:
        """What the JSON body has at the dotted path, or None where it has nothing there or isn't JSON.

        CouldNotLook: it has it twice, of which readers take the first, or the last, or neither (RFC 8259, 4).
        """
        try:
            value = json.loads(self.whole, object_pairs_hook=_members)
        except ValueError:
            return None
        for part in path.split("."):
            value = below(value, part)
            if value is _TWICE:
                raise CouldNotLook(f"the answer of {self.url} has '{part}' twice", mend="let the service say it once")
        return value

    @property
    def why_no_json(self) -> str:
        """What the body is, for whoever expects JSON of it; empty where it is JSON."""
        try:
            json.loads(self.whole)
        except ValueError:
            begins = " ".join(self.text.split())[:_BEGINNING]
            kind = self.header("Content-Type") or "of no content type"
            return f"the answer is not JSON but {kind}, and {f'begins with {begins!r}' if begins else 'is empty'}"
        return ""

    @property
    def whole(self) -> bytes:
        """The body. CouldNotLook: it is longer than what is read, or compressed by what is unknown here."""
        names = (self.header("Content-Encoding") or "identity").lower().split(",")
        if strange := [name for each in names if (name := each.strip()) not in _UNPACKED]:
            raise CouldNotLook(
                f"the answer of {self.url} is compressed by '{strange[0]}', which is not understood here",
                mend="let the server heed the Accept-Encoding that it is sent, or leave it out of `request_headers`",
            )
        self._refuse_cut()
        return self.content

    def _refuse_cut(self) -> None:
        if self.is_cut:
            raise CouldNotLook(
                f"the answer of {self.url} is longer than the {_MOST_BYTES // 1_000_000} MB that are read",
                mend="declare an endpoint that answers less",
            )


_TWICE = object()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    return {name: value if counts[name] == 1 else _TWICE for name, value in pairs}


def _attributes(written: list[str]) -> tuple[str, ...]:
    """Each attribute once: of two alike browsers take the last (RFC 6265, section 5.3)."""
    attributes = (_attribute(each.strip()) for each in written if each.strip())
    return tuple({each.partition("=")[0].lower(): each for each in attributes}.values())


def _attribute(text: str) -> str:
    name, equals, value = text.partition("=")
    known = ("Secure", "HttpOnly", "SameSite", "Path", "Domain", "Max-Age", "Expires", "Partitioned")
    spelt = next((each for each in known if each.lower() == name.strip().lower()), name.strip())
    value = value.strip().capitalize() if spelt == "SameSite" else value.strip()
    return f"{spelt}={value}" if equals else spelt


def _takes_back(attributes: tuple[str, ...]) -> bool:
    return any(each in ("Max-Age=0", "Max-Age=-1") or " 1970 " in each.replace("-", " ") for each in attributes)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `headers` and `body` go to the site itself, and nowhere that it redirects to.

    Unless `is_public`, they may be secrets of the user's and are kept from a server without trust.
    """

    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    is_public: bool = False

    @classmethod
    def declared(cls, method: str, headers: Mapping[str, str], send_json: object) -> Request:
        """A request as the inventory has it; None sends no body."""
        if send_json is None:
            return cls(method, tuple(headers.items()))
        sent = {"Content-Type": "application/json", **headers}
        return cls(method, tuple(sent.items()), json.dumps(send_json).encode())

    @property
    def is_safe(self) -> bool:
        """Whether it may be asked twice (RFC 9110, section 9.2.1)."""
        return self.method in ("GET", "HEAD", "OPTIONS")

    @property
    def carries_ours(self) -> bool:
        return not self.is_public and bool(self.headers or self.body)


def one_line(headers: dict[str, str]) -> dict[str, str]:
    """The headers, where each is one line; a Mistake otherwise."""
    for name, value in headers.items():
        # The value may be a secret, so it isn't repeated here.
        if not name or any(character in name + value for character in "\r\n"):
            raise Mistake(f"the header {name!r} is not a single line", "write its name and value without line breaks")
    return headers


def fetch(origin: Origin, path: str, request: Request = Request(), *, follow_redirects: bool = False) -> Response:
    """The answer on a new connection without cookies, credentials or proxies of this machine's user.

    Raises CouldNotLook where there is none: unreachable, too slow, broken off, or from a server that can't be
    trusted, unless a declared TLS check tells of that fault.
    """
    home, target = origin, origin.prefix + path
    evidence: list[Evidence] = []
    elapsed_s = 0.0
    for _ in range(_MOST_HOPS):
        response = _exchange(origin, target, request)
        evidence += response.evidence
        elapsed_s += response.elapsed_s
        location = response.header("Location")
        if not (follow_redirects and response.status in REDIRECTS and location):
            return replace(response, elapsed_s=elapsed_s, evidence=tuple(evidence))
        origin, target = _next_hop(home, response.url, location)
        if origin is not home:
            request = Request(request.method)
    raise CouldNotLook(
        f"{home.url(path)} redirects more than {_MOST_HOPS} times",
        mend="mend the loop, or declare the status of the redirect itself",
    )


def _exchange(origin: Origin, target: str, request: Request) -> Response:
    """One request and its answer; trust that a TLS check tells of is not told of a second time here."""
    try:
        return _ask(origin, target, request, careful_client(origin.ca))
    except SSLError as error:
        refused = error.args[0] if error.args else None
        if not isinstance(refused, ssl.SSLCertVerificationError):
            raise CouldNotLook(
                f"{origin.at} breaks the TLS handshake off: {error}",
                cause=f"handshake:{origin.site}",
                mend=f"see what `openssl s_client -connect {origin.at}` says",
            ) from None
    fault = fault_of(refused)
    if fault not in origin.judged_faults:
        raise CouldNotLook(
            f"the certificate of {origin.netloc} can't be trusted ({fault}), so anybody may have answered",
            cause=f"untrusted:{origin.site}",
            mend="mend it, or declare `tls: {trusted: true, matches_host: true}` to have it judged",
        )
    if request.carries_ours:
        raise CouldNotLook(
            f"the certificate of {origin.netloc} can't be trusted ({fault}), so no headers or data are sent",
            cause=f"untrusted:{origin.site}",
            mend="mend the certificate",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        response = _ask(origin, target, request, describing_context())
    note = Evidence(f"trust in {origin.netloc}", f"none ({fault}): read all the same, as the tls checks judge it")
    return replace(response, evidence=(note, *response.evidence))


def _ask(origin: Origin, target: str, request: Request, context: ssl.SSLContext) -> Response:
    headers = urllib3.HTTPHeaderDict({"Host": origin.netloc, "User-Agent": USER_AGENT, "Accept": "*/*"})
    headers.update(dict(request.headers))
    begun = time.monotonic()
    try:
        with _pool(origin, context) as pool:
            answer = pool.request(
                request.method,
                target,
                body=request.body,
                headers=headers,
                redirect=False,
                preload_content=False,
            )
            content = _read(answer, deadline=begun + origin.timeout_s)
    except SSLError:
        raise
    except (HTTPError, OSError) as error:
        is_late = time.monotonic() - begun >= origin.timeout_s
        # Without its cause: urllib3's frames in a traceback would show the headers that were sent.
        raise origin.unreachable(TimeoutError() if is_late else _root_of(error)) from None
    elapsed_s = time.monotonic() - begun
    url = replace(origin, prefix="").url(target)
    length = f"{'more than ' if len(content) > _MOST_BYTES else ''}{min(len(content), _MOST_BYTES)} bytes"
    kind = answer.headers.get("Content-Type", "no Content-Type")
    return Response(
        url=url,
        status=answer.status,
        fields=tuple(answer.headers.iteritems()),
        content=content[:_MOST_BYTES],
        is_cut=len(content) > _MOST_BYTES,
        elapsed_s=elapsed_s,
        evidence=(
            Evidence(
                f"{request.method} {url}{origin.elsewhere}",
                f"{answer.status} {answer.reason or ''}, {kind}, {length} in {elapsed_s * 1000:.0f}ms",
            ),
        ),
    )


def _pool(origin: Origin, context: ssl.SSLContext) -> urllib3.HTTPConnectionPool:
    """Connects to where `resolve` says, and speaks to the site by its own name."""
    timeout = urllib3.Timeout(total=origin.timeout_s)
    if origin.scheme == "http":
        pool = urllib3.HTTPConnectionPool(origin.connect_to, origin.dialled, timeout=timeout, retries=False)
        pool.ConnectionCls = Bounded
        return pool
    secured = urllib3.HTTPSConnectionPool(
        origin.connect_to,
        origin.dialled,
        timeout=timeout,
        retries=False,
        ssl_context=context,
        cert_reqs=context.verify_mode,
        server_hostname=origin.host,
    )
    secured.ConnectionCls = BoundedTls
    return secured


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The body, or more than `_MOST_BYTES` of a longer one; a trickle doesn't outlast the deadline."""
    content = b""
    while chunk := answer.read1(65536):
        content += chunk
        # The watchdog ends with the head where the connection is to be closed.
        if len(content) > _MOST_BYTES or time.monotonic() > deadline:
            break
    if time.monotonic() > deadline:
        raise TimeoutError
    return content


def _root_of(error: Exception) -> Exception:
    """What the operating system said, beneath urllib3's wrapping."""
    while isinstance(inner := error.__cause__ or next(iter(error.args[-1:]), None), Exception):
        error = inner
    return TimeoutError() if isinstance(error, TookTooLong) else error


def _next_hop(home: Origin, here: str, location: str) -> tuple[Origin, str]:
    """Where a redirect leads and what to ask there; only at home are the site's own faults known and judged."""
    try:
        address, _, query = urljoin(here, location).partition("#")[0].partition("?")
        parts = parse_site_url(address)
    except ValueError as error:  # a Mistake is one
        wrong = error.wrong if isinstance(error, Mistake) else error
        raise CouldNotLook(f"{home.netloc} redirects to {location!r}, which can't be asked: {wrong}") from error
    host, port = ascii_name(parts.hostname or ""), parts.port or PORTS[parts.scheme]
    target = (parts.path or "/") + (f"?{query}" if query else "")
    if (parts.scheme, host, port) == (home.scheme, home.host, home.port):
        return home, target
    elsewhere = Origin(
        site=home.site,
        scheme=parts.scheme,
        host=host,
        port=port,
        connect_to=home.connect_to if host == home.host else host,
        timeout_s=home.timeout_s,
        ca=home.ca,
    )
    return elsewhere, target
