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
    assert certificate.covered(tls.names_to_cover, tls.covers) in tls.covers


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
    assert protocols.worst(tls.protocols) in tls.protocols, protocols.told


@pytest.mark.check("tls.key_bits", severity="major")
def test_key_is_strong_enough(tls, certificate):
    """A short key can be computed from the certificate, and then anybody can be this site.

    Mend: issue the certificate anew with a key of at least RSA 2048 or ECDSA P-256.
    """
    assert certificate.weakest_bits in tls.key_bits


@pytest.mark.check("tls.issuer", severity="minor")
def test_certificate_comes_from_the_declared_issuer(tls, certificate):
    """Another issuer means that somebody else renews it: a proxy in between, or a forgotten manual step.

    Mend: find who issued this certificate, or declare the new issuer.
    """
    assert certificate.worst("issuer", tls.issuer) in tls.issuer


@pytest.mark.check("tls.key_type", severity="minor")
def test_key_is_of_the_declared_type(tls, certificate):
    """Old clients know only RSA, and a profile may ask for ECDSA.

    Mend: issue the certificate anew, e.g. `certbot renew --key-type ecdsa --force-renewal`.
    """
    assert certificate.worst("key_type", tls.key_type) in tls.key_type


@pytest.mark.check("tls.signature", severity="major")
def test_certificate_is_signed_with_the_declared_hash(tls, certificate):
    """A signature with SHA-1 can be forged, and browsers refuse it.

    Mend: issue the certificate anew; a private CA needs `default_md = sha256`.
    """
    assert certificate.worst("signature", tls.signature) in tls.signature


@pytest.mark.check("tls.ciphers", severity="major")
def test_only_the_declared_ciphers_are_accepted(tls, ciphers):
    """One weak suite left on is what an attacker in between asks for.

    Mend: set `ssl_ciphers` in every server block of this address; the first one decides for all that share it.
    """
    assert ciphers.worst(tls.ciphers) in tls.ciphers, ciphers.told


@pytest.mark.check("tls.forward_secrecy", severity="major")
def test_stolen_key_opens_nothing_recorded(tls, ciphers):
    """Without it whoever gets the key one day reads all the traffic that was ever recorded.

    Mend: leave only suites that begin with ECDHE or DHE in `ssl_ciphers`.
    """
    assert ciphers.forward_secret in tls.forward_secrecy, ciphers.without_secrecy


@pytest.mark.check("tls.server_preference", severity="minor")
def test_server_chooses_the_cipher_as_declared(tls, ciphers):
    """A client that prefers an old suite gets it unless the server insists on a better one.

    Mend: set `ssl_prefer_server_ciphers on;`, or off where all suites that are left are good.
    """
    assert ciphers.server_chooses in tls.server_preference, ciphers.told


@pytest.mark.check("tls.profile", severity="major")
def test_profile_of_mozilla_is_met(tls, met_profiles):
    """The profile is what auditors and partners ask for by name.

    Mend: take the settings from Mozilla's configuration generator for this server and profile.
    """
    assert met_profiles.names in tls.profile, met_profiles.reason


@pytest.mark.check("tls.alpn", severity="minor")
def test_protocol_agreed_on_is_the_declared_one(tls, agreed):
    """Without HTTP/2 a page of a hundred files loads them six at a time.

    Mend: `listen 443 ssl http2;` in nginx, and see that nothing in between ends TLS without ALPN.
    """
    assert agreed.worst(tls.alpn) in tls.alpn, agreed.told


@pytest.mark.check("tls.stapled", severity="minor")
def test_ocsp_response_is_stapled(tls, stapling):
    """Clients that insist on it, for a certificate that says so, turn away without it, and all at one that ran out.

    Mend: `ssl_stapling on;` with a resolver and the CA's chain, if the CA still answers OCSP.
    """
    assert stapling.stapled in tls.stapled, stapling.reason


@pytest.mark.check("tls.scts", severity="major")
def test_public_logs_vouch_for_the_certificate(tls, transparency):
    """Browsers turn away a public certificate that no log knows of, and nobody hears of one issued behind our back.

    Mend: issue it anew from a CA that logs its certificates; a private CA needs none of this.
    """
    assert transparency.logs in tls.scts, transparency.reason


@pytest.mark.check("tls.same_on_every_node", severity="blocker")
def test_all_nodes_show_one_certificate(tls, same_certificate):
    """The node that missed the renewal expires alone, and every third visitor sees it.

    Mend: copy the renewed certificate to the node that differs in the evidence, and reload it.
    """
    assert same_certificate.yes in tls.same_on_every_node, same_certificate.reason


@pytest.mark.check("deployed.served", severity="blocker")
def test_certificate_in_the_file_is_the_one_served(deployed, certificate, deployed_fingerprint):
    """A renewed file that nobody loaded looks fine on the disk until the old certificate expires.

    Mend: reload the web server, and add a deploy hook to the renewal that does it from now on.
    """
    served = [each.fingerprint for each in certificate.shown]
    assert (deployed_fingerprint in served) in deployed.served


@pytest.mark.check("renewal.scheduled", severity="blocker")
def test_renewal_is_scheduled(renewal, actual_renewal):
    """A certificate that nothing renews is an outage with a date.

    Mend: `systemctl enable --now certbot.timer`; Debian's cron entry does nothing where systemd runs.
    """
    assert actual_renewal.scheduled in renewal.scheduled, actual_renewal.told


@pytest.mark.check("renewal.ended_well", severity="major")
def test_last_renewal_ended_well(renewal, renewal_ending):
    """Renewals fail in silence for weeks, and are noticed when the certificate expires.

    Mend: run `certbot renew --dry-run` on the server, and read /var/log/letsencrypt/letsencrypt.log.
    """
    assert renewal_ending in renewal.ended_well


@pytest.mark.check("renewal.time_left", severity="blocker")
def test_schedule_renews_in_time_at_the_worst(renewal, actual_renewal):
    """A monthly run of certbot renews a certificate of 90 days up to a day after it has expired.

    Mend: run it daily or twice a day: it only renews what is due.
    """
    assert actual_renewal.time_left_s in renewal.time_left, actual_renewal.told


@pytest.mark.live
@pytest.mark.check("renewal.dry_run", severity="blocker")
def test_certbot_can_renew(renewal, renewal_dry_run):
    """A redirect, a firewall rule or a moved web root breaks renewals at once, and shows it months later.

    Mend: run `certbot renew --dry-run` on the server; the CA has to reach the challenge at the name's address.
    """
    assert renewal_dry_run.ended_well in renewal.dry_run, renewal_dry_run.told
