"""The running shop: its listeners, its threads, and its end on SIGTERM."""

from __future__ import annotations

import logging
import signal
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from readygate.demo.backups import make_backups
from readygate.demo.certificates import CHAIN, KEY, issue_certificates
from readygate.demo.settings import Settings
from readygate.demo.shop import make_shop

LOG = "demo.log"

log = logging.getLogger(__name__)


def prepare(settings: Settings) -> None:
    """Fill the directory with all that the shop needs and has left behind."""
    issue_certificates(settings.directory, settings.certificate_names, settings.certificate_left)
    make_shop(settings.directory)
    make_backups(settings.directory, count=settings.backups, newest=settings.newest_backup)


def serve(settings: Settings) -> None:
    """Answer on all ports until SIGTERM or SIGINT; raises OSError where the shop cannot start."""
    servers: list[ShopServer] = [SecureShopServer(settings.port, settings.pages, settings)]
    if settings.http_port is not None:
        servers.append(ShopServer(settings.http_port, settings.plain_pages, settings))
    servers += [ShopServer(port, settings.plain_pages, settings) for port in settings.open_ports]

    # Blocked before there are threads, so that the signal reaches the one that waits for it.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    for server in servers:
        Thread(target=server.serve_forever, daemon=True).start()
    log.info("shop %s serves on port %d", settings.version, settings.port)
    log.info("ends on %s", signal.Signals(signal.sigwait(ends)).name)


class ShopServer(ThreadingHTTPServer):
    """Plain HTTP on a loopback port."""

    request_queue_size = 256

    def __init__(self, port: int, pages: type[BaseHTTPRequestHandler], settings: Settings) -> None:
        self.settings = settings
        super().__init__(("127.0.0.1", port), pages)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.exception("the request of %s failed", client_address)


class SecureShopServer(ShopServer):
    """HTTPS on a loopback port."""

    def __init__(self, port: int, pages: type[BaseHTTPRequestHandler], settings: Settings) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = settings.oldest_protocol
        self.context.set_ciphers(settings.ciphers)
        self.context.load_cert_chain(settings.directory / CHAIN, settings.directory / KEY)
        super().__init__(port, pages, settings)

    def get_request(self) -> tuple[socket.socket, Any]:
        # The handshake comes with the first read, in the client's own thread: here it would let a client
        # that says nothing keep out all others.
        accepted, address = super().get_request()
        return self.context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address
