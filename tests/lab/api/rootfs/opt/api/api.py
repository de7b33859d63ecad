"""One node of the shop's API, as sound as it has to be; what breaks it is edited into this file."""

import base64
import hashlib
import hmac
import json
import os
import socket
import time
import traceback
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

DEBUG = os.environ["DEBUG"] == "1"
COOKIE = "session={}; Path=/; Secure; HttpOnly; SameSite=Lax"
TOKEN_LIVES = timedelta(minutes=15)
VAT_PERCENT = 19
KEY = os.urandom(32)
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
METRICS = """\
# TYPE orders_total counter
orders_total{paid="yes"} 7
# TYPE carts gauge
carts 3
"""


class Refused(Exception):
    """What the client has to hear: a status, and why."""


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one packet is not delayed

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.sent = self.rfile.read(length)
        try:
            self.route()
        except Refused as refused:
            status, why = refused.args
            self.send({"error": traceback.format_exc() if DEBUG else why}, status)
        except (KeyError, TypeError, ValueError):
            self.send({"error": traceback.format_exc() if DEBUG else "this can't be understood"}, 400)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815 - the library's names

    def route(self) -> None:
        match self.command, urlsplit(self.path).path:
            case "GET", "/health":
                self.send({"status": "ok", "version": os.environ["VERSION"]})
            case "GET", "/metrics":
                self.send(METRICS, kind="text/plain; version=0.0.4")
            case "GET", "/v1/products":
                self.send({"products": ["Assam", "Darjeeling"]}, Cache_Control="no-store")
            case "DELETE", "/v1/products":
                self.send({"deleted": 2})
            case "GET", "/v1/search":
                self.send({"found": []})
            case "GET", "/v1/report":
                self.send({"orders": 7})
            case "GET", "/v1/live":
                self.open_websocket()
            case "POST", "/v1/login":
                self.log_in()
            case "POST", "/v1/quote":
                self.quote()
            case "GET", "/v1/receipt":
                cents = int(parse_qs(urlsplit(self.path).query)["cents"][0])
                self.send(f"Total: {cents / 100:.2f} EUR\n", kind="text/plain")
            case "GET", "/admin/" | "/admin/orders.csv":
                self.send("id,cents\n7,1999\n", kind="text/csv")
            case _, "/v1/cart":
                raise Refused(401, "who are you?")
            case _:
                raise Refused(404, "there is nothing here")

    def quote(self) -> None:
        asked = json.loads(self.sent)
        if asked["quantity"] < 1:
            raise Refused(422, "how many?")
        net = asked["cents"] * asked["quantity"]
        self.send({"net": net, "total": net + round(net * VAT_PERCENT / 100)})

    def log_in(self) -> None:
        asked = json.loads(self.sent)
        if asked != {"user": "anna", "password": "tea"}:
            raise Refused(401, "no such user or password")
        now = int(time.time())
        claims = {"sub": "anna", "iat": now, "exp": now + int(TOKEN_LIVES.total_seconds())}
        signed = f"{packed(json.dumps({'alg': 'HS256'}).encode())}.{packed(json.dumps(claims).encode())}"
        token = f"{signed}.{packed(hmac.digest(KEY, signed.encode(), 'sha256'))}"
        self.send({"access_token": token}, Set_Cookie=COOKIE.format(packed(os.urandom(16))))

    def open_websocket(self) -> None:
        if self.headers.get("Upgrade", "").lower() != "websocket":
            raise Refused(426, "this is a WebSocket")
        digest = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET_GUID).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
        self.end_headers()
        self.close_connection = True

    def send(self, content: object, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        body = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body.encode())), **headers}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body.encode())


def packed(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Api) as server:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        server.serve_forever()
