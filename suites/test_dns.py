"""What must hold of names in DNS."""

import pytest


@pytest.mark.check("dns.A", severity="blocker")
def test_name_leads_to_the_declared_ipv4_addresses(domain, records):
    """A forgotten address sends every second visitor to a machine that is gone, or is somebody else's by now.

    Mend: correct the A records at the DNS provider, and mind the TTL of the old ones.
    """
    assert records.of("A") in domain.A


@pytest.mark.check("dns.AAAA", severity="blocker")
def test_name_leads_to_the_declared_ipv6_addresses(domain, records):
    """Phones try IPv6 first, so a stale AAAA breaks the site for them alone.

    Mend: correct the AAAA records at the DNS provider, or remove them where the server has no IPv6.
    """
    assert records.of("AAAA") in domain.AAAA


@pytest.mark.check("dns.CNAME", severity="blocker")
def test_name_is_an_alias_as_declared(domain, records):
    """An alias to a service that was given up is free for anybody to take over.

    Mend: point the CNAME to where the service is, or remove it.
    """
    assert records.of("CNAME") in domain.CNAME


@pytest.mark.check("dns.MX", severity="major")
def test_mail_goes_to_the_declared_servers(domain, records):
    """Mail to the wrong server is lost without a word to anybody, renewal notices among it.

    Mend: correct the MX records at the DNS provider.
    """
    assert records.of("MX") in domain.MX


@pytest.mark.check("dns.NS", severity="blocker")
def test_zone_is_served_by_the_declared_name_servers(domain, records):
    """Whoever serves the zone owns the name, and everything below it.

    Mend: compare with the registrar's delegation, and find out who changed it.
    """
    assert records.of("NS") in domain.NS


@pytest.mark.check("dns.TXT", severity="major")
def test_texts_are_the_declared_ones(domain, records):
    """A second SPF record makes both void, and our mail lands in spam.

    Mend: correct the TXT records at the DNS provider; there is one SPF text for a name.
    """
    assert records.of("TXT") in domain.TXT


@pytest.mark.check("dns.CAA", severity="major")
def test_only_the_declared_authorities_may_issue(domain, records):
    """Without CAA any authority may issue for the name; with a wrong one, ours refuses the next renewal.

    Mend: set e.g. `0 issue "letsencrypt.org"` at the DNS provider.
    """
    assert records.of("CAA") in domain.CAA


@pytest.mark.check("dns.absent", severity="major")
def test_records_that_should_not_be_are_not(domain, records):
    """A record that nobody meant leads somewhere all the same.

    Mend: remove it at the DNS provider.
    """
    assert records.absent in domain.absent


@pytest.mark.check("dns.ttl", severity="minor")
def test_records_are_forgotten_soon_enough(domain, records):
    """With a TTL of a day, going back after a failed switch takes a day.

    Mend: lower the TTL at least one old TTL before the switch.
    """
    assert records.ttl_s in domain.ttl


@pytest.mark.check("dns.resolvers_agree", severity="major")
def test_all_resolvers_say_the_same(domain, agreement):
    """As long as name servers differ, visitors are sent to two systems, and every report of them is confusing.

    Mend: see that the zone's serial is the same on all name servers, and wait for the TTL.
    """
    assert agreement.same in domain.resolvers_agree, agreement.reason


@pytest.mark.check("dns.registered_for", severity="blocker")
def test_domain_stays_registered(domain, registration):
    """When a registration ends everything ends with it, mail included, and whoever is quick gets the name.

    Mend: renew it at the registrar, switch on renewal by itself, and see that the card there is still good.
    """
    assert registration.left in domain.registered_for
