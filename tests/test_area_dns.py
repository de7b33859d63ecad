"""The area of DNS, shown on name servers of the tests' own, sound and with one flaw each."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from pydantic import ValidationError

from readygate.areas.dns import Domain, observe_records
from readygate.errors import CouldNotLook, Mistake
from tests.web import failing, free_port, raw_server

NAME = "api"  # the name that `failing` gives to an entry
Zone = dict[str, list[str]]
SOUND: Zone = {
    "A": ["203.0.113.10", "203.0.113.11"],
    "AAAA": ["2001:db8::10"],
    "MX": ["10 mx1.zakupai.site.", "20 mx2.zakupai.site."],
    "NS": ["ns1.example.net.", "ns2.example.net."],
    "TXT": ['"v=spf1 mx " "-all"'],
    "CAA": ['0 issue "letsencrypt.org"'],
}


@contextmanager
def name_server(
    zone: Zone | None,
    ttl: int = 300,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    flags: dns.flags.Flag = dns.flags.RA,
    alias_of: str = "",
    alias_ttl: int = 300,
    broken: tuple[str, ...] = (),
) -> Iterator[str]:
    """The address and port of a name server that knows one name, perhaps by an alias; None is NXDOMAIN.

    Asked for a type that is `broken` it fails.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, line = self.request
            query = dns.message.from_wire(packet)
            answer = dns.message.make_response(query)
            answer.flags |= flags
            (question,) = query.question
            kind = question.rdtype.name
            answer.set_rcode(dns.rcode.NXDOMAIN if zone is None else rcode)
            if kind in broken:
                answer.set_rcode(dns.rcode.SERVFAIL)
            owner = question.name.to_text()
            if alias_of:
                answer.answer.append(dns.rrset.from_text(owner, alias_ttl, "IN", "CNAME", alias_of))
                owner = alias_of
            if zone and kind in zone and rcode == dns.rcode.NOERROR:
                answer.answer.append(dns.rrset.from_text(owner, ttl, "IN", kind, *zone[kind]))
            line.sendto(answer.to_wire(), self.client_address)

    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


DECLARED: dict[str, Any] = {
    "A": ["203.0.113.10", "203.0.113.11"],
    "AAAA": ["2001:db8::10"],
    "MX": ["10 mx1.zakupai.site", "20 mx2.zakupai.site"],
    "NS": ["ns1.example.net", "ns2.example.net"],
    "TXT": {"contains": ["v=spf1 mx -all"]},
    "CAA": ['0 issue "letsencrypt.org"'],
    "absent": ["CNAME"],
    "ttl": "5m",
}


def failed(zone: Zone | None, served_ttl: int = 300, **declared: Any) -> set[str]:
    with name_server(zone, served_ttl) as server:
        return failing("dns", {"resolvers": [server], "timeout": "2s", **declared})


def test_records_as_declared_are_sound() -> None:
    assert not failed(SOUND, **DECLARED)


@pytest.mark.parametrize(
    ("kind", "records"),
    [
        ("A", ["203.0.113.10"]),
        ("AAAA", ["2001:db8::11"]),
        ("MX", ["10 mx1.zakupai.site.", "20 mx3.zakupai.site."]),
        ("NS", ["ns1.example.net.", "ns9.example.org."]),
        ("TXT", ['"v=spf1 +all"']),
        ("CAA", ['0 issue "elsewhere.example"']),
    ],
)
def test_a_record_that_differs_fails_its_own_check(kind: str, records: list[str]) -> None:
    assert failed(SOUND | {kind: records}, **DECLARED) == {f"dns.{kind}"}


def test_an_alias_is_compared_and_is_not_absent() -> None:
    alias: Zone = {"CNAME": ["shop.host.example."]}
    assert not failed(alias, CNAME=["shop.host.example"])
    assert failed(alias, CNAME=["other.host.example"]) == {"dns.CNAME"}
    assert failed(alias, absent=["CNAME"]) == {"dns.absent"}


def test_a_ttl_that_is_too_long_fails() -> None:
    assert failed(SOUND, 3600, **DECLARED) == {"dns.ttl"}


def test_an_alias_is_remembered_as_well_as_what_it_leads_to() -> None:
    for alias_ttl, expected in ((300, set()), (86400, {"dns.ttl"})):
        with name_server(SOUND, 60, alias_of="shop.host.example.", alias_ttl=alias_ttl) as server:
            assert failing("dns", {"A": DECLARED["A"], "ttl": "5m", "resolvers": [server]}) == expected


def test_a_ttl_of_nothing_is_one() -> None:
    assert not failed(SOUND, 0, **DECLARED)


@pytest.mark.parametrize(
    ("alias_of", "flags", "told"),
    [
        ("shop.host.example.", dns.flags.AA, "only says that it is an alias of shop.host.example."),
        ("", dns.flags.Flag(0), "only says to ask somebody else"),
    ],
)
def test_a_server_that_sends_us_on_has_not_said_that_there_is_nothing(
    alias_of: str, flags: dns.flags.Flag, told: str
) -> None:
    with name_server({}, flags=flags, alias_of=alias_of) as server, pytest.raises(CouldNotLook, match=told):
        failing("dns", {"absent": ["A"], "resolvers": [server], "timeout": "2s"})
    for sure in (dns.flags.RA, dns.flags.AA):
        with name_server({}, flags=sure) as server:
            assert not failing("dns", {"absent": ["A"], "resolvers": [server], "timeout": "2s"})


