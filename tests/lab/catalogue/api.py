"""Faults of an API, as its clients see it: what it answers, to whom, how often, and what it should have refused."""

from __future__ import annotations

from dataclasses import replace
from shlex import quote

from tests.lab.catalogue.sites import RELOAD, SITE
from tests.lab.faults import AreaFaults, Fault
from tests.lab.host import Lab, Target
from tests.lab.image import api_image

SOUND = """\
sites:
  shop:
    url: https://shop.lab
    resolve: ${LAB_ADDRESS}
    nodes: ["${LAB_ADDRESS}:8441", "${LAB_ADDRESS}:8442"]
    tls: {ca: "${LAB_CA}", trusted: true}
    redirects_http: true
    headers: {Strict-Transport-Security: max-age=31536000, X-Content-Type-Options: nosniff}
    headers_on_errors: {X-Content-Type-Options: nosniff}
    shows_debug: false
    refuses_other_hosts: true
    cors:
      path: /v1/cart
      origins: [https://app.shop.lab, https://admin.shop.lab]
      any_origin: false
      methods: [GET, PUT]
      headers: [Authorization, Content-Type]
      max_age: 10m
      credentials: true
    rate_limit:
      path: /v1/search
      rate: 2/s
      burst: 5
      answers: 429
      retry_after: true
      recovers: true
      at_most: 20
    endpoints:
      /: {body: ~ The tea shop}
      /health: {status: 200, json: {status: ok}, on_every_node: {version: 1.4.2}}
      /metrics: {metrics: [orders_total, carts]}
      /v1/products:
        headers: {Cache-Control: no-store}
        refuses_methods: [PUT, DELETE, TRACE]
        samples: 100
        p95: 300ms
        p99: 700ms
      /v1/report: {within: 800ms}
      /v1/live: {websocket: true}
      /v1/login:
        method: POST
        send_json: {user: anna, password: tea}
        cookies: {session: {contains: [Secure, HttpOnly, SameSite=Lax]}}
        token: {lives: 15m}
      /v1/quote:
        method: POST
        cases:
          three: {send_json: {cents: 333, quantity: 3}, json: {net: 999, total: 1189}}
          none: {send_json: {cents: 333, quantity: 0}, status: 422}
      /v1/receipt:
        cases:
          to-the-cent: {query: cents=1999, body: "~ Total: 19\\\\.99 EUR"}
      /admin/: {default_logins: false}
      /admin/orders.csv: {needs_login: true}
"""


def boot(lab: Lab) -> Target:
    """A host with nginx before two nodes of an API, whose certificate is at hand."""
    host = replace(lab, image=api_image()).boot("api")
    host.certificate.write_text(host.run("cat /etc/ssl/certs/shop.pem").stdout)
    return host


def nginx(edit: str, file: str = SITE) -> str:
    """A script that edits nginx's settings by this command of sed, and has it serve by them."""
    return f"sed -i {quote(edit)} {file}\n{RELOAD}"


def release(edit: str) -> str:
    """A script that deploys another release to both nodes: the sound one, edited by this command of sed."""
    return f"sed -i {quote(edit)} /opt/api/api.py\nsystemctl restart api@1 api@2"


def slow(every: int, seconds: float) -> str:
    """A command of sed by which the service waits before one in so many lists of products."""
    wait = f"next(ASKED) % {every} or time.sleep({seconds})"
    return f"s/^KEY =/import itertools; ASKED = itertools.count(1); &/; /Assam/i \\                {wait}"


OLD_NODE = """\
mkdir /etc/systemd/system/api@2.service.d
printf '[Service]\\nEnvironment=VERSION=1.4.1\\n' > /etc/systemd/system/api@2.service.d/old.conf
systemctl daemon-reload
systemctl restart api@2
"""

PREFLIGHT = ("cors.methods", "cors.headers", "cors.max_age", "cors.credentials")
CORS = (
    Fault(
        "cors-reflects-the-origin", ("cors.origins", "cors.any_origin"), nginx("/let_in {/a default $http_origin;")
    ),
    Fault(
        "cors-by-the-end-of-the-origin",
        ("cors.origins", "cors.any_origin"),
        nginx(r's/"https:..app.shop.lab"/"~app\\.shop\\.lab$"/'),
    ),
    Fault(
        "cors-star-with-credentials",
        ("cors.origins", "cors.any_origin", "cors.credentials"),
        nginx('s/Allow-Origin $let_in/Allow-Origin "*"/'),
    ),
    Fault("cors-forgets-an-origin", ("cors.origins",), nginx("/admin.shop.lab/d")),
    Fault("cors-preflight-has-to-log-in", PREFLIGHT, nginx("/if (/,/}/d")),
    Fault("cors-allows-another-method", ("cors.methods",), nginx('s/"GET, PUT"/"GET, PUT, DELETE"/')),
    Fault("cors-lacks-a-header", ("cors.headers",), nginx("s/Authorization, //")),
    Fault("cors-preflight-before-each-request", ("cors.max_age",), nginx("/Max-Age/d")),
    Fault("cors-without-credentials", ("cors.credentials",), nginx("/Allow-Credentials/d")),
)

