"""What must hold of every site and of each of its endpoints."""

import pytest


@pytest.mark.check("site.redirects_http", severity="major")
def test_plain_http_leads_to_https(site, http_redirect):
    """Whoever types the bare name would otherwise send a session cookie in the clear, or see nothing.

    Mend: let port 80 answer `return 301 https://$host$request_uri;`; where that is a circle behind a proxy that ends
    TLS, let the application trust its X-Forwarded-Proto.
    """
    assert http_redirect.to_https in site.redirects_http, http_redirect.told


@pytest.mark.check("site.headers", severity="major")
def test_front_page_has_the_declared_header(key, expected, front_page):
    """These headers protect visitors, and one new `add_header` in a nested block takes them all away unseen.

    Mend: set the header with `always` in the server block, and again where a location sets its own.
    """
    assert front_page.header(key) in expected, front_page.why_no_header(key)


@pytest.mark.check("http.status", severity="blocker")
def test_endpoint_answers_with_the_declared_status(endpoint, response):
    """This is the answer that a visitor or the load balancer gets right now.

    Mend: ask it with `curl -v`, and read the log of the service behind it.
    """
    assert response.status in endpoint.status


@pytest.mark.check("http.json", severity="blocker")
def test_endpoint_answers_with_the_declared_value(key, expected, response):
    """A status of 200 alone may come from the wrong version, or from a service that lost its database.

    Mend: look at the whole answer with `curl`, and see that the release that is meant is the one that runs.
    """
    assert response.value_at(key) in expected, response.why_no_json


@pytest.mark.check("http.headers", severity="major")
def test_endpoint_answers_with_the_declared_header(key, expected, response):
    """Caches, browsers and clients act on headers, so a wrong one breaks what no server log shows.

    Mend: see with `curl -i` who sets it: the service, or the proxy before it.
    """
    assert response.header(key) in expected, response.why_no_header(key)


@pytest.mark.check("http.body", severity="major")
def test_endpoint_answers_with_the_declared_body(endpoint, response):
    """An empty page and a maintenance page have the status 200 as well.

    Mend: look at the answer with `curl`, and see which server gave it.
    """
    assert response.text in endpoint.body


@pytest.mark.check("http.within", severity="major")
def test_endpoint_answers_in_time(endpoint, response):
    """Slow is how an outage begins: queues fill up while every check of the status is still green.

    Mend: compare with the last green run, then look at the slowest query and at the load of the server.
    """
    assert response.time_s in endpoint.within


@pytest.mark.check("site.headers_on_errors", severity="major")
def test_error_pages_have_the_declared_header(key, expected, error_pages):
    """An attacker chooses the page, and error pages are where headers are forgotten.

    Mend: nginx drops its headers from 4xx and 5xx unless `add_header` ends with `always`.
    """
    assert error_pages.header(key) in expected, error_pages.why_no_header(key)


@pytest.mark.check("site.shows_debug", severity="blocker")
def test_errors_show_nothing_of_the_inside(site, error_pages):
    """A stack trace gives away paths, versions and settings; a debugger on the page runs anybody's code.

    Mend: switch debug mode off (DEBUG=False, APP_DEBUG=false), and let one plain page answer for all errors.
    """
    assert bool(error_pages.debug) in site.shows_debug, ", ".join(error_pages.debug)


@pytest.mark.check("site.exposes_files", severity="blocker")
def test_nothing_is_served_that_was_left_lying_about(site, exposure):
    """A served .git or .env is every secret of the system, and scanners find it within hours.

    Mend: take it out of the document root, let the server refuse dot files, and replace every secret that was in it.
    """
    assert exposure.any in site.exposes_files, exposure.told


@pytest.mark.check("site.hides", severity="blocker")
def test_hidden_paths_are_not_served(site, hidden):
    """What is for us alone, such as metrics and admin pages, is open to everybody once a location is forgotten.

    Mend: refuse these paths in the server block that the world reaches, e.g. `location /metrics { return 404; }`.
    """
    assert hidden.paths in site.hides


@pytest.mark.check("site.refuses_other_hosts", severity="major")
def test_requests_for_another_host_are_refused(site, other_host):
    """Links in mails and password resets are made from the Host header: who chooses it chooses where they lead.

    Mend: name the hosts (ALLOWED_HOSTS, TrustedHostMiddleware), and let a default server block refuse the rest.
    """
    assert other_host.refused in site.refuses_other_hosts, other_host.reason