def test_a_name_that_does_not_exist_has_no_records() -> None:
    assert failed(None, A=["203.0.113.10"], ttl="5m", absent=["MX"]) == {"dns.A", "dns.ttl"}


def test_resolvers_that_differ_are_told() -> None:
    shuffled, moved = SOUND | {"A": SOUND["A"][::-1]}, SOUND | {"A": ["203.0.113.99"]}
    declared = {"A": DECLARED["A"], "resolvers_agree": True, "timeout": "2s"}
    with ExitStack() as running:
        sound, other, same = (running.enter_context(name_server(zone)) for zone in (SOUND, moved, shuffled))
        assert not failing("dns", {**declared, "resolvers": [sound, same]})
        assert failing("dns", {**declared, "resolvers": [sound, other]}) == {"dns.resolvers_agree"}


def test_a_server_that_fails_or_is_silent_was_not_looked_at() -> None:
    with name_server(SOUND, rcode=dns.rcode.SERVFAIL) as server, pytest.raises(CouldNotLook, match="gives no answer"):
        failing("dns", {"A": ["203.0.113.10"], "absent": ["MX"], "resolvers": [server], "timeout": "1s"})
    with pytest.raises(CouldNotLook) as error:
        failing("dns", {"absent": ["A"], "resolvers": [f"127.0.0.1:{free_port()}"], "timeout": "500ms"})
    assert error.value.cause.startswith("dns:127.0.0.1:")


def test_of_a_type_that_a_server_fails_for_nothing_is_known_and_of_the_others_all_is() -> None:
    with name_server(SOUND, broken=("AAAA",)) as server:
        domain = Domain.model_validate(
            {"A": ["203.0.113.10"], "AAAA": ["2001:db8::10"], "absent": ["CNAME", "AAAA"], "resolvers": [server]}
        )
        domain._named(NAME)
        records = observe_records(domain)
    assert records.of("A") == tuple(SOUND["A"])
    assert records.of("CNAME") == ()
    unknown: tuple[Callable[[], object], ...] = (
        lambda: records.of("AAAA"),
        lambda: records.absent,
        lambda: records.ttl_s,
    )
    for each in unknown:
        with pytest.raises(CouldNotLook, match="gives no answer for api"):
            each()
    assert "AAAA not answered" in records.evidence[0].answered


@pytest.mark.parametrize("name", ["203.0.113.10", "a..b", "https://a.example", "-a.example", "a b"])
def test_a_key_that_is_no_name_is_refused(name: str) -> None:
    domain = Domain.model_validate({"A": ["203.0.113.10"]})
    with pytest.raises(Mistake, match="is not a name in DNS"):
        domain.refuse_name(name)


@pytest.mark.parametrize("name", ["zakupai.site", "_dmarc.zakupai.site", "müller.example", "localhost"])
def test_a_key_that_is_a_name_is_taken(name: str) -> None:
    Domain.model_validate({"A": ["203.0.113.10"]}).refuse_name(name)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"absent": ["SRV"]}, "'SRV' is not a type of record"),
        ({"A": ["203.0.113.10"], "resolvers": ["dns.google"]}, "is not the address of a resolver"),
        ({"A": ["203.0.113.10"], "resolvers_agree": True}, "one alone always agrees"),
        ({"ttl": "5m"}, "there is no record to ask for"),
        ({"AAAA": ["2001:DB8:0::10"]}, "write 2001:db8::10"),
        ({"A": ["2001:db8::10"]}, "is not an IPv4 address"),
        ({"A": ["203.0.113.300"]}, "is not an IPv4 address"),
        ({"NS": ["NS1.example.net."]}, "write ns1.example.net"),
        ({"MX": {"contains": ["10 mail.example.com."]}}, "write 10 mail.example.com"),
    ],
)
def test_what_cannot_be_asked_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Domain.model_validate(declared)


@contextmanager
def whois_server(said: str) -> Iterator[str]:
    with raw_server(lambda connection: connection.sendall(said.encode())) as port:
        yield f"127.0.0.1:{port}"


def in_days(days: int, written: str) -> str:
    return (datetime.now(UTC) + timedelta(days)).strftime(written)


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("   Registry Expiry Date: ", "%Y-%m-%dT04:00:00Z"),
        ("paid-till:     ", "%Y-%m-%dT21:00:00Z"),
        ("Expiry date:  ", "%d-%b-%Y"),
        ("expire: ", "%Y.%m.%d"),
        ("[Expires on]   ", "%Y/%m/%d"),
        ("Expires: ", "%Y%m%d"),
    ],
)
def test_a_registration_that_ends_soon_is_found(label: str, written: str) -> None:
    for days, fails in ((90, set()), (10, {"dns.registered_for"})):
        with whois_server(f"Domain Name: ZAKUPAI.SITE\n{label}{in_days(days, written)}\nStatus: ok\n") as server:
            assert failing("dns", {"registered_for": "30d", "whois": server}) == fails


@pytest.mark.parametrize("said", ["", "No match for ZAKUPAI.SITE", "Expiry Date: 03/04/2027", "Expires: soon"])
def test_an_end_that_whois_does_not_tell_is_no_verdict(said: str) -> None:
    with whois_server(said) as server, pytest.raises(CouldNotLook, match="tells no end"):
        failing("dns", {"registered_for": "30d", "whois": server})


def test_a_whois_server_that_is_not_there_is_no_verdict() -> None:
    with pytest.raises(CouldNotLook, match="can't be asked"):
        failing("dns", {"registered_for": "30d", "whois": f"127.0.0.1:{free_port()}"})