# As behind a balancer, whose address is that of every visitor: a few of them use up what is for half a minute.
ONE_FOR_ALL = (
    nginx("/limit_req_zone/s!$binary_remote_addr\\(.*\\)2r/s!$server_name\\12r/m!")
    + """\
ask="curl -sk --resolve shop.lab:443:127.0.0.1 -w %{http_code} -o /dev/null https://shop.lab/v1/search"
until [ "$($ask)" = 429 ]; do :; done
"""
)
NEVER_REFUSED = ("rate_limit.rate", "rate_limit.answers", "rate_limit.retry_after", "rate_limit.recovers")
LIMITS = (
    Fault(
        "limit-counts-by-a-header-that-nobody-sends",
        NEVER_REFUSED,
        nginx("/limit_req_zone/s/$binary_remote_addr/$http_x_forwarded_for/"),
    ),
    Fault("limit-passed-by-return", NEVER_REFUSED, nginx("/limit_req zone/a return 200;")),
    Fault("limit-used-up-by-all-others", (), ONE_FOR_ALL, unsure=("rate_limit.burst", *NEVER_REFUSED)),
    Fault("limit-with-too-large-a-burst", ("rate_limit.rate",), nginx("s/burst=5/burst=12/")),
    Fault("limit-without-a-burst", ("rate_limit.burst",), nginx("s/ burst=5 nodelay//")),
    Fault("limit-that-delays", ("rate_limit.burst",), nginx("s/ nodelay//"), unsure=NEVER_REFUSED),
    Fault("limit-that-answers-503", ("rate_limit.answers",), nginx("/limit_req_status/d; s/429/503/")),
    Fault("limit-without-retry-after", ("rate_limit.retry_after",), nginx("s/Retry-After 1 always/Retry-After 1/")),
    Fault("limit-by-the-minute", ("rate_limit.recovers",), nginx("s!2r/s!2r/m!")),
)

# A location by a regular expression comes before the one that asks for the login.
DOWNLOADS = r"\,location /admin/,i location ~ \\.csv$ { expires 1d; proxy_pass http://api; }"
ANSWERS = (
    Fault(
        "http-not-redirected",
        ("site.redirects_http",),
        nginx("s!return 301.*!location / { proxy_pass http://api; }!"),
    ),
    Fault("any-host-served", ("site.refuses_other_hosts",), nginx("/443 ssl default_server/d")),
    Fault(
        "headers-lost-on-the-front-page", ("site.headers",), nginx("/try_files/a add_header Cache-Control no-cache;")
    ),
    Fault(
        "headers-lost-on-errors", ("site.headers_on_errors",), nginx("s/ always//", "/etc/nginx/snippets/secure.conf")
    ),
    Fault("debug-left-on", ("site.shows_debug",), release("s/^DEBUG = .*/DEBUG = True/")),
    Fault("front-page-empty", ("http.body",), "truncate --size=0 /var/www/html/index.html"),
    Fault("answers-of-a-shop-cached", ("http.headers",), nginx("/limit_except/i expires 1h;")),
    Fault(
        "metrics-answered-by-the-front-page",
        ("http.metrics",),
        nginx("\\,location / {,i location /metrics { try_files /index.html =404; }"),
    ),
    Fault("method-let-through", ("http.refuses_methods",), nginx("/limit_except/d")),
    Fault("upgrade-lost-in-the-proxy", ("http.websocket",), nginx("/Upgrade/d")),
    Fault("one-node-still-old", ("http.on_every_node",), OLD_NODE),
    Fault("report-slow", ("http.within",), release("/orders.: 7/i \\                time.sleep(1.2)")),
    Fault("every-tenth-answer-slow", ("http.p95",), release(slow(10, 0.45))),
    Fault("every-fortieth-answer-slow", ("http.p99",), release(slow(40, 0.9))),
    Fault("cookie-without-secure", ("http.cookies",), release("s/ Secure;//")),
    Fault("token-good-for-a-month", ("token.lives",), release("s/minutes=15/days=30/")),
    Fault(
        "admin-admin",
        ("http.default_logins",),
        "printf 'admin:%s\\n' \"$(openssl passwd -apr1 admin)\" >> /etc/nginx/htpasswd",
    ),
    Fault("login-lost-in-another-location", ("http.needs_login",), nginx(DOWNLOADS)),
    Fault("sum-rounded-down", ("case.json",), release("s/round(\\(.*\\) . 100)/int(\\1 \\/ 100)/")),
    Fault("nonsense-accepted", ("case.status",), release('s/quantity.. < 1/quantity"] < 0/')),
    Fault("cents-taken-for-euros", ("case.body",), release("s/cents . 100:/cents:/")),
)

FAULTS = AreaFaults("api", SOUND, (*CORS, *LIMITS, *ANSWERS), boot)
