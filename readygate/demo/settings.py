"""What the demo is told, and what it does unless it is told otherwise."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from readygate.demo.pages import Redirect, ShopPages

SECURITY_HEADERS = (
    ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """One demo, as it is to be; a fault replaces a single one of these.

    `extra_port` belongs to nobody: the inventory says that it is closed. `open_ports` answer plain HTTP
    beside the shop itself.
    """

    directory: Path
    port: int
    http_port: int | None = None
    extra_port: int = 0
    open_ports: tuple[int, ...] = ()
    version: str = "1.4.2"
    certificate_names: tuple[str, ...] = ("localhost", "127.0.0.1")
    certificate_left: timedelta = timedelta(days=90)
    oldest_protocol: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: str = "DEFAULT"
    headers: tuple[tuple[str, str], ...] = SECURITY_HEADERS
    pages: type[BaseHTTPRequestHandler] = ShopPages
    plain_pages: type[BaseHTTPRequestHandler] = Redirect
    backups: int = 7
    newest_backup: timedelta = timedelta(hours=2, minutes=1)  # and the one before is older than the RPO
