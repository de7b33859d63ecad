"""What the tests of TLS and HTTP look at: a private CA, and servers that they start themselves."""

from __future__ import annotations

import inspect
import io
import ipaddress
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from readygate.areas import FACTS, SECTIONS
from readygate.areas.sites.site import Site
from readygate.facts import Facts
from readygate.inventory import server_of
from readygate.spec import Leaf, leaves
from tests.holding import suite_functions

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A certificate, its key, and who signed it (itself, where there is nobody)."""

    certificate: x509.Certificate
    key: Key
    signer: Signed | None = None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def issue(
        self,
        *names: str,
        authority: bool = False,
        begins: timedelta = -DAY,
        ends: timedelta = 90 * DAY,
        key: Key | None = None,
    ) -> Signed:
        key = key or ec.generate_private_key(ec.SECP256R1())
        return Signed(certify(names, key, self.certificate.subject, self.key, authority, begins, ends), key, self)


def authority(organisation: str = "Lab Trust") -> Signed:
    """A root CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} Root"),
        ]
    )
    return Signed(certify((), key, name, key, True, -DAY, 365 * DAY, subject=name), key)


def self_signed(*names: str) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    return Signed(certify(names, key, named(names[0]), key, False, -DAY, 90 * DAY), key)


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certify(
    names: tuple[str, ...],
    key: Key,
    issuer: x509.Name,
    issuer_key: Key,
    is_authority: bool,
    begins: timedelta,
    ends: timedelta,
    subject: x509.Name | None = None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject or named(names[0]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(is_authority), critical=True)
    )
    if not is_authority:
        found_at = x509.UniformResourceIdentifier("http://ca.example/issuer.der")
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
        ).add_extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, found_at)]
            ),
            critical=False,
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _usage(is_authority: bool) -> x509.KeyUsage:
    """An authority signs certificates and what was revoked, a server its key exchange."""
    signs, serves = is_authority, not is_authority
    return x509.KeyUsage(serves, False, serves, False, False, signs, signs, False, False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_chain(directory: Path, shown: Signed, *others: Signed) -> tuple[Path, Path]:
    """The files that a server wants: its certificate with the others of the chain, and its key."""
    chain, key = directory / "chain.pem", directory / "key.pem"
    chain.write_bytes(b"".join(each.pem for each in (shown, *others)))
    key.write_bytes(shown.key_pem)
    return chain, key


def tls_context(directory: Path, shown: Signed, *others: Signed) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(*write_chain(directory, shown, *others))
    return context


Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(request: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"hello", **headers: str) -> None:
    """Send a whole answer; header names are written with underscores."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


@contextmanager
def web_server(answer: Answer = reply, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a web server on 127.0.0.1 that answers every request in this way."""

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            try:
                if context:
                    self.connection = context.wrap_socket(self.connection, server_side=True)
                    self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                super().handle()
                self.wfile.flush()
                self.connection.close()
            except OSError:
                pass  # the client went away, as one does that refuses the certificate

        def do_GET(self) -> None:
            # What is left unread when the connection closes resets it, and may take the answer along.
            is_sent = "Expect" not in self.headers
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))) if is_sent else b""
            self.rfile = io.BytesIO(body)
            answer(self)
            self.wfile.flush()
            # A socket that is closed with something unread takes the answer back.
            if self.headers.get("Content-Length"):
                self.connection.settimeout(1)
                while self.rfile.read1():  # until the client closes
                    pass

        do_POST = do_PUT = do_DELETE = do_OPTIONS = do_TRACE = do_PATCH = do_GET  # noqa: N815 - the library's names

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server on 127.0.0.1 that does this with each connection, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        def serve(connection: socket.socket) -> None:
            with connection:
                connection.recv(4096)
                answer(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


@contextmanager
def nginx(folder: Path, server: str, listen: str = "", http: str = "") -> Iterator[int]:
    """The port of an nginx on 127.0.0.1 with these directives in its only server block, and those around it."""
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed on this machine")
    port, log = free_port(), folder / "nginx.log"
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid; daemon off; master_process off; events {{}}"
        f"http {{ access_log off; {temporary} {http} server {{ listen 127.0.0.1:{port} {listen}; {server} }} }}"
    )
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(log)])
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        else:
            raise TimeoutError(log.read_text())
        yield port
    finally:
        process.terminate()
        process.wait(10)


def failing(section: str, declared: dict[str, Any], hosts: Mapping[str, Any] | None = None) -> set[str]:
    """The checks that one entry of a section fails by the shipped suites; raises what the facts raise."""
    functions = {check: each for suite in ("http", "tls", "dns") for check, each in suite_functions(suite)}

    def host_of(leaf: Leaf | None, name: str | None = None) -> Any:
        return (hosts or {})[name or (server_of(leaf) if leaf else None) or ""]

    facts = Facts(FACTS, host_of)
    failed = set()
    for leaf in leaves(SECTIONS[section].model_validate(declared), "api", (section, "api")):
        function = functions[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError:
            failed.add(leaf.check)
    return failed


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def site(url: str, **declared: Any) -> Site:
    """The site `api`, found on 127.0.0.1 whatever its name."""
    parsed = Site.model_validate({"url": url, "resolve": "127.0.0.1", "timeout": "5s", **declared})
    parsed._named("api")
    for path, endpoint in parsed.endpoints.items():
        endpoint._named(path)
    return parsed