@pytest.mark.check("cors.origins", severity="major")
def test_only_the_declared_origins_are_let_in(cors, let_in):
    """A page of any other origin that is let in reads our visitors' data with their own session.

    Mend: list the origins in full in the service; a pattern or a reflected Origin lets look-alikes in.
    """
    assert let_in.origins in cors.origins


@pytest.mark.check("cors.any_origin", severity="major")
def test_strangers_are_not_let_in_by_cors(cors, let_in):
    """An answer that every page on the web may read is public, whatever the login before it.

    Mend: set the allowed origins to a list in full, without `*`, `null` and patterns.
    """
    assert let_in.anybody in cors.any_origin, ", ".join(let_in.strangers)


@pytest.mark.check("cors.methods", severity="minor")
def test_preflight_allows_the_declared_methods(cors, preflight):
    """Too few, and the front end breaks in browsers only; too many, and other sites may do more than meant.

    Mend: set the allowed methods in the service's CORS settings.
    """
    assert preflight.methods in cors.methods


@pytest.mark.check("cors.headers", severity="minor")
def test_preflight_allows_the_declared_headers(cors, preflight):
    """A header that is not allowed makes the browser drop the request before it is sent, which no log shows.

    Mend: set the allowed headers in the service's CORS settings.
    """
    assert preflight.headers in cors.headers


@pytest.mark.check("cors.max_age", severity="minor")
def test_preflight_may_be_remembered_for_the_declared_time(cors, preflight):
    """Without it browsers ask twice for everything; with too much a mistake stays in them for days.

    Mend: set Access-Control-Max-Age in the service's CORS settings.
    """
    assert preflight.max_age_s in cors.max_age


@pytest.mark.check("cors.credentials", severity="major")
def test_cookies_come_along_only_as_declared(cors, preflight):
    """With credentials, an origin that is let in acts as the visitor who is logged in.

    Mend: set Access-Control-Allow-Credentials in the service's CORS settings, or leave it out.
    """
    assert preflight.credentials in cors.credentials


@pytest.mark.check("http.p95", severity="major")
def test_nearly_all_answers_come_in_time(endpoint, response):
    """The median hides every twentieth visitor, who waits and leaves.

    Mend: look for what is slow only at times: cold caches, locks, garbage collection, a busy neighbour.
    """
    assert response.percentile_s(95) in endpoint.p95


@pytest.mark.check("http.p99", severity="major")
def test_almost_every_answer_comes_in_time(endpoint, response):
    """A page of a hundred requests shows its slowest one to everybody.

    Mend: look for what is slow only at times: cold caches, locks, garbage collection, a busy neighbour.
    """
    assert response.percentile_s(99) in endpoint.p99


@pytest.mark.check("http.cookies", severity="major")
def test_cookie_has_the_declared_attributes(key, expected, response):
    """Without Secure a session travels in the clear, without HttpOnly any script on the page reads it.

    Mend: set the flags where the service sets the cookie (SESSION_COOKIE_SECURE and the like).
    """
    assert response.cookie(key, expected) in expected


@pytest.mark.check("token.lives", severity="major")
def test_token_runs_out_in_time(token, token_life_s):
    """A token that was stolen opens the door for as long as it lives, whoever changes the password.

    Mend: shorten its life in the service, and let clients refresh it.
    """
    assert token_life_s in token.lives


@pytest.mark.check("http.metrics", severity="major")
def test_metrics_can_be_collected(endpoint, response):
    """One line that Prometheus can't read makes it drop all of them, and every alert over them goes silent.

    Mend: read the answer with `promtool check metrics`.
    """
    assert response.metric_names in endpoint.metrics


@pytest.mark.check("http.needs_login", severity="blocker")
def test_strangers_are_turned_away(endpoint, stranger):
    """One route without the login decorator is the leak of a year.

    Mend: let the service deny by default, and open single routes by name.
    """
    assert stranger.yes in endpoint.needs_login, stranger.reason


@pytest.mark.check("http.default_logins", severity="blocker")
@pytest.mark.live
def test_well_known_logins_do_not_open_it(endpoint, known_logins):
    """admin with the password admin is tried by every scanner, all day.

    Mend: set a password of your own, and look in the log who came in before.
    """
    assert known_logins.yes in endpoint.default_logins, known_logins.reason


