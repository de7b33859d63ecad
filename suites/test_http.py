"""What must hold of every site and of each of its endpoints."""

import pytest


@pytest.mark.check("site.redirects_http", severity="major")
def test_plain_http_leads_to_https(site, http_redirect):
    """Whoever types the bare name would otherwise send a session cookie in the clear, or see nothing.

    Mend: let port 80 answer `return 301 https://$host$request_uri;`.
    """
    assert http_redirect.to_https in site.redirects_http


@pytest.mark.check("site.headers", severity="major")
def test_front_page_has_the_declared_header(key, expected, front_page):
    """These headers protect visitors, and one new `add_header` in a nested block takes them all away unseen.

    Mend: set the header with `always` in the server block, and again where a location sets its own.
    """
    assert front_page.header(key) in expected


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
    assert response.value_at(key) in expected


@pytest.mark.check("http.headers", severity="major")
def test_endpoint_answers_with_the_declared_header(key, expected, response):
    """Caches, browsers and clients act on headers, so a wrong one breaks what no server log shows.

    Mend: see with `curl -i` who sets it: the service, or the proxy before it.
    """
    assert response.header(key) in expected


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
