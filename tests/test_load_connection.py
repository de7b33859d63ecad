"""One visitor's connection, in a process of its own as gevent wants it, and servers that do what servers do."""

from __future__ import annotations

import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET

import pytest

from tests.web import authority, write_chain

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

ASKING = """\
import sys, time
import gevent
from readygate.load.connection import Connection, resolve
connection = Connection(sys.argv[1], resolve(sys.argv[1]), 5.0, sys.argv[2])
def ask(method="GET", path="/", headers=(), body=""):
    try:
        answer = connection.ask(method, connection.encode(method, path, headers, body))
    except Exception as error:
        print(type(error).__name__)
    else:
        print(answer.get_code(), bytes(answer.body).decode())
"""


class Serving(socketserver.BaseRequestHandler):
    """Answers rightly, and counts."""

    asked = 0

    def handle(self) -> None:
        while self.heard():
            self.request.sendall(OK)

    def heard(self) -> bytes:
        said: bytes = self.request.recv(65536)
        type(self).asked += bool(said)
        return said


class Chattering(Serving):
    """Answers rightly, and a moment later says something that nobody asked for."""

    def handle(self) -> None:
        while self.heard():
            self.request.sendall(OK)
            time.sleep(0.1)
            self.request.sendall(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")


class Closing(Serving):
    """Answers once, and closes the connection without having said so."""

    def handle(self) -> None:
        self.heard()
        self.request.sendall(OK)


class Crashing(Serving):
    """Answers once; takes the next request as well, and closes."""

    def handle(self) -> None:
        self.heard()
        self.request.sendall(OK)
        self.heard()


class Resetting(Crashing):
    """The same, with a reset."""

    def handle(self) -> None:
        super().handle()
        self.request.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()


class Refusing(Serving):
    """Answers when it has seen the head, and closes the connection though a body is on its way."""

    def handle(self) -> None:
        self.request.recv(1024)
        self.request.sendall(b"HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")


class Echoing(Serving):
    """Answers with the head that it got."""

    def handle(self) -> None:
        head = self.heard()
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


@contextmanager
def server(behaviour: type[Serving], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def finish_request(self, request: object, client_address: object) -> None:
            wrapped = tls.wrap_socket(request, server_side=True) if tls else request  # type: ignore[arg-type]
            behaviour(wrapped, client_address, self)

    behaviour.asked = 0
    with Server(("127.0.0.1", 0), behaviour) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()


def said(behaviour: type[Serving], script: str) -> str:
    with server(behaviour) as url:
        return ended(url, script)


def ended(url: str, script: str, ca: Path | str = "") -> str:
    called = [sys.executable, "-c", ASKING + script, url, str(ca)]
    return subprocess.run(called, capture_output=True, text=True, check=True).stdout


LATE = """
asking = gevent.spawn(ask)
gevent.sleep(0)
time.sleep(0.3)  # the loop stands still, and what it waits for is there
asking.get()
print(connection.lag)
"""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("before", ["", "ask()"], ids=["connecting", "connected"])
def test_how_late_we_are_is_not_the_targets_doing(before: str, scheme: str, tmp_path: Path) -> None:
    root = authority()
    (tmp_path / "ca.pem").write_bytes(root.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*write_chain(tmp_path, root.issue("127.0.0.1"), root))
    with server(Serving, tls if scheme == "https" else None) as url:
        lag = float(ended(url, before + LATE, tmp_path / "ca.pem").split()[-1])
    assert 0.2 < lag < 0.4


def test_what_nobody_asked_for_is_no_answer_to_what_is_asked_next() -> None:
    assert said(Chattering, "for _ in range(3): ask(); gevent.sleep(0.3)").split() == ["200", "ok"] * 3


# The closing comes after we have looked, and before the request is there.
UNSEEN = "connection._was_closed_meanwhile = lambda: False\n"


def test_a_connection_that_was_closed_while_it_lay_idle_is_no_error() -> None:
    assert said(Closing, "for _ in range(3): ask(); gevent.sleep(0.1)").split() == ["200", "ok"] * 3
    assert said(Closing, UNSEEN + "for _ in range(3): ask(); gevent.sleep(0.1)").split() == ["200", "ok"] * 3
    assert Closing.asked == 3


@pytest.mark.parametrize(
    ("behaviour", "error"), [(Crashing, "Dropped"), (Resetting, "ConnectionResetError")], ids=["closed", "reset"]
)
def test_a_request_that_the_target_has_taken_is_never_asked_again(behaviour: type[Serving], error: str) -> None:
    assert said(behaviour, "ask(); ask()").split() == ["200", "ok", error]
    assert behaviour.asked == 2


def test_an_answer_that_comes_before_all_is_sent_is_an_answer() -> None:
    assert said(Refusing, "ask('POST', '/', (), 'x' * 10_000_000)") == "413 no\n"


def test_a_request_is_sent_as_others_expect_it() -> None:
    headers = "(('host', 'shop.example'), ('X-Name', 'Ada\\r\\nLovelace'))"
    head = said(Echoing, f"ask('POST', '/of/Ada Lovelace/é?q=%20&r=[1]', {headers}, 'é')").splitlines()
    assert "POST /of/Ada%20Lovelace/%C3%A9?q=%20&r=[1] HTTP/1.1" in head[0]
    assert "host: shop.example" in head
    assert not any(line.startswith("Host:") for line in head)
    assert "X-Name: Ada Lovelace" in head
    assert "Content-Length: 2" in head
