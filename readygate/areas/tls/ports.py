"""A port that speaks TLS and isn't a web site: mail, a database, a directory, or anything bare."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator

from readygate.areas.sites.nodes import Node, is_node, split_node
from readygate.areas.sites.origin import Origin, ascii_name
from readygate.areas.tls.starttls import StartTls
from readygate.areas.tls.tls import Tls
from readygate.errors import Mistake
from readygate.expectation import Seconds
from readygate.spec import Spec


class TlsPort(Spec):
    """A port with TLS on it, at once or after STARTTLS."""

    area: ClassVar[str] = "tls_port"
    noun: ClassVar[str] = "site"

    at: str = Field(description="A setting: where it answers, host:port.")
    starttls: StartTls | None = Field(
        None, description="A setting: what is spoken before TLS: smtp, imap, pop3, postgres or ldap."
    )
    timeout: Seconds = Field(10.0, description="A setting: how long to wait for an answer, at most.")
    resolve: Node | None = Field(
        None, description="A setting: where to connect to, host[:port], instead of to the host in `at`."
    )
    nodes: tuple[Node, ...] = Field(
        (), description="A setting: its nodes behind the name, host[:port]; all that it resolves to unless set."
    )
    tls: Tls = Field(description="Its certificate, and what it agrees to.")

    @field_validator("at")
    @classmethod
    def _has_a_port(cls, at: str) -> str:
        if not is_node(at) or split_node(at)[1] is None:
            raise Mistake(f"'{at}' is not a port of a host", "write e.g. mail.example.com:25")
        return at

    @property
    def origin(self: Self) -> Origin:
        """Where it is, as TLS needs to know it."""
        host, port = split_node(self.at)
        connect_to, port_at = split_node(self.resolve) if self.resolve else (ascii_name(host), None)
        return Origin(
            site=self.name,
            scheme="tls",
            host=ascii_name(host),
            port=port or 0,
            connect_to=connect_to,
            port_at=port_at,
            timeout_s=self.timeout,
            ca=self.tls.ca,
            judged_faults=self.tls.judged_faults,
            nodes=self.nodes,
            starttls=self.starttls,
        )
