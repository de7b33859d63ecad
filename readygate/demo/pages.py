"""What the shop answers over HTTPS, and the redirect that it answers over plain HTTP."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from readygate.demo.shop import DATABASE, SCHEMA_VERSION

if TYPE_CHECKING:
    from readygate.demo.service import ShopServer

log = logging.getLogger(__name__)

_FRONT_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The tea shop</title></head>
<body><h1>The tea shop</h1><p>See <a href="/api/products">what we sell</a>.</p></body></html>
"""


class _Pages(BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive, errors in JSON, and a log line for each request."""

    server: ShopServer
    protocol_version = "HTTP/1.1"
    timeout = 30
    # Headers and body leave in one packet: two would cost a delayed acknowledgement of 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    error_content_type = "application/json"
    error_message_format = '{"error": "%(message)s"}\n'

    def do_GET(self) -> None:
        self.respond()

    def do_HEAD(self) -> None:
        self.respond()

    def respond(self) -> None:
        raise NotImplementedError

    def answer(self, status: HTTPStatus, content_type: str, body: str, **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def version_string(self) -> str:
        return "shop"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        log.info(f"{self.address_string()} {format}", *args)


class Redirect(_Pages):
    """Sends everyone who comes by plain HTTP to the shop."""

    def respond(self) -> None:
        location = f"https://localhost:{self.server.settings.port}{self.path}"
        self.answer(HTTPStatus.MOVED_PERMANENTLY, "text/plain", "", Location=location)


class ShopPages(_Pages):
    """The shop itself."""

    def respond(self) -> None:
        try:
            self.route()
        except sqlite3.Error:
            log.exception("the database does not answer")
            self.answer_json({"error": "the database does not answer"}, HTTPStatus.SERVICE_UNAVAILABLE)

    def end_headers(self) -> None:
        for name, value in self.server.settings.headers:
            self.send_header(name, value)
        super().end_headers()

    def route(self) -> None:
        match self.path.partition("?")[0].split("/")[1:]:
            case [""]:
                self.answer(HTTPStatus.OK, "text/html; charset=utf-8", _FRONT_PAGE)
            case ["health"]:
                self.health()
            case ["api", "products"]:
                self.products()
            case ["api", "orders", number]:
                self.order(number)
            case _:
                self.not_found()

    def health(self) -> None:
        """Healthy is a shop whose database can be read and has the schema that this release needs."""
        schema = self.rows("pragma user_version")[0]["user_version"]
        sound = schema == SCHEMA_VERSION
        self.answer_json(
            {
                "status": "ok" if sound else "failing",
                "version": self.server.settings.version,
                "database": "ok" if sound else f"schema {schema} instead of {SCHEMA_VERSION}",
            },
            HTTPStatus.OK if sound else HTTPStatus.SERVICE_UNAVAILABLE,
        )

    def products(self) -> None:
        self.answer_json({"products": self.rows("select id, name, cents from products order by id")})

    def order(self, number: str) -> None:
        found = self.rows("select id, product_id, quantity, ordered_at from orders where id = ?", number)
        if found:
            self.answer_json(found[0])
        else:
            self.not_found()

    def not_found(self) -> None:
        self.answer_json({"error": "there is nothing here"}, HTTPStatus.NOT_FOUND)

    def answer_json(self, content: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.answer(status, "application/json", json.dumps(content) + "\n")

    def rows(self, query: str, *values: str) -> list[dict[str, Any]]:
        where = f"{(self.server.settings.directory / DATABASE).as_uri()}?mode=ro"
        with closing(sqlite3.connect(where, uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(query, values)]
