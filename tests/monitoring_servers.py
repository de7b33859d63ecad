"""A real Prometheus and a real Alertmanager that tests start, and a target that counts as it is told."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.database_servers import answers, free_port, needed, served


@dataclass
class Web:
    """Answers by path, and what each request was; a stand-in where nobody packages the real thing."""

    port: int
    pages: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web(pages: Mapping[str, Any]) -> Iterator[Web]:
    """`pages` has by path a body, a status, a pair of both, or a function of the request's handler."""
    here = Web(free_port(), dict(pages))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = here.pages.get(urllib.parse.urlsplit(self.path).path, 404)
            found = found(self) if callable(found) else found
            status, body = (
                found if isinstance(found, tuple) else (found, "") if isinstance(found, int) else (200, found)
            )
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", here.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str
    config: Path

    def ask(self, expression: str) -> list[Any]:
        asked = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)["data"]["result"]

    def reload(self) -> None:
        try:
            urllib.request.urlopen(f"{self.url}/-/reload", data=b"", timeout=10).close()
        except urllib.error.HTTPError:
            return  # a configuration that does not load


@contextmanager
def new_prometheus(folder: Path, config: str, rules: str, *options: str) -> Iterator[Prometheus]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "prometheus.yml").write_text(config.replace("SELF", f"127.0.0.1:{port}"))
    (folder / "rules.yml").write_text(rules)
    command = [
        needed("prometheus", "prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        *options,
    ]
    with served(command, folder / "prometheus.log", lambda: is_ready(port)):
        yield Prometheus(f"http://127.0.0.1:{port}", folder / "prometheus.yml")


@contextmanager
def new_alertmanager(folder: Path, config: str) -> Iterator[str]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    (folder / "alertmanager.yml").write_text(config)
    command = [
        needed("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with served(command, folder / "alertmanager.log", lambda: is_ready(port)):
        yield f"http://127.0.0.1:{port}"


def is_ready(port: int) -> bool:
    if not answers(port):
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(holds: Callable[[], object], within: float = 30) -> None:
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come about in time")
        time.sleep(0.1)
