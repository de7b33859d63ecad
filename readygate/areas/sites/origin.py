"""Where a site answers, and how a connection to it is opened; TLS and HTTP are looked at from here."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass, field, replace
from http.client import RemoteDisconnected
from urllib.parse import SplitResult, urlsplit

from readygate.areas.sites.turnstile import Turnstile
from readygate.areas.tls.starttls import start_tls
from readygate.areas.tls.trust import Fault
from readygate.errors import ClosedUnanswered, CouldNotLook, Mistake, NobodyListens, NoWayThere

PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Origin:
    """The scheme, host and port of a site (RFC 6454), and how to get there.

    `connect_to` and `port_at` are where the connection goes; Host, SNI and the certificate's names follow `host`
    and `port` all the same. `ca` is the bundle that is trusted instead of the system's store. `starttls` is the
    protocol that is spoken before TLS, if any. At the `turnstile` waits whoever asks too often.
    """

    site: str
    scheme: str
    host: str
    port: int
    prefix: str = ""
    connect_to: str = ""
    timeout_s: float = 10.0
    ca: str | None = None
    judged_faults: frozenset[Fault] = field(default=frozenset(), repr=False)
    nodes: tuple[str, ...] = ()
    port_at: int | None = None
    starttls: str | None = None
    turnstile: Turnstile = field(default_factory=Turnstile, compare=False, repr=False)

    @property
    def netloc(self) -> str:
        """Host and port as a Host header has them: the port only where it isn't the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS.get(self.scheme) else f"{host}:{self.port}"

    @property
    def home(self) -> str:
        """The origin as browsers send it."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def dialled(self) -> int:
        """The port that the connection goes to."""
        return self.port_at or self.port

    @property
    def at(self) -> str:
        """Where the connection goes."""
        return (
            f"[{self.connect_to}]:{self.dialled}" if ":" in self.connect_to else f"{self.connect_to}:{self.dialled}"
        )

    @property
    def is_at_home(self) -> bool:
        """Whether the connection goes where the URL says."""
        return self.connect_to == self.host and self.dialled == self.port

    @property
    def elsewhere(self) -> str:
        """Where the connection goes, to be told behind the URL; empty where that says so itself."""
        return "" if self.is_at_home else f" at {self.at}"

    @property
    def server_name(self) -> str | None:
        """What SNI carries: never an address (RFC 6066, section 3)."""
        return None if is_address(self.host) else self.host

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.netloc}{self.prefix}{path}"

    def over_http(self, port: int) -> Origin:
        """The same host, asked in the clear."""
        return replace(self, scheme="http", port=port, port_at=None)

    def connect(self) -> socket.socket:
        """A TCP connection; every wait on it is bounded by the site's timeout."""
        try:
            connection = socket.create_connection((self.connect_to, self.dialled), timeout=self.timeout_s)
        except OSError as error:
            raise self.unreachable(error) from error
        if self.starttls:
            try:
                start_tls(connection, self.starttls)
            except (OSError, ValueError) as error:
                connection.close()
                raise CouldNotLook(
                    f"{self.at} does not start TLS over {self.starttls}: {error}",
                    cause=f"starttls:{self.site}",
                    mend="see that the port speaks this protocol and offers TLS",
                ) from error
        return connection

    def unreachable(self, error: Exception) -> CouldNotLook:
        """The same cause for all that can't be seen of this site, whatever the wait broke off with."""
        at = self.at
        kind: type[CouldNotLook] = CouldNotLook
        match error:
            case socket.gaierror():
                reason = f"the name {self.connect_to} does not resolve"
            case ConnectionRefusedError():
                kind = NobodyListens
                reason = f"{at} refuses the connection"
            case TimeoutError():
                reason = f"{at} does not answer within {self.timeout_s:g}s"
            case OSError(errno=errno.ENETUNREACH | errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT):
                kind = NoWayThere
                reason = f"this machine has no way to {at}"
            case RemoteDisconnected():
                kind = ClosedUnanswered
                reason = f"{at} closes the connection without an answer"
            case _:
                reason = f"{at} can't be reached: {error}"
        return kind(
            reason,
            cause=f"unreachable:{self.site}",
            mend="see that it is up, and that this machine may reach it",
        )

    def limited(self, path: str, status: int) -> CouldNotLook:
        """The same cause for all that a rate limit, or an outage, answers for."""
        return CouldNotLook(
            f"{self.netloc} answers {path} with {status}, so what is there was not seen",
            cause=f"limited:{self.site}",
            mend="let this machine ask more often, or look when the site is up again",
        )


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_site_url(url: str) -> SplitResult:
    """The parts of https://host[:port][/prefix] or http://...; its Mistake never repeats a password."""
    mend = "write e.g. https://api.example.com"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
        ascii_name(host or "")
    except ValueError:
        mend = "put an IPv6 address in brackets: http://[::1]:8080" if url.count(":") > 2 and "@" not in url else mend
        raise Mistake("this is not a URL that can be asked", mend) from None
    if parts.username is not None or parts.password is not None:
        raise Mistake("a URL must not hold a user or a password", "send it in an endpoint's request_headers")
    if any(character.isspace() for character in url) or parts.scheme not in PORTS or not host or port == 0:
        raise Mistake(f"'{url}' is not the URL of a site", mend)
    if parts.query or parts.fragment:
        raise Mistake(f"'{url}' has a query or a fragment", "write only scheme, host, port and prefix")
    return parts


def ascii_name(host: str) -> str:
    """The host as it travels: lower case, and international names in their ASCII form (RFC 5891)."""
    try:
        return host.encode("idna").decode().lower()
    except UnicodeError as error:
        raise ValueError(f"{host!r} is not a host name") from error
