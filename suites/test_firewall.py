"""What must hold of the firewalls: who is let in, who is not, and what is seen from outside."""

import pytest


@pytest.mark.check("firewall.enabled", severity="blocker")
def test_firewall_keeps_somebody_out(firewall, filtering):
    """A firewall that was switched off for a minute's debugging stays off until somebody else finds out.

    Mend: run `ufw enable`, or start firewalld or nftables; if only IPv6 is open, set IPV6=yes in /etc/default/ufw.
    """
    assert filtering.enabled in firewall.enabled, filtering.reason


@pytest.mark.check("firewall.persistent", severity="blocker")
def test_firewall_comes_back_after_a_reboot(firewall, persistence):
    """Rules that were typed in are gone with the next power cut, and nothing looks different.

    Mend: enable the unit that loads the rules at boot, and save what is loaded now.
    """
    assert persistence.persistent in firewall.persistent, persistence.reason


@pytest.mark.check("firewall.incoming", severity="blocker")
def test_what_no_rule_is_about_is_kept_out(firewall_default, filtering):
    """With a default of allow, each new service is public from its first minute.

    Mend: run `ufw default deny incoming`, or set the policy of the input chain to drop, for IPv6 too.
    """
    assert filtering.incoming in firewall_default.incoming


@pytest.mark.check("firewall.outgoing")
def test_what_the_server_sends_is_treated_as_declared(firewall_default, filtering):
    """A default of deny stops certificates, updates and alerts; one of allow lets an intruder call home.

    Mend: run `ufw default allow outgoing`, or deny, as declared.
    """
    assert filtering.outgoing in firewall_default.outgoing


@pytest.mark.check("firewall.allow", severity="blocker")
def test_firewall_lets_in_what_is_declared_and_nothing_else(firewall, admission):
    """The rule that was added for a test is the one that is found by somebody else.

    Mend: delete the rule, or declare it; where tool and loaded rules differ, load them anew (`ufw reload`). What
    docker publishes does not ask ufw: publish it on 127.0.0.1.
    """
    assert admission.allowed in firewall.allow, admission.reason


@pytest.mark.check("firewall.shadowed", severity="minor")
def test_every_rule_can_still_match(firewall, shadows):
    """A rule behind one that decides the same packets does nothing, and everybody believes that it does.

    Mend: move the rule before the one that hides it (`ufw insert 1 ...`), or delete it.
    """
    assert shadows.count in firewall.shadowed, shadows.rules


@pytest.mark.live
@pytest.mark.check("firewall.reachable", severity="blocker")
def test_declared_ports_let_through_whom_they_are_declared_for(scan, outside):
    """Whoever should get in and doesn't is a customer, or you at night on the way to the server.

    Mend: look at the rules in their order, and at the provider's own firewall before them.
    """
    assert outside.reachable in scan.reachable, outside.unreached


@pytest.mark.live
@pytest.mark.check("firewall.nothing_else", severity="blocker")
def test_nothing_else_answers_from_outside(scan, outside):
    """An open port that nobody knows of is found by scanners within the hour.

    Mend: stop what answers there, or bind it to 127.0.0.1; ports that docker publishes bypass ufw.
    """
    assert outside.nothing_else in scan.nothing_else, outside.beyond
