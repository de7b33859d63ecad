"""What must hold of the TLS of every site."""

import pytest


@pytest.mark.check("tls.renew_before", severity="blocker")
def test_certificate_outlives_the_renewal_window(tls, certificate):
    """Inside this window one failed renewal is an outage, and every browser turns visitors away.

    Mend: run `certbot renew` on the server, reload the web server, then see why the renewal timer did not.
    """
    assert certificate.lifetime_left in tls.renew_before


@pytest.mark.check("tls.matches_host", severity="blocker")
def test_certificate_names_the_site(origin, tls, certificate):
    """A certificate for another host is a warning page for every visitor and an error for every client.

    Mend: issue the certificate for the host in the url, and see that the right server block presents it.
    """
    assert certificate.covers(origin.host) in tls.matches_host


@pytest.mark.check("tls.covers", severity="blocker")
def test_certificate_covers_every_declared_name(tls, certificate):
    """A name that was forgotten at the last renewal fails only for those who use that name.

    Mend: renew with all names, e.g. `certbot certonly --expand -d example.com -d www.example.com`.
    """
    assert certificate.covered(tls.names_to_cover) in tls.covers


@pytest.mark.check("tls.trusted", severity="blocker")
def test_chain_verifies(tls, trust):
    """Browsers may fetch a missing intermediate themselves; the apps and webhooks of our partners never do.

    Mend: serve the full chain (certbot's fullchain.pem), renewed, from a CA that clients trust.
    """
    assert trust.verified in tls.trusted, trust.reason


@pytest.mark.check("tls.protocols", severity="major")
def test_only_the_declared_protocols_are_accepted(tls, protocols):
    """One old protocol left on is enough for a downgrade, and for the next audit to fail.

    Mend: set `ssl_protocols TLSv1.2 TLSv1.3;` in every server block of this address, also the default one.
    """
    assert protocols.accepted in tls.protocols


@pytest.mark.check("tls.key_bits", severity="major")
def test_key_is_strong_enough(tls, certificate):
    """A short key can be computed from the certificate, and then anybody can be this site.

    Mend: issue the certificate anew with a key of at least RSA 2048 or ECDSA P-256.
    """
    assert certificate.key_bits in tls.key_bits


@pytest.mark.check("tls.issuer", severity="minor")
def test_certificate_comes_from_the_declared_issuer(tls, certificate):
    """Another issuer means that somebody else renews it: a proxy in between, or a forgotten manual step.

    Mend: find who issued this certificate, or declare the new issuer.
    """
    assert certificate.issuer in tls.issuer
