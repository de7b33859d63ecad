"""Servers to stand before an application, each with a sound configuration that a test breaks in one place."""

from __future__ import annotations

import base64
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.lab.fixtures import unable
from tests.web import authority, free_port, reply, write_chain

HOST = "shop.example"
MOST = 1 << 20

HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
frontend plain
    bind 127.0.0.1:{http}
    http-request redirect location https://shop.example:{https}%[capture.req.uri] code 301
frontend secure
    bind 127.0.0.1:{https} ssl crt {folder}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.2
    stick-table type ip size 1k expire 10s store http_req_rate(1s)
    http-after-response set-header Strict-Transport-Security max-age=31536000
    http-request deny deny_status 421 unless {{ hdr(host) -i shop.example:{https} }}
    http-request deny deny_status 404 if {{ path_beg /metrics /. }}
    http-request deny deny_status 405 if {{ method DELETE TRACE }}
    http-request track-sc0 src if {{ path /v1/search }}
    http-request deny deny_status 429 if {{ path /v1/search }} {{ sc_http_req_rate(0) gt 5 }}
    http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {most} }}
    http-request deny deny_status 413 if {{ req.hdr(transfer-encoding) -m found }}
    default_backend app
backend app
    server app 127.0.0.1:{app}
"""

APACHE = """\
ServerRoot {folder}
ServerName shop.example
PidFile {folder}/pid
ErrorLog {folder}/log
DefaultRuntimeDir {folder}
{modules}
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https} https
TraceEnable off
SSLEngine on
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLCertificateFile {folder}/chain.pem
SSLCertificateKeyFile {folder}/key.pem
<VirtualHost 127.0.0.1:{http}>
    SSLEngine off
    Redirect permanent / https://shop.example:{https}/
</VirtualHost>
<VirtualHost 127.0.0.1:{https}>
    ServerName nobody.invalid
    Redirect 403 /
</VirtualHost>
<VirtualHost 127.0.0.1:{https}>
    ServerName shop.example
    Protocols h2 http/1.1
    Header always set Strict-Transport-Security max-age=31536000
    RedirectMatch 404 ^/(metrics|\\.)
    <Location />
        AllowMethods GET HEAD POST OPTIONS
    </Location>
    RewriteEngine on
    RewriteCond expr "%{{HTTP:Content-Length}} -gt {most} || %{{HTTP:Transfer-Encoding}} =~ /chunked/"
    RewriteRule ^ - [R=413,L]
    ProxyPassMatch ^/(metrics|\\.) !
    ProxyPass /live ws://127.0.0.1:{app}/live
    ProxyPass / http://127.0.0.1:{app}/
</VirtualHost>
"""
APACHE_MODULES = "mpm_event authz_core ssl headers alias allowmethods rewrite proxy proxy_http proxy_wstunnel http2"

CADDY = """\
{{
    admin off
    auto_https off
}}
http://shop.example:{http} {{
    bind 127.0.0.1
    redir https://shop.example:{https}{{uri}} permanent
}}
https://shop.example:{https} {{
    bind 127.0.0.1
    tls {folder}/chain.pem {folder}/key.pem
    header Strict-Transport-Security max-age=31536000
    handle_errors {{
        header Strict-Transport-Security max-age=31536000
        respond {{http.error.status_code}}
    }}
    @hidden path /metrics /.*
    error @hidden 404
    @refused method DELETE TRACE
    error @refused 405
    request_body {{
        max_size {most}
    }}
    reverse_proxy 127.0.0.1:{app}
}}
:{https} {{
    bind 127.0.0.1
    respond 421
}}
"""


GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PAGES = {
    "/": b'{"version": "1.4.2"}',
    "/.env": b"SECRET_KEY=1",
    "/metrics": b"up 1",
    "/v1/search": b"[]",
    "/v1/upload": b"taken",
}


class Application(BaseHTTPRequestHandler):
    """What is behind: it knows nothing of limits, and answers each method alike."""

    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked went away
            super().handle()

    def do_GET(self) -> None:
        self.close_connection = True
        self._read_body()
        path = self.path.partition("?")[0]
        if path == "/live" and "Sec-WebSocket-Key" in self.headers:
            digest = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode()).digest()
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
            self.end_headers()
        elif path.startswith("/admin/"):
            reply(self, 401, WWW_Authenticate="Basic", Connection="close")
        elif path in PAGES:
            reply(self, 200, PAGES[path], Connection="close")
        else:
            reply(self, 404, b"nothing here", Connection="close")

    do_POST = do_PUT = do_DELETE = do_OPTIONS = do_TRACE = do_GET  # noqa: N815 - the library's names

    def _read_body(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read1(left)):
            left -= len(piece)
        is_chunked = self.headers.get("Transfer-Encoding") == "chunked"
        while is_chunked and (size := int(self.rfile.readline() or b"0", 16)):
            self.rfile.read(size + 2)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def application() -> Iterator[int]:
    """The port of the application."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def front(kind: str, folder: Path, app: int, was: str = "", becomes: str = "") -> Iterator[tuple[int, int]]:
    """The ports of HTTP and HTTPS of haproxy, apache2 or caddy before the application, with one place changed."""
    if not shutil.which(kind):
        unable(f"there is no {kind} on this machine; install Debian's {'apache2-bin' if kind == 'apache2' else kind}")
    root = authority()
    (folder / "ca.pem").write_bytes(root.pem)
    chain, key = write_chain(folder, root.issue(HOST))
    (folder / "both.pem").write_bytes(chain.read_bytes() + key.read_bytes())
    http, https = free_port(), free_port()
    template = {"haproxy": HAPROXY, "apache2": APACHE, "caddy": CADDY}[kind]
    assert was in template
    modules = "\n".join(
        f"LoadModule {each}_module /usr/lib/apache2/modules/mod_{each}.so" for each in APACHE_MODULES.split()
    )
    settings = folder / "front.conf"
    settings.write_text(
        template.replace(was, becomes, 1).format(
            folder=folder, http=http, https=https, app=app, most=MOST, modules=modules
        )
    )
    command = {
        "haproxy": ["haproxy", "-db", "-f", str(settings)],
        "apache2": ["apache2", "-X", "-f", str(settings)],
        "caddy": ["caddy", "run", "--adapter", "caddyfile", "--config", str(settings)],
    }[kind]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env={"PATH": "/usr/sbin:/usr/bin", "HOME": str(folder)}
        )
    try:
        _wait_for(https, process, folder / "said")
        yield http, https
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise TimeoutError(said.read_text())