@pytest.mark.check("http.refuses_methods", severity="major")
def test_methods_are_refused(endpoint, refused_methods):
    """What nobody is meant to call, nobody looks after.

    Mend: route only the methods that are meant; in nginx `limit_except GET POST { deny all; }`.
    """
    assert refused_methods.refused in endpoint.refuses_methods


@pytest.mark.check("http.body_limit", severity="major")
def test_bodies_are_taken_up_to_the_limit(endpoint, observed_body_limit):
    """Without a limit one upload fills the memory or the disk; with too small a one real uploads fail.

    Mend: set `client_max_body_size` in nginx, and the same limit in the service behind it.
    """
    assert observed_body_limit.largest in endpoint.body_limit, observed_body_limit.reason


@pytest.mark.check("http.websocket", severity="major")
def test_websocket_opens(endpoint, websocket):
    """Proxies drop the upgrade unless they are told to pass it on, and pages then fall silent or poll.

    Mend: in nginx `proxy_http_version 1.1` and the headers Upgrade and Connection.
    """
    assert websocket.yes in endpoint.websocket, websocket.reason


@pytest.mark.check("http.on_every_node", severity="blocker")
def test_every_node_answers_the_same(key, expected, node_answers):
    """The balancer shows the new release, and every third visitor is still on the old one.

    Mend: look which node lags in the evidence, and deploy to it again or take it out of the balancer.
    """
    assert node_answers.worst(key, expected) in expected, node_answers.told(key)


@pytest.mark.check("case.status", severity="major")
def test_known_question_is_answered_with_the_right_status(case, answered_case):
    """A question whose answer is known is the only proof that the service still computes right.

    Mend: ask it by hand, and compare with the release before; if the new answer is right, change the case.
    """
    assert answered_case.status in case.status


@pytest.mark.check("case.json", severity="major")
def test_known_question_has_the_known_answer(key, expected, answered_case):
    """A wrong number looks as good as a right one, and is found by the customer.

    Mend: ask it by hand, and compare with the release before; if the new answer is right, change the case.
    """
    assert answered_case.value_at(key) in expected, answered_case.why_no_json


@pytest.mark.check("case.body", severity="major")
def test_known_question_has_the_known_text(case, answered_case):
    """A wrong text looks as good as a right one, and is found by the customer.

    Mend: ask it by hand, and compare with the release before; if the new answer is right, change the case.
    """
    assert answered_case.text in case.body


# Last, since whoever ran into a limit is refused elsewhere, too.


@pytest.mark.live
@pytest.mark.check("rate_limit.rate", severity="major")
def test_rate_beyond_the_limit_is_refused(rate_limit, burst):
    """A limit that never fires is no limit: a password list is tried in minutes, and one client takes it all.

    Mend: run into it by hand; see that each request is counted on its own and that the counter sees the right client.
    """
    assert burst.rate in rate_limit.rate, burst.told


@pytest.mark.live
@pytest.mark.check("rate_limit.burst", severity="major")
def test_burst_below_the_limit_passes(rate_limit, burst):
    """A page that loads ten things at once must not be refused half of them.

    Mend: raise `burst` and see that `nodelay` is there; behind a proxy see that clients are told apart.
    """
    assert burst.beyond_the_first in rate_limit.burst, burst.told


@pytest.mark.live
@pytest.mark.check("rate_limit.answers", severity="major")
def test_refusal_has_the_declared_status(rate_limit, burst):
    """Clients back off at 429 and try again at once at 500, which also wakes somebody up.

    Mend: `limit_req_status 429;` in nginx; in a middleware of Starlette return a response, as raising becomes 500.
    """
    assert burst.refused_with in rate_limit.answers, burst.told


@pytest.mark.live
@pytest.mark.check("rate_limit.retry_after", severity="minor")
def test_refusal_says_when_to_come_again(rate_limit, burst):
    """Without Retry-After every client guesses, and all of them guess too early.

    Mend: send Retry-After in seconds with the refusal.
    """
    assert burst.says_when in rate_limit.retry_after, burst.told


@pytest.mark.live
@pytest.mark.check("rate_limit.recovers", severity="major")
def test_limit_lets_in_again(rate_limit, recovery):
    """A limit that counts what it refuses, or never forgets, locks a client out for good.

    Mend: see that the counter expires, and that its expiry isn't moved by refused requests.
    """
    assert recovery in rate_limit.recovers
